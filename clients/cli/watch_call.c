/* dialplane call watch: every turn as it comes. A connection that breaks is made again, and goes on
 * after the last event that was seen: nothing is lost, nothing told twice. */
#include "live.h"
#include "text.h"
#include "json/json.h"

#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_US TIME_US_PER_SECOND
#define ROLE_COLUMNS 16

struct watch {
    struct cli *cli;
    const struct schema_method *method;
    const char *call_id;
    uint64_t after_seq;
    bool has_begun;                      /* the first message was shown */
    bool is_connected;                   /* this connection has brought a message */
    Dialplane__V1__CallMetrics *metrics; /* the newest totals */
};

static const char *word_of(const struct watch *watch, const char *message, int32_t number)
{
    const struct schema_message *found = schema_find_message(watch->cli->schema, str_from(message));
    const char *name = strcmp(message, "dialplane.v1.Turn") == 0 ? "role" : "status";
    const struct schema_field *field = found ? schema_find_field(found, str_from(name)) : NULL;
    const struct schema_enum_value *value =
        field ? schema_find_enum_number(field->enumeration, number) : NULL;
    return value ? value->word : "unknown";
}

static void put_styled(const struct watch *watch, struct buf *out, const char *style,
                       struct str text)
{
    bool styled = watch->cli->styled && style;
    if (styled)
        buf_printf(out, "\x1b[%sm", style);
    buf_put_str(out, text);
    if (styled)
        buf_put_cstr(out, "\x1b[0m");
}

/* The number and the speaker before what is said, wrapped beside them. */
static void put_turn(const struct watch *watch, const Dialplane__V1__Turn *turn, struct buf *out)
{
    size_t width = terminal_width(STDOUT_FILENO);
    const char *role = word_of(watch, "dialplane.v1.Turn", (int32_t)turn->role);
    bool by_agent = turn->role == DIALPLANE__V1__TURN_ROLE__TURN_ROLE_ASSISTANT;
    char label[ROLE_COLUMNS + 1];
    struct buf said, wrapped;
    buf_init(&said, 0);
    buf_init(&wrapped, 0);
    text_put_clean(&said, str_from(turn->content));
    if (turn->interrupted)
        buf_put_cstr(&said, " (interrupted)");
    if (turn->_eou_latency_case)
        buf_printf(&said, " (%.0f ms)", turn->eou_latency);
    snprintf(label, sizeof(label), "%4d %-10.10s ", turn->turn_index, role);
    text_put_wrapped(&wrapped, buf_str(&said), ROLE_COLUMNS, width > 40 ? width : 100000);
    put_styled(watch, out, by_agent ? "36" : "33", str_from(label));
    if (wrapped.length > ROLE_COLUMNS)
        buf_put(out, wrapped.data + ROLE_COLUMNS, wrapped.length - ROLE_COLUMNS);
    else
        buf_put_char(out, '\n');
    buf_done(&said);
    buf_done(&wrapped);
}

static void put_init(const struct watch *watch, const Dialplane__V1__CallSnapshot *init,
                     struct buf *out)
{
    const char *word = word_of(watch, "dialplane.v1.CallSnapshot", (int32_t)init->status);
    buf_printf(out, "call %s", init->call_id);
    if (init->_phone_number_case) {
        buf_put_cstr(out, " to ");
        text_put_clean(out, str_from(init->phone_number));
    }
    buf_put_cstr(out, ", ");
    put_styled(watch, out, output_style(word), str_from(word));
    if (init->started_at) {
        char at[TIME_TEXT_SIZE];
        time_format_rfc3339(init->started_at->seconds * TIME_US_PER_SECOND, at);
        buf_printf(out, ", begun %.10s %.8sZ", at, at + 11);
    }
    buf_put_char(out, '\n');
}

static void put_status(const struct watch *watch, const Dialplane__V1__CallStatusChange *status,
                       struct buf *out)
{
    const char *word = word_of(watch, "dialplane.v1.CallStatusChange", (int32_t)status->status);
    buf_put_cstr(out, "status ");
    put_styled(watch, out, output_style(word), str_from(word));
    if (status->_outcome_case) {
        buf_put_cstr(out, ", outcome ");
        text_put_clean(out, str_from(status->outcome));
    }
    if (status->_reason_case) {
        buf_put_cstr(out, ": ");
        text_put_clean(out, str_from(status->reason));
    }
    buf_put_char(out, '\n');
}

static void put_totals(const Dialplane__V1__CallMetrics *metrics, struct buf *out)
{
    buf_printf(out, "%d turns, %d interruptions", metrics->turn_count, metrics->interruption_count);
    if (metrics->_avg_eou_latency_case)
        buf_printf(out, ", latency %.0f ms", metrics->avg_eou_latency);
    buf_printf(out, ", %.6f USD\n", (double)metrics->cost_total / 1e6);
}

