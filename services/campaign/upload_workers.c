#include "upload_workers.h"

#include "base/time.h"
#include "phone.h"
#include "schema/schema.h"
#include "suppression_rows.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MOST 16

struct worker {
    struct upload_workers *workers;
    struct loop *loop;
    pthread_t thread;
    struct loop_letter stop;
};

struct upload_workers {
    struct loop *loop;
    const char *region;
    unsigned count;
    struct worker workers[THREADS_MOST];
    struct entropy entropy; /* the loop's thread: seeds */
};

/* ---- What a list asks ---- */

/* Per list, so that no two threads share a generator. */
struct list_context {
    const char *region;
    struct entropy entropy;
};

static enum phone_verdict normalise_phone(void *context, struct str text, char out[PHONE_TEXT_SIZE])
{
    const struct list_context *list = context;

    switch (phone_normalise(text.data, text.length, list->region, out)) {
    case PHONE_RESULT_OK:
        return PHONE_OK;
    case PHONE_RESULT_NO_COUNTRY:
        return PHONE_NO_COUNTRY;
    case PHONE_RESULT_INVALID:
        break;
    }
    return PHONE_INVALID;
}

static bool is_time_zone(struct str name)
{
    return schema_format_info(SCHEMA_FORMAT_TIME_ZONE)->is_valid(name);
}

static uint64_t draw(void *context)
{
    struct list_context *list = context;

    return entropy_uint64(&list->entropy);
}

static void free_context(void *context)
{
    free(context);
}

static enum phone_verdict normalise_pattern(void *context, struct str text,
                                            char out[PHONE_TEXT_SIZE])
{
    struct str prefix = {text.data, text.length ? text.length - 1 : 0};

    if (!text.length || text.data[text.length - 1] != '*')
        return normalise_phone(context, text, out);
    if (!is_phone_prefix(prefix))
        return PHONE_INVALID;
    memcpy(out, text.data, text.length);
    out[text.length] = '\0';
    return PHONE_OK;
}

static struct call_list *new_list(struct upload_workers *workers, int64_t row_limit,
                                  enum phone_verdict (*normalise)(void *context, struct str text,
                                                                  char out[PHONE_TEXT_SIZE]))
{
    const struct clock *clock = loop_clock(workers->loop);
    struct list_context *context = calloc(1, sizeof(*context));

    if (!context)
        return NULL;
    context->region = workers->region;
    entropy_init_seeded(&context->entropy, entropy_uint64(&workers->entropy));
    const struct call_list_options options = {
        .row_limit = row_limit,
        .normalise_phone = normalise,
        .is_time_zone = is_time_zone,
        .random = draw,
        .context = context,
        .free_context = free_context,
        .now_ms = clock->wall_us(clock) / 1000,
    };
    struct call_list *list = call_list_new(&options);

    if (!list)
        free(context);
    return list;
}

struct call_list *upload_workers_list(struct upload_workers *workers, int64_t row_limit)
{
    return new_list(workers, row_limit, normalise_phone);
}

struct call_list *upload_workers_suppressions(struct upload_workers *workers, int64_t row_limit)
{
    return new_list(workers, row_limit, normalise_pattern);
}

/* ---- Threads ---- */

static void deliver_done(struct loop_letter *letter)
{
    struct upload_work *work = (struct upload_work *)letter;

    work->done(work);
}

static void deliver_work(struct loop_letter *letter)
{
    struct upload_work *work = (struct upload_work *)letter;
    bool read = work->is_end
                    ? call_list_end(work->list, &work->out, &work->err)
                    : call_list_feed(work->list, buf_str(&work->in), &work->out, &work->err);

    if (!read && !err_is_set(&work->err))
        err_set(&work->err, ERR_INTERNAL, NULL, "the file could not be read");
    work->letter.deliver = deliver_done;
    loop_post(work->workers->loop, &work->letter);
}

void upload_workers_do(struct upload_workers *workers, struct upload_work *work)
{
    size_t which = ((size_t)work->list >> 6) % workers->count;

    work->workers = workers;
    work->letter.deliver = deliver_work;
    loop_post(workers->workers[which].loop, &work->letter);
}

static void *run_worker(void *context)
{
    struct worker *worker = context;

    loop_run(worker->loop);
    return NULL;
}

static void deliver_stop(struct loop_letter *letter)
{
    struct worker *worker = (struct worker *)((char *)letter - offsetof(struct worker, stop));

    loop_stop(worker->loop);
}

static bool start_worker(struct worker *worker)
{
    sigset_t all, before;

    worker->loop = loop_new(NULL);
    if (!worker->loop)
        return false;
    /* Signals are for the loop's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, run_worker, worker);

    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        loop_free(worker->loop);
    return !error;
}

struct upload_workers *upload_workers_new(struct loop *loop, unsigned threads, const char *region)
{
    struct upload_workers *workers = calloc(1, sizeof(*workers));

    if (!workers)
        return NULL;
    workers->loop = loop;
    workers->region = region;
    entropy_init_system(&workers->entropy);
    for (; workers->count < threads && workers->count < THREADS_MOST; workers->count++) {
        workers->workers[workers->count].workers = workers;
        if (!start_worker(&workers->workers[workers->count])) {
            upload_workers_free(workers);
            return NULL;
        }
    }
    return workers;
}

void upload_workers_free(struct upload_workers *workers)
{
    if (!workers)
        return;
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->workers[i];

        worker->stop.deliver = deliver_stop;
        loop_post(worker->loop, &worker->stop);
        pthread_join(worker->thread, NULL);
        loop_free(worker->loop);
    }
    free(workers);
}
