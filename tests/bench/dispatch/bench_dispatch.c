/* bench_dispatch: workers that claim, begin and finish as fast as they are answered.
 *   bench_dispatch SECONDS WORKERS BATCH CYCLES ADDRESS…
 * Ends after SECONDS or CYCLES (0: no such limit), whichever comes first. One line of JSON: cycles,
 * seconds, failures, and percentiles of each step in milliseconds; a claim counts when it brought
 * something. */
#include "dialplane.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS_MOST 256
#define SAMPLES_MOST 200000 /* of one worker and step; later ones are not kept */

enum step { CLAIM, BEGIN, FINISH, STEPS };

struct samples {
    size_t count;
    double *ms;
};

struct worker {
    pthread_t thread;
    struct dialplane_client *client;
    unsigned number;
    struct samples samples[STEPS];
    long cycles, failures, empty;
    char failure[600]; /* the last one */
};

static int batch;
static long cycles_most;
static double until_s;
static atomic_long cycles_all;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void keep(struct samples *samples, double since_s)
{
    if (samples->count < SAMPLES_MOST)
        samples->ms[samples->count++] = (now_s() - since_s) * 1000;
}

static void note_failure(struct worker *worker, const char *step,
                         const struct dialplane_error *error)
{
    worker->failures++;
    snprintf(worker->failure, sizeof(worker->failure), "%s: %s %s", step,
             dialplane_code_name(error->code), error->message);
}

static void call(struct worker *worker, const Dialplane__V1__ClaimedTask *task)
{
    Dialplane__V1__BeginDialRequest begin = DIALPLANE__V1__BEGIN_DIAL_REQUEST__INIT;
    Dialplane__V1__FinishTaskRequest finish = DIALPLANE__V1__FINISH_TASK_REQUEST__INIT;
    Dialplane__V1__BeginDialResponse *begun;
    Dialplane__V1__FinishTaskResponse *finished;
    struct dialplane_error error;
    double since = now_s();

    begin.call_id = finish.call_id = task->call_id;
    begin.fence = finish.fence = task->fence;
    finish.disposition = DIALPLANE__V1__DISPOSITION__DISPOSITION_ANSWERED;
    if (!dialplane_begin_dial(worker->client, &begin, 10000, &begun, &error)) {
        note_failure(worker, "begin", &error);
        return;
    }
    keep(&worker->samples[BEGIN], since);
    dialplane_free(begun);
    since = now_s();
    if (!dialplane_finish_task(worker->client, &finish, 10000, &finished, &error)) {
        note_failure(worker, "finish", &error);
        return;
    }
    keep(&worker->samples[FINISH], since);
    dialplane_free(finished);
    worker->cycles++;
    atomic_fetch_add(&cycles_all, 1);
}

/* Begins and finishes all tasks of a claim, in two requests. */
static void call_batch(struct worker *worker, const Dialplane__V1__ClaimTasksResponse *tasks)
{
    Dialplane__V1__BeginDialBatchRequest begin = DIALPLANE__V1__BEGIN_DIAL_BATCH_REQUEST__INIT;
    Dialplane__V1__FinishTaskBatchRequest finish = DIALPLANE__V1__FINISH_TASK_BATCH_REQUEST__INIT;
    Dialplane__V1__BeginDialBatchResponse *begun;
    Dialplane__V1__FinishTaskBatchResponse *finished;
    Dialplane__V1__HeldCall held[100], *held_ptr[100];
    Dialplane__V1__FinishTaskRequest ends[100], *end_ptr[100];
    struct dialplane_error error;
    double since = now_s();

    for (size_t i = 0; i < tasks->n_tasks; i++) {
        dialplane__v1__held_call__init(held_ptr[i] = &held[i]);
        dialplane__v1__finish_task_request__init(end_ptr[i] = &ends[i]);
        held[i].call_id = ends[i].call_id = tasks->tasks[i]->call_id;
        held[i].fence = ends[i].fence = tasks->tasks[i]->fence;
        ends[i].disposition = DIALPLANE__V1__DISPOSITION__DISPOSITION_ANSWERED;
    }
    begin.calls = held_ptr; begin.n_calls = tasks->n_tasks;
    finish.calls = end_ptr; finish.n_calls = tasks->n_tasks;
    if (!dialplane_begin_dial_batch(worker->client, &begin, 10000, &begun, &error)) {
        note_failure(worker, "begin", &error);
        return;
    }
    keep(&worker->samples[BEGIN], since);
    for (size_t i = 0; i < begun->n_results; i++)
        if (begun->results[i]->refusal) worker->failures++;
    dialplane_free(begun);
    since = now_s();
    if (!dialplane_finish_task_batch(worker->client, &finish, 10000, &finished, &error)) {
        note_failure(worker, "finish", &error);
        return;
    }
    keep(&worker->samples[FINISH], since);
    for (size_t i = 0; i < finished->n_results; i++)
        if (finished->results[i]->refusal) worker->failures++;
        else { worker->cycles++; atomic_fetch_add(&cycles_all, 1); }
    dialplane_free(finished);
}

