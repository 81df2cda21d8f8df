/* bench_dispatch: workers that claim, begin and finish, each one step after the other.
 *   bench_dispatch SECONDS WORKERS BATCH CYCLES RATE ADDRESS…
 * Ends after SECONDS or CYCLES (0: no such limit), whichever comes first. RATE: cycles a second of
 * all workers together, each beginning its rounds at even distances (one that is late begins at
 * once); 0: as fast as they are answered. BATCH 1 uses BeginDial and FinishTask, more
 * BeginDialBatch and FinishTaskBatch.
 *
 * All workers run on one loop, over the gateway's connections to services: the cores are to be the
 * platform's. One line of JSON: cycles, seconds, CPU seconds of this process, failures, and
 * percentiles of each step in milliseconds, from the call to its answer; a claim counts when it
 * brought something. */
#include "base/arena.h"
#include "gateway/upstream/upstream.h"
#include "loop/loop.h"

#include "dialplane/v1/dispatch.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define WORKERS_MOST 256
#define SERVICES_MOST 64
#define BATCH_MOST 100
#define SAMPLES_MOST 400000 /* of one worker and step; later ones are not kept */
#define CALL_TIMEOUT_US (10 * TIME_US_PER_SECOND)

enum step { CLAIM, BEGIN, FINISH, STEPS };

struct samples {
    size_t count;
    float *ms;
};

struct worker {
    struct upstream *upstream;
    unsigned number;
    int64_t round_due_us; /* with a RATE */
    int64_t asked_us;
    struct arena *arena; /* of the round */
    Dialplane__V1__ClaimTasksResponse *tasks;
    size_t at; /* the task that is called, with BATCH 1 */
    struct samples samples[STEPS];
    long cycles, failures, empty;
};

static struct {
    struct loop *loop;
    const struct clock *clock;
    struct worker workers[WORKERS_MOST];
    unsigned count, running;
    size_t batch;
    long cycles, cycles_most;
    int64_t start_us, until_us, round_us;
    char failure[600]; /* the last one */
} bench;

static int64_t now_us(void)
{
    return bench.clock->monotonic_us(bench.clock);
}

static void *checked(void *memory)
{
    if (!memory) {
        fprintf(stderr, "bench_dispatch: out of memory\n");
        exit(1);
    }
    return memory;
}

static void begin_round(void *context);
static void begin_dial(struct worker *worker);

/* ---- Calls ---- */

static void call(struct worker *worker, const char *path, const ProtobufCMessage *message,
                 const struct upstream_handler *handler)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *wire = checked(arena_alloc(worker->arena, size));
    struct upstream_request request = {
        .path = path, .message = {(const char *)wire, size}, .timeout_us = CALL_TIMEOUT_US};

    protobuf_c_message_pack(message, wire);
    worker->asked_us = now_us();
    checked(upstream_call_start(worker->upstream, &request, handler, worker));
}

static void *answer(struct upstream_call *upstream_call,
                    const ProtobufCMessageDescriptor *descriptor)
{
    struct str reply = upstream_call_reply(upstream_call);

    return checked(
        protobuf_c_message_unpack(descriptor, NULL, reply.length, (const uint8_t *)reply.data));
}

static void keep(struct worker *worker, enum step step)
{
    struct samples *samples = &worker->samples[step];

    if (samples->count < SAMPLES_MOST)
        samples->ms[samples->count++] = (float)(now_us() - worker->asked_us) / 1000;
}

static void end_round(struct worker *worker)
{
    if (worker->tasks)
        protobuf_c_message_free_unpacked(&worker->tasks->base, NULL);
    worker->tasks = NULL;
    arena_free(worker->arena);
    worker->arena = NULL;
    if (now_us() >= bench.until_us || (bench.cycles_most && bench.cycles >= bench.cycles_most)) {
        if (--bench.running == 0)
            loop_stop(bench.loop);
        return;
    }
    int64_t wait_us = 0;

    if (bench.round_us) {
        worker->round_due_us += bench.round_us;
        wait_us = worker->round_due_us - now_us();
        if (wait_us < 0) {
            worker->round_due_us -= wait_us; /* late: what was missed is not made up for */
            wait_us = 0;
        }
    }
    loop_timer_start(bench.loop, wait_us, begin_round, worker);
}

static void fail(struct worker *worker, const char *step, const char *code, const char *message)
{
    worker->failures++;
    snprintf(bench.failure, sizeof(bench.failure), "%s: %s %s", step, code, message);
    end_round(worker);
}

static void count_cycles(struct worker *worker, size_t cycles)
{
    worker->cycles += (long)cycles;
    bench.cycles += (long)cycles;
}

/* ---- The end ---- */

