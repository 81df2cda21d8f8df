#include "upload_workers.h"

#include "base/time.h"
#include "contact_phone.h"
#include "contact_vault.h"
#include "schema/schema.h"
#include "suppression_rows.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
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
    struct upload_workers_settings settings;
    unsigned count;
    struct worker workers[THREADS_MOST];
    struct entropy entropy; /* the loop's thread: seeds */
};

/* ---- What a list asks ---- */

/* Per list, so that no two threads share a generator; and what its options' texts are kept in. */
struct list_context {
    struct entropy entropy;
    struct arena *arena;
    const char *region;
    const struct vault *vault;
    struct uuid campaign, upload;
};

static bool normalise_phone(void *context, struct str text, struct phone_answer *ret_answer)
{
    const struct list_context *list = context;

    return contact_phone(text, list->region, ret_answer);
}

static bool normalise_pattern(void *context, struct str text, struct phone_answer *ret_answer)
{
    struct str prefix = {text.data, text.length ? text.length - 1 : 0};

    if (!text.length || text.data[text.length - 1] != '*')
        return normalise_phone(context, text, ret_answer);
    if (!is_phone_prefix(prefix)) {
        snprintf(ret_answer->problem, sizeof(ret_answer->problem),
                 "is not a valid prefix: it is a plus, 1 to 14 digits and a *");
        return false;
    }
    memcpy(ret_answer->e164, text.data, text.length);
    ret_answer->e164[text.length] = '\0';
    return true;
}

static bool seal_contact(void *context, const char *e164, struct str json, struct buf *out)
{
    const struct list_context *list = context;

    return contact_data_seal(list->vault, &list->campaign, str_from(e164), json, out);
}