static void *work(void *context)
{
    struct worker *worker = context;
    char name[32];
    Dialplane__V1__ClaimTasksRequest claim = DIALPLANE__V1__CLAIM_TASKS_REQUEST__INIT;

    snprintf(name, sizeof(name), "bench-%u", worker->number);
    claim.worker_id = name;
    claim._max_case = DIALPLANE__V1__CLAIM_TASKS_REQUEST___MAX_MAX;
    claim.max = batch;
    claim.wait_ms = 1000;
    while (now_s() < until_s && (!cycles_most || atomic_load(&cycles_all) < cycles_most)) {
        Dialplane__V1__ClaimTasksResponse *tasks;
        struct dialplane_error error;
        double since = now_s();

        if (!dialplane_claim_tasks(worker->client, &claim, 10000, &tasks, &error)) {
            note_failure(worker, "claim", &error);
            continue;
        }
        if (tasks->n_tasks)
            keep(&worker->samples[CLAIM], since);
        else
            worker->empty++;
        if (batch > 1 && tasks->n_tasks)
            call_batch(worker, tasks);
        for (size_t i = 0; batch == 1 && i < tasks->n_tasks; i++)
            call(worker, tasks->tasks[i]);
        dialplane_free(tasks);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static void print_step(const char *name, enum step step, const struct worker *workers,
                       unsigned count)
{
    size_t total = 0, at = 0;

    for (unsigned i = 0; i < count; i++)
        total += workers[i].samples[step].count;
    double *all = calloc(total + 1, sizeof(*all));

    if (!all)
        abort();
    for (unsigned i = 0; i < count; i++) {
        memcpy(all + at, workers[i].samples[step].ms,
               workers[i].samples[step].count * sizeof(*all));
        at += workers[i].samples[step].count;
    }
    qsort(all, total, sizeof(*all), compare);
    printf(", \"%s\": {\"count\": %zu, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f}", name, total,
           all[total / 2], all[total * 95 / 100], all[total * 99 / 100]);
    free(all);
}

int main(int argc, char **argv)
{
    static struct worker workers[WORKERS_MOST];
    struct dialplane_client *clients[64];
    int client_count = argc - 5;

    if (client_count < 1 || client_count > 64) {
        fprintf(stderr, "usage: bench_dispatch SECONDS WORKERS BATCH CYCLES ADDRESS...\n");
        return 2;
    }
    unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    double start_s = now_s();

    batch = (int)strtol(argv[3], NULL, 10);
    cycles_most = strtol(argv[4], NULL, 10);
    until_s = start_s + strtod(argv[1], NULL);
    if (count < 1 || count > WORKERS_MOST)
        return 2;
    dialplane_init();
    for (int i = 0; i < client_count; i++)
        clients[i] = dialplane_client_open(argv[5 + i]);
    for (unsigned i = 0; i < count; i++) {
        workers[i].client = clients[i % (unsigned)client_count];
        workers[i].number = i;
        for (enum step step = 0; step < STEPS; step++)
            if (!(workers[i].samples[step].ms = calloc(SAMPLES_MOST, sizeof(double))))
                abort();
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            abort();
    }
    long cycles = 0, failures = 0, empty = 0;
    const char *failure = "";

    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        cycles += workers[i].cycles;
        failures += workers[i].failures;
        empty += workers[i].empty;
        if (*workers[i].failure)
            failure = workers[i].failure;
    }
    printf("{\"cycles\": %ld, \"seconds\": %.3f, \"failures\": %ld, \"empty\": %ld", cycles,
           now_s() - start_s, failures, empty);
    print_step("claim", CLAIM, workers, count);
    print_step("begin", BEGIN, workers, count);
    print_step("finish", FINISH, workers, count);
    printf("}\n");
    if (*failure)
        fprintf(stderr, "last failure: %s\n", failure);
    for (int i = 0; i < client_count; i++)
        dialplane_client_close(clients[i]);
    dialplane_exit();
    return 0;
}