static bool show_json(struct watch *watch, const struct dialplane_bytes *bytes,
                      struct failure *failure)
{
    bool ok = output_json(watch->cli, watch->method->output,
                          (struct str){(const char *)bytes->data, bytes->size}, failure);
    fflush(stdout);
    return ok;
}

/* Shows one message; takes what it needs of it. */
static void show(struct watch *watch, Dialplane__V1__WatchCallResponse *message)
{
    struct buf out;
    buf_init(&out, 0);
    switch (message->event_case) {
    case DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_INIT:
        if (!watch->has_begun)
            put_init(watch, message->init, &out);
        break;
    case DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_TURN:
        put_turn(watch, message->turn, &out);
        break;
    case DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_METRICS:
        dialplane_free(watch->metrics);
        watch->metrics = message->metrics;
        message->metrics = NULL;
        message->event_case = DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT__NOT_SET;
        break;
    case DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_STATUS:
        put_status(watch, message->status, &out);
        break;
    default: /* of a newer service */
        break;
    }
    if (out.length)
        output_put(&out, stdout);
    fflush(stdout);
    buf_done(&out);
}

/* Takes messages until the stream ends; *error is its end. False: the failure is told. */
static bool follow(struct watch *watch, struct dialplane_stream *stream,
                   struct dialplane_error *error, struct failure *failure)
{
    struct dialplane_bytes bytes;
    while (dialplane_stream_next_bytes(stream, &bytes, error)) {
        Dialplane__V1__WatchCallResponse *message =
            dialplane__v1__watch_call_response__unpack(NULL, bytes.size, bytes.data);
        bool ok = message != NULL;
        if (!ok)
            err_set(&failure->err, ERR_INTERNAL, NULL, "the stream holds an unexpected message");
        else if (watch->cli->json)
            ok = show_json(watch, &bytes, failure);
        else
            show(watch, message);
        free(bytes.data);
        if (ok && message->seq > watch->after_seq)
            watch->after_seq = message->seq;
        watch->has_begun = watch->is_connected = true;
        dialplane_free(message);
        if (!ok)
            return false;
        if (ferror(stdout))
            break;
    }
    return true;
}

static bool watch_on(struct watch *watch, struct dialplane_client *client, struct failure *failure)
{
    int64_t lost_us = 0; /* since when the connection is lost */
    while (true) {
        Dialplane__V1__WatchCallRequest request = DIALPLANE__V1__WATCH_CALL_REQUEST__INIT;
        struct dialplane_error error = {0};
        watch->is_connected = false;
        request.call_id = (char *)watch->call_id;
        request.after_seq = watch->after_seq;
        struct dialplane_stream *stream = dialplane_watch_call_open(client, &request, 0);
        bool ok = stream && follow(watch, stream, &error, failure);
        dialplane_stream_close(stream);
        if (!ok)
            return false;
        if (error.code == 0 || ferror(stdout) || interrupt_happened())
            return true;
        int64_t now = clock_system()->monotonic_us(clock_system());
        if (watch->is_connected || !lost_us)
            lost_us = now;
        if (!watch->has_begun || !dialplane_is_transient(&error) ||
            now - lost_us > (int64_t)watch->cli->timeout_ms * 1000) {
            failure_from_error(watch->cli, session_backend(watch->method), &error, failure);
            return false;
        }
        if (lost_us == now)
            fprintf(stderr, "dialplane: the connection is lost; trying again\n");
        if (interrupt_wait(PAUSE_US))
            return true;
    }
}

int run_watch_call(struct cli *cli, const struct invocation *invocation)
{
    const char *after = invocation_value(invocation, "after-seq");
    struct watch watch = {.cli = cli,
                          .method = command_method(cli->schema, invocation->command),
                          .call_id = invocation->positionals[0]};
    struct failure failure;
    struct dialplane_client *client;
    failure_init(&failure, cli->arena);
    if (after && !str_parse_uint64(str_from(after), &watch.after_seq)) {
        err_set(&failure.err, ERR_INVALID_ARGUMENT, "USAGE",
                "--after-seq must be a whole number, not below 0");
        return failure_tell(cli, invocation, &failure);
    }
    client = session_client(cli, session_backend(watch.method), &failure);
    if (!client)
        return failure_tell(cli, invocation, &failure);
    interrupt_catch();
    bool ok = watch_on(&watch, client, &failure);
    if (ok && watch.metrics && !interrupt_happened()) {
        struct buf out;
        buf_init(&out, 0);
        put_totals(watch.metrics, &out);
        output_put(&out, stdout);
        buf_done(&out);
    }
    dialplane_free(watch.metrics);
    if (interrupt_happened())
        return EXIT_INTERRUPTED;
    return ok ? EXIT_OK : failure_tell(cli, invocation, &failure);
}