static bool seal_original(void *context, int64_t row, struct str json, struct buf *out)
{
    const struct list_context *list = context;
    struct vault_place place;

    upload_content_place(&place, &list->upload, row);
    return vault_seal_text(list->vault, &place, json, out);
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

static void free_context(void *context_)
{
    struct list_context *context = context_;

    if (!context)
        return;
    arena_free(context->arena);
    free(context);
}

/* ---- Opening ---- */

#define CONTEXT_BYTES ((size_t)64 * 1024)
/* Of lines for COPY, after which a reader pauses. */
#define OUT_PAUSE_BYTES ((size_t)1024 * 1024)
/* The last row before the pause may be all escapes. */
#define OUT_LIMIT_BYTES ((size_t)32 * 1024 * 1024)

static bool check_options(const struct upload_options *options, struct arena *arena,
                          struct err *err)
{
    struct violations violations;

    violations_init(&violations, arena, 20);
    if (options->charset && !reader_charset_is_known(options->charset))
        violations_add(&violations, "charset",
                       "\"%.40s\" is not known; known are utf-8, utf-16, windows-1251 and others",
                       options->charset);
    for (size_t i = 0; i < options->mapping_count; i++) {
        const struct column_mapping *mapping = &options->mappings[i];
        const char *field = arena_printf(arena, "column.%s", mapping->field);

        if (!field)
            break;
        if (!header_field_is_known(mapping->field))
            violations_add(&violations, field,
                           "is no field of a contact: phone_number, contact_name, priority and "
                           "timezone can be mapped");
        else if (!*mapping->column)
            violations_add(&violations, field, "must name a column of the file");
    }
    return !violations.count || err_set_violations(err, &violations);
}

static const struct column_mapping *copy_mappings(const struct upload_options *options,
                                                  struct arena *arena)
{
    struct column_mapping *copies =
        ARENA_ARRAY(arena, struct column_mapping, options->mapping_count);

    for (size_t i = 0; copies && i < options->mapping_count; i++)
        copies[i] = (struct column_mapping){arena_strdup(arena, options->mappings[i].field),
                                            arena_strdup(arena, options->mappings[i].column)};
    return copies;
}

static struct list_context *new_context(struct upload_workers *workers,
                                        const struct upload_options *options)
{
    struct list_context *context = calloc(1, sizeof(*context));

    if (!context)
        return NULL;
    context->arena = arena_new(CONTEXT_BYTES);
    if (!context->arena) {
        free(context);
        return NULL;
    }
    entropy_init_seeded(&context->entropy, entropy_uint64(&workers->entropy));
    context->region =
        options->region ? arena_strdup(context->arena, options->region) : workers->settings.region;
    /* Without ids (a list of suppressions, which has no data) nothing is sealed. */
    if (vault_seals(options->vault) && options->campaign_id && options->upload_id &&
        uuid_parse(str_from(options->campaign_id), &context->campaign) &&
        uuid_parse(str_from(options->upload_id), &context->upload))
        context->vault = options->vault;
    return context;
}

/* The list owns the context. */
static struct call_list *new_list(struct upload_workers *workers,
                                  const struct upload_options *options)
{
    const struct clock *clock = loop_clock(workers->loop);
    struct list_context *context = new_context(workers, options);

    if (!context)
        return NULL;
    const struct call_list_options list_options = {
        .row_limit = options->row_limit,
        .error_rows = options->error_rows,
        .pause_bytes = OUT_PAUSE_BYTES,
        .header = {.phone_aliases = workers->settings.phone_aliases,
                   .mappings = copy_mappings(options, context->arena),
                   .mapping_count = options->mapping_count},
        .normalise_phone =
            options->kind == UPLOAD_SUPPRESSIONS ? normalise_pattern : normalise_phone,
        .is_time_zone = is_time_zone,
        .seal_contact = context->vault ? seal_contact : NULL,
        .seal_original = context->vault ? seal_original : NULL,
        .random = draw,
        .context = context,
        .free_context = free_context,
        .now_ms = clock->wall_us(clock) / 1000,
    };
    struct call_list *list =
        arena_is_exhausted(context->arena) ? NULL : call_list_new(&list_options);

    if (!list)
        free_context(context);
    return list;
}

bool upload_work_open(struct upload_workers *workers, const struct upload_options *options,
                      struct arena *arena, struct upload_work *work, struct err *err)
{
    work->workers = workers;
    work->reader = NULL;
    work->list = NULL;
    buf_init(&work->in, 0);
    buf_init(&work->out, OUT_LIMIT_BYTES);
    if (!check_options(options, arena, err))
        return false;
    work->list = new_list(workers, options);
    if (!work->list)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    call_list_set_out(work->list, &work->out);
    const struct reader_options reader_options = {
        .limits = &workers->settings.limits,
        .charset = options->charset,
        .sheet = options->sheet,
        .is_gzip = options->is_gzip,
        .on_row = call_list_on_row,
        .context = work->list,
    };

    work->reader = reader_new(&reader_options, err);
    if (!work->reader)
        upload_work_close(work);
    return work->reader;
}

void upload_work_close(struct upload_work *work)
{
    reader_free(work->reader);
    call_list_free(work->list);
    work->reader = NULL;
    work->list = NULL;
    buf_done(&work->in);
    buf_done(&work->out);
}

/* ---- Threads ---- */

static void deliver_done(struct loop_letter *letter)
{
    struct upload_work *work = (struct upload_work *)letter;

    work->done(work);
}

/* The reader's word, unless it is the list that refuses the file. */
static void read_piece(struct upload_work *work)
{
    enum list_result result = reader_read(work->reader, &work->unread, work->is_end, &work->err);

    work->has_more = result == LIST_PAUSED;
    if (err_is_set(call_list_err(work->list)))
        work->err = *call_list_err(work->list);
    else if (result == LIST_ENDED)
        call_list_end(work->list, &work->err);
    else if (result == LIST_FAILED && !err_is_set(&work->err))
        err_set(&work->err, ERR_INTERNAL, NULL, "the file could not be read");
}

static void deliver_work(struct loop_letter *letter)
{
    struct upload_work *work = (struct upload_work *)letter;

    if (!work->has_more)
        work->unread = buf_str(&work->in);
    read_piece(work);
    work->letter.deliver = deliver_done;
    loop_post(work->workers->loop, &work->letter);
}

void upload_work_do(struct upload_work *work)
{
    struct upload_workers *workers = work->workers;
    size_t which = ((size_t)work->list >> 6) % workers->count;

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

struct upload_workers *upload_workers_new(struct loop *loop,
                                          const struct upload_workers_settings *settings)
{
    struct upload_workers *workers = calloc(1, sizeof(*workers));

    if (!workers)
        return NULL;
    workers->loop = loop;
    workers->settings = *settings;
    entropy_init_system(&workers->entropy);
    for (; workers->count < settings->threads && workers->count < THREADS_MOST; workers->count++) {
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
