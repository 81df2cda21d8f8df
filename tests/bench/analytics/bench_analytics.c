/* bench_analytics: stores calls as fast as it is let.
 *   bench_analytics grpc SECONDS WORKERS TURNS PIECES COMPANY SEED ADDRESS   reports, each call in
 * PIECES bench_analytics libpq SECONDS CONNECTIONS TURNS COMPANY SEED URL         the same rows by
 * INSERT One line of JSON: rows a second, and for grpc the percentiles of a report in milliseconds.
 */
#include "bench_analytics.h"

#include "dialplane.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS_MOST 256
#define SAMPLES_MOST 400000
#define EVENTS_MOST 500

double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t next(uint64_t *random) /* splitmix64 (Steele, Lea, Flood: OOPSLA 2014) */
{
    uint64_t z = (*random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void make_id(uint64_t *random, char out[37])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t bits = next(random), more = next(random);
    snprintf(out, 37, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff),
             (unsigned)(bits & 0xfff), (unsigned)(0x8000 | ((bits >> 12) & 0x3fff)),
             (unsigned long long)(more & 0xffffffffffffULL));
}

struct worker {
    pthread_t thread;
    const struct load *load;
    struct dialplane_client *client;
    unsigned pieces;
    uint64_t random;
    long calls, failures;
    size_t sample_count;
    double *samples;
    char failure[300];
};

/* The events of one call, made once and changed for each. */
struct script {
    Dialplane__V1__CallEvent events[EVENTS_MOST], *list[EVENTS_MOST];
    Google__Protobuf__Timestamp times[EVENTS_MOST];
    Dialplane__V1__Turn turns[EVENTS_MOST];
    Dialplane__V1__CallStarted started;
    Dialplane__V1__CallFinished finished;
    char phone[20];
};

static void script_init(struct script *script, const struct load *load)
{
    unsigned count = load->turns + 2;
    for (unsigned i = 0; i < count; i++) {
        script->events[i] = (Dialplane__V1__CallEvent)DIALPLANE__V1__CALL_EVENT__INIT;
        script->times[i] = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        script->events[i].seq = i + 1;
        script->events[i].occurred_at = &script->times[i];
        script->list[i] = &script->events[i];
        Dialplane__V1__Turn *turn = &script->turns[i];
        *turn = (Dialplane__V1__Turn)DIALPLANE__V1__TURN__INIT;
        turn->turn_index = (int)i - 1;
        turn->role = i % 2 ? DIALPLANE__V1__TURN_ROLE__TURN_ROLE_USER
                           : DIALPLANE__V1__TURN_ROLE__TURN_ROLE_ASSISTANT;
        turn->content = (char *)TURN_TEXT;
        turn->_eou_latency_case = DIALPLANE__V1__TURN___EOU_LATENCY_EOU_LATENCY;
        turn->_latency_llm_case = DIALPLANE__V1__TURN___LATENCY_LLM_LATENCY_LLM;
        turn->llm_input_tokens = 800;
        turn->llm_output_tokens = 40;
        turn->tts_characters = 120;
        script->events[i].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_TURN;
        script->events[i].turn = turn;
    }
    script->started = (Dialplane__V1__CallStarted)DIALPLANE__V1__CALL_STARTED__INIT;
    script->started.company_id = (char *)load->company;
    script->started._phone_number_case = DIALPLANE__V1__CALL_STARTED___PHONE_NUMBER_PHONE_NUMBER;
    script->started.phone_number = script->phone;
    script->events[0].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STARTED;
    script->events[0].started = &script->started;
    script->finished = (Dialplane__V1__CallFinished)DIALPLANE__V1__CALL_FINISHED__INIT;
    script->finished.status = DIALPLANE__V1__CALL_STATUS__CALL_STATUS_COMPLETED;
    script->finished._outcome_case = DIALPLANE__V1__CALL_FINISHED___OUTCOME_OUTCOME;
    script->finished.outcome = (char *)"success";
    script->events[count - 1].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
    script->events[count - 1].finished = &script->finished;
}

static void script_next(struct script *script, const struct load *load, uint64_t *random)
{
    time_t now = time(NULL) - 300;
    snprintf(script->phone, sizeof(script->phone), "+1202%07u",
             (unsigned)(next(random) % 10000000));
    for (unsigned i = 0; i < load->turns + 2; i++) {
        script->times[i].seconds = now + i * 3;
        script->turns[i].eou_latency = 300 + (double)(next(random) % 1500);
        script->turns[i].latency_llm = 100 + (double)(next(random) % 900);
    }
}