static void on_finished(struct upstream_call *upstream_call, const struct err *status)
{
    struct worker *worker = upstream_call_context(upstream_call);

    if (err_is_set(status)) {
        fail(worker, "finish", err_code_name(status->code), status->message);
        return;
    }
    keep(worker, FINISH);
    if (bench.batch == 1) {
        count_cycles(worker, 1);
        if (++worker->at < worker->tasks->n_tasks)
            begin_dial(worker);
        else
            end_round(worker);
        return;
    }
    Dialplane__V1__FinishTaskBatchResponse *finished =
        answer(upstream_call, &dialplane__v1__finish_task_batch_response__descriptor);
    const Dialplane__V1__CallRefusal *refusal = NULL;

    for (size_t i = 0; i < finished->n_results; i++) {
        if (finished->results[i]->refusal)
            refusal = finished->results[i]->refusal;
        else
            count_cycles(worker, 1);
    }
    if (refusal)
        fail(worker, "finish", refusal->code, refusal->message);
    else
        end_round(worker);
    protobuf_c_message_free_unpacked(&finished->base, NULL);
}

/* What became of the n-th call: six of ten are answered, the others are to be called again. */
static Dialplane__V1__Disposition disposition(long n)
{
    if (n % 10 < 6)
        return DIALPLANE__V1__DISPOSITION__DISPOSITION_ANSWERED;
    if (n % 10 < 8)
        return DIALPLANE__V1__DISPOSITION__DISPOSITION_NO_ANSWER;
    return n % 10 == 8 ? DIALPLANE__V1__DISPOSITION__DISPOSITION_BUSY
                       : DIALPLANE__V1__DISPOSITION__DISPOSITION_VOICEMAIL;
}

static void finish_task(struct worker *worker)
{
    static const struct upstream_handler handler = {.on_done = on_finished};
    Dialplane__V1__FinishTaskBatchRequest request = DIALPLANE__V1__FINISH_TASK_BATCH_REQUEST__INIT;
    Dialplane__V1__FinishTaskRequest ends[BATCH_MOST], *pointers[BATCH_MOST];
    size_t first = bench.batch == 1 ? worker->at : 0;
    size_t count = bench.batch == 1 ? 1 : worker->tasks->n_tasks;

    for (size_t i = 0; i < count; i++) {
        const Dialplane__V1__ClaimedTask *task = worker->tasks->tasks[first + i];

        dialplane__v1__finish_task_request__init(pointers[i] = &ends[i]);
        ends[i].call_id = task->call_id;
        ends[i].fence = task->fence;
        ends[i].disposition = disposition(worker->cycles + (long)i);
    }
    request.calls = pointers;
    request.n_calls = count;
    if (bench.batch == 1)
        call(worker, "/dialplane.v1.DispatchService/FinishTask", &ends[0].base, &handler);
    else
        call(worker, "/dialplane.v1.DispatchService/FinishTaskBatch", &request.base, &handler);
}

/* ---- Leave ---- */

static void on_begun(struct upstream_call *upstream_call, const struct err *status)
{
    struct worker *worker = upstream_call_context(upstream_call);

    if (err_is_set(status)) {
        fail(worker, "begin", err_code_name(status->code), status->message);
        return;
    }
    keep(worker, BEGIN);
    if (bench.batch > 1) {
        Dialplane__V1__BeginDialBatchResponse *begun =
            answer(upstream_call, &dialplane__v1__begin_dial_batch_response__descriptor);

        for (size_t i = 0; i < begun->n_results; i++)
            worker->failures += begun->results[i]->refusal != NULL;
        protobuf_c_message_free_unpacked(&begun->base, NULL);
    }
    finish_task(worker);
}

static void begin_dial(struct worker *worker)
{
    static const struct upstream_handler handler = {.on_done = on_begun};
    Dialplane__V1__BeginDialRequest one = DIALPLANE__V1__BEGIN_DIAL_REQUEST__INIT;
    Dialplane__V1__BeginDialBatchRequest request = DIALPLANE__V1__BEGIN_DIAL_BATCH_REQUEST__INIT;
    Dialplane__V1__HeldCall held[BATCH_MOST], *pointers[BATCH_MOST];

    if (bench.batch == 1) {
        one.call_id = worker->tasks->tasks[worker->at]->call_id;
        one.fence = worker->tasks->tasks[worker->at]->fence;
        call(worker, "/dialplane.v1.DispatchService/BeginDial", &one.base, &handler);
        return;
    }
    for (size_t i = 0; i < worker->tasks->n_tasks; i++) {
        dialplane__v1__held_call__init(pointers[i] = &held[i]);
        held[i].call_id = worker->tasks->tasks[i]->call_id;
        held[i].fence = worker->tasks->tasks[i]->fence;
    }
    request.calls = pointers;
    request.n_calls = worker->tasks->n_tasks;
    call(worker, "/dialplane.v1.DispatchService/BeginDialBatch", &request.base, &handler);
}

/* ---- Claim ---- */

static void on_claimed(struct upstream_call *upstream_call, const struct err *status)
{
    struct worker *worker = upstream_call_context(upstream_call);

    if (err_is_set(status)) {
        fail(worker, "claim", err_code_name(status->code), status->message);
        return;
    }
    worker->tasks = answer(upstream_call, &dialplane__v1__claim_tasks_response__descriptor);
    worker->at = 0;
    if (worker->tasks->n_tasks) {
        keep(worker, CLAIM);
        begin_dial(worker);
    } else {
        worker->empty++;
        end_round(worker);
    }
}

