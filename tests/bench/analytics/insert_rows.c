/* The reference: the rows of whole calls in batched multi-row INSERTs, one a table, in a
 * transaction of many calls, by blocking libpq on as many connections as the service writes on. */
#include "bench_analytics.h"

#include <libpq-fe.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALLS_OF_BATCH 64
#define EVENT_BYTES 190 /* what a reported turn comes to, serialized */
#define FIGURES_BYTES 300

struct text {
    char *data;
    size_t length, capacity;
};

struct inserter {
    pthread_t thread;
    const struct load *load;
    const char *url;
    uint64_t random;
    struct text index, calls, events, metrics;
    char event[EVENT_BYTES * 2 + 1], figures[FIGURES_BYTES * 2 + 1];
    long rows;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
    va_list arguments;
    if (text->capacity - text->length < 2048) {
        text->capacity = text->capacity ? text->capacity * 2 : 65536;
        text->data = realloc(text->data, text->capacity);
        if (!text->data)
            abort();
    }
    va_start(arguments, format);
    text->length += (size_t)vsnprintf(text->data + text->length, text->capacity - text->length,
                                      format, arguments);
    va_end(arguments);
}

static void put_call(struct inserter *inserter, unsigned n)
{
    const struct load *load = inserter->load;
    char id[37];
    const char *comma = n ? "," : "";
    long now = (long)time(NULL) - 300;
    make_id(&inserter->random, id);
    put(&inserter->index, "%s('%s',to_timestamp(%ld),'%s')", comma, id, now, load->company);
    put(&inserter->calls,
        "%s('%s','%s','+12025550100',2,'success',to_timestamp(%ld),to_timestamp(%ld),to_timestamp(%"
        "ld),%u,%u)",
        comma, id, load->company, now, now + 60, now + 60, load->turns + 2, load->turns);
    for (unsigned seq = 1; seq <= load->turns + 2; seq++)
        put(&inserter->events, "%s('%s',%u,to_timestamp(%ld),4,'\\x%s')", n || seq > 1 ? "," : "",
            id, seq, now, inserter->event);
    put(&inserter->metrics,
        "%s('%s',to_timestamp(%ld),823.5,0.25,60000,9000,500,1400,60000,4300,490,21000,4000,29790,"
        "'\\x%s')",
        comma, id, now, inserter->figures);
}

static void send_batch(PGconn *conn, struct inserter *inserter)
{
    struct text *texts[] = {&inserter->index, &inserter->calls, &inserter->events,
                            &inserter->metrics};
    inserter->index.length = inserter->calls.length = 0;
    inserter->events.length = inserter->metrics.length = 0;
    put(&inserter->index, "BEGIN;INSERT INTO call_index (call_id, started_at, company_id) VALUES ");
    put(&inserter->calls,
        "INSERT INTO calls (id, company_id, phone_number, status, outcome, started_at, ended_at, "
        "last_event_at, last_seq, turn_count) VALUES ");
    put(&inserter->events,
        "INSERT INTO call_events (call_id, seq, started_at, kind, event) VALUES ");
    put(&inserter->metrics,
        "INSERT INTO call_metrics (call_id, started_at, avg_eou_latency, interruption_rate, "
        "stt_ms, "
        "llm_input_tokens, llm_output_tokens, tts_characters, livekit_ms, cost_stt, cost_llm, "
        "cost_tts, cost_livekit, cost_total, figures) VALUES ");
    for (unsigned n = 0; n < CALLS_OF_BATCH; n++)
        put_call(inserter, n);
    put(&inserter->metrics, ";COMMIT");
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        PGresult *result = PQexec(conn, texts[i]->data);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            fprintf(stderr, "the reference failed: %s\n", PQerrorMessage(conn));
            exit(1);
        }
        PQclear(result);
    }
    inserter->rows += CALLS_OF_BATCH * ROWS_OF_CALL(inserter->load->turns);
}

static void *insert(void *context)
{
    struct inserter *inserter = context;
    PGconn *conn = PQconnectdb(inserter->url);
    double until = now_s() + inserter->load->seconds;
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "the reference cannot connect: %s\n", PQerrorMessage(conn));
        exit(1);
    }
    while (now_s() < until)
        send_batch(conn, inserter);
    PQfinish(conn);
    free(inserter->index.data);
    free(inserter->calls.data);
    free(inserter->events.data);
    free(inserter->metrics.data);
    return NULL;
}

double insert_rows(const struct load *load, const char *url)
{
    struct inserter *inserters = calloc(load->workers, sizeof(*inserters));
    double began = now_s();
    long rows = 0;
    if (!inserters)
        abort();
    for (unsigned i = 0; i < load->workers; i++) {
        struct inserter *inserter = &inserters[i];
        inserter->load = load;
        inserter->url = url;
        inserter->random = load->seed * 1000 + i;
        for (size_t k = 0; k < EVENT_BYTES * 2; k++)
            inserter->event[k] = "0123456789abcdef"[(k * 7 + 3) % 16];
        for (size_t k = 0; k < FIGURES_BYTES * 2; k++)
            inserter->figures[k] = "0123456789abcdef"[(k * 5 + 1) % 16];
        if (pthread_create(&inserter->thread, NULL, insert, inserter))
            abort();
    }
    for (unsigned i = 0; i < load->workers; i++) {
        pthread_join(inserters[i].thread, NULL);
        rows += inserters[i].rows;
    }
    free(inserters);
    return (double)rows / (now_s() - began);
}