static void *work(void *context)
{
    struct worker *worker = context;
    const struct load *load = worker->load;
    static _Thread_local struct script script;
    char id[37];
    double until = now_s() + load->seconds;
    unsigned count = load->turns + 2;
    script_init(&script, load);
    while (now_s() < until) {
        make_id(&worker->random, id);
        script_next(&script, load, &worker->random);
        for (unsigned piece = 0; piece < worker->pieces; piece++) {
            unsigned from = count * piece / worker->pieces;
            unsigned to = count * (piece + 1) / worker->pieces;
            Dialplane__V1__ReportCallEventsRequest request =
                DIALPLANE__V1__REPORT_CALL_EVENTS_REQUEST__INIT;
            Dialplane__V1__ReportCallEventsResponse *response = NULL;
            struct dialplane_error error;
            double since = now_s();
            request.call_id = id;
            request.events = script.list + from;
            request.n_events = to - from;
            if (!dialplane_report_call_event_batch(worker->client, &request, 30000, &response,
                                                   &error)) {
                worker->failures++;
                snprintf(worker->failure, sizeof(worker->failure), "%.200s", error.message);
                break;
            }
            dialplane_free(response);
            if (worker->sample_count < SAMPLES_MOST)
                worker->samples[worker->sample_count++] = (now_s() - since) * 1000;
        }
        worker->calls++;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static int report_calls(const struct load *load, unsigned pieces, const char *address)
{
    static struct worker workers[WORKERS_MOST];
    dialplane_init();
    struct dialplane_client *client = dialplane_client_open(address);
    double began = now_s();
    for (unsigned i = 0; i < load->workers; i++) {
        workers[i] = (struct worker){
            .load = load, .client = client, .pieces = pieces, .random = load->seed * 1000 + i};
        workers[i].samples = calloc(SAMPLES_MOST, sizeof(double));
        if (!workers[i].samples || pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            abort();
    }
    long calls = 0, failures = 0;
    size_t count = 0, at = 0;
    for (unsigned i = 0; i < load->workers; i++) {
        pthread_join(workers[i].thread, NULL);
        calls += workers[i].calls;
        failures += workers[i].failures;
        count += workers[i].sample_count;
        if (*workers[i].failure)
            fprintf(stderr, "a report failed: %s\n", workers[i].failure);
    }
    double seconds = now_s() - began, *all = calloc(count + 1, sizeof(*all));
    if (!all)
        abort();
    for (unsigned i = 0; i < load->workers; i++) {
        memcpy(all + at, workers[i].samples, workers[i].sample_count * sizeof(*all));
        at += workers[i].sample_count;
    }
    qsort(all, count, sizeof(*all), compare);
    printf("{\"rows\": %.0f, \"calls\": %ld, \"failures\": %ld, \"p50\": %.3f, \"p99\": %.3f}\n",
           (double)(calls - failures) * (double)ROWS_OF_CALL(load->turns) / seconds, calls,
           failures, all[count / 2], all[count * 99 / 100]);
    free(all);
    dialplane_client_close(client);
    dialplane_exit();
    return failures != 0;
}

int main(int argc, char **argv)
{
    bool grpc = argc == 9 && !strcmp(argv[1], "grpc");
    if (!grpc && !(argc == 8 && !strcmp(argv[1], "libpq"))) {
        fprintf(stderr, "usage: bench_analytics grpc SECONDS WORKERS TURNS PIECES COMPANY SEED "
                        "ADDRESS\n       bench_analytics libpq SECONDS CONNECTIONS TURNS COMPANY "
                        "SEED URL\n");
        return 2;
    }
    char **rest = argv + (grpc ? 6 : 5);
    const struct load load = {.seconds = strtod(argv[2], NULL),
                              .workers = (unsigned)strtoul(argv[3], NULL, 10),
                              .turns = (unsigned)strtoul(argv[4], NULL, 10),
                              .company = rest[0],
                              .seed = strtoull(rest[1], NULL, 10)};
    if (load.workers < 1 || load.workers > WORKERS_MOST || load.turns > EVENTS_MOST - 2)
        return 2;
    if (grpc)
        return report_calls(&load, (unsigned)strtoul(argv[5], NULL, 10), rest[2]);
    printf("{\"rows\": %.0f}\n", insert_rows(&load, rest[2]));
    return 0;
}