static void begin_round(void *context)
{
    static const struct upstream_handler handler = {.on_done = on_claimed};
    struct worker *worker = context;
    Dialplane__V1__ClaimTasksRequest claim = DIALPLANE__V1__CLAIM_TASKS_REQUEST__INIT;
    char name[32];

    worker->arena = checked(arena_new((size_t)1 << 20));
    snprintf(name, sizeof(name), "bench-%u", worker->number);
    claim.worker_id = name;
    claim._max_case = DIALPLANE__V1__CLAIM_TASKS_REQUEST___MAX_MAX;
    claim.max = (int32_t)bench.batch;
    claim.wait_ms = 1000;
    call(worker, "/dialplane.v1.DispatchService/ClaimTasks", &claim.base, &handler);
}

/* ---- Figures ---- */

static int compare(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;

    return (left > right) - (left < right);
}

static void print_step(const char *name, enum step step)
{
    size_t total = 0, at = 0;

    for (unsigned i = 0; i < bench.count; i++)
        total += bench.workers[i].samples[step].count;
    float *all = checked(calloc(total + 1, sizeof(*all)));

    for (unsigned i = 0; i < bench.count; i++) {
        const struct samples *samples = &bench.workers[i].samples[step];

        memcpy(all + at, samples->ms, samples->count * sizeof(*all));
        at += samples->count;
    }
    qsort(all, total, sizeof(*all), compare);
    printf(", \"%s\": {\"count\": %zu, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f}", name, total,
           (double)all[total / 2], (double)all[total * 95 / 100], (double)all[total * 99 / 100]);
    free(all);
}

static void print_figures(void)
{
    long failures = 0, empty = 0;
    struct rusage usage;

    for (unsigned i = 0; i < bench.count; i++) {
        failures += bench.workers[i].failures;
        empty += bench.workers[i].empty;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"cycles\": %ld, \"seconds\": %.3f, \"cpu\": %.3f, \"failures\": %ld, \"empty\": %ld",
           bench.cycles, (double)(now_us() - bench.start_us) / 1e6,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           failures, empty);
    print_step("claim", CLAIM);
    print_step("begin", BEGIN);
    print_step("finish", FINISH);
    printf("}\n");
    if (*bench.failure)
        fprintf(stderr, "last failure: %s\n", bench.failure);
}

int main(int argc, char **argv)
{
    struct upstream *upstreams[SERVICES_MOST];
    int service_count = argc - 6;

    if (service_count < 1 || service_count > SERVICES_MOST) {
        fprintf(stderr, "usage: bench_dispatch SECONDS WORKERS BATCH CYCLES RATE ADDRESS...\n");
        return 2;
    }
    double rate = strtod(argv[5], NULL);

    bench.count = bench.running = (unsigned)strtoul(argv[2], NULL, 10);
    bench.batch = strtoul(argv[3], NULL, 10);
    bench.cycles_most = strtol(argv[4], NULL, 10);
    if (bench.count < 1 || bench.count > WORKERS_MOST || bench.batch < 1 ||
        bench.batch > BATCH_MOST)
        return 2;
    if (rate > 0)
        bench.round_us = (int64_t)((double)bench.count * (double)bench.batch / rate * 1e6);
    bench.loop = checked(loop_new(NULL));
    bench.clock = loop_clock(bench.loop);
    for (int i = 0; i < service_count; i++) {
        struct upstream_options options = {0};
        struct err err = {0};

        upstreams[i] = upstream_new(bench.loop, "campaign", argv[6 + i], &options, &err);
        if (!upstreams[i]) {
            fprintf(stderr, "bench_dispatch: %s: %s\n", argv[6 + i], err.message);
            return 2;
        }
    }
    bench.start_us = now_us();
    bench.until_us = bench.start_us + (int64_t)(strtod(argv[1], NULL) * 1e6);
    for (unsigned i = 0; i < bench.count; i++) {
        struct worker *worker = &bench.workers[i];
        int64_t after_us = bench.round_us * i / bench.count;

        worker->upstream = upstreams[i % (unsigned)service_count];
        worker->number = i;
        worker->round_due_us = bench.start_us + after_us;
        for (enum step step = 0; step < STEPS; step++)
            worker->samples[step].ms = checked(calloc(SAMPLES_MOST, sizeof(float)));
        loop_timer_start(bench.loop, after_us, begin_round, worker);
    }
    loop_run(bench.loop);
    print_figures();
    for (unsigned i = 0; i < bench.count; i++)
        for (enum step step = 0; step < STEPS; step++)
            free(bench.workers[i].samples[step].ms);
    for (int i = 0; i < service_count; i++)
        upstream_free(upstreams[i]);
    loop_free(bench.loop);
    return 0;
}
