/* A watcher over plain HTTP: server-sent events or lines of JSON.
 *
 * The status line waits for the service's first message, so that an unknown call is a 404 and not
 * an empty stream, but at most a second: a client of a silent stream must see that it is connected.
 */
#include "gateway/live/forms.h"
#include "gateway/policy/problem.h"

#define BEGIN_AFTER_US TIME_US_PER_SECOND
#define HEARTBEAT_US (15 * TIME_US_PER_SECOND)

struct stream {
    struct watcher watcher; /* first: a watcher is its stream */
    struct request *request;
    enum live_form form;
    bool begun;
    struct loop_timer *begin_timer, *heartbeat;
};

static size_t on_send(struct watcher *watcher, struct shared_bytes *frame);
static size_t get_waiting(const struct watcher *watcher);
static void on_begin(struct watcher *watcher);
static void on_end(struct watcher *watcher, const struct err *err);
static void on_slow(struct watcher *watcher);

static const struct watcher_ops event_stream_ops = {LIVE_EVENT_STREAM, on_send, get_waiting,
                                                    on_begin,          on_end,  on_slow};
static const struct watcher_ops lines_ops = {LIVE_LINES, on_send, get_waiting,
                                             on_begin,   on_end,  on_slow};

static void stop_timers(struct stream *stream)
{
    loop_timer_cancel(stream->begin_timer);
    loop_timer_cancel(stream->heartbeat);
    stream->begin_timer = stream->heartbeat = NULL;
}

static void on_gone(struct request *request)
{
    struct stream *stream = request->state;

    watcher_leave(&stream->watcher);
    stop_timers(stream);
}

static void write_text(struct stream *stream, const char *text, size_t length)
{
    struct shared_bytes *bytes = shared_bytes_new(text, length);

    if (bytes)
        exchange_write(stream->request->exchange, bytes);
    shared_bytes_unref(bytes);
}

/* Keeps proxies from closing a silent connection, and finds clients that have gone without a word.
 */
static void on_heartbeat(void *context)
{
    struct stream *stream = context;

    if (stream->begun && !stream->watcher.blocked)
        write_text(stream, ":\n\n", 3);
}

static void on_drained(struct exchange *exchange)
{
    struct request *request = exchange_state(exchange);
    struct stream *stream = request->state;

    watcher_drained(&stream->watcher);
}

static void begin(struct stream *stream)
{
    struct answer_headers headers = {.count = 0};
    struct loop *loop = stream->request->worker->loop;
    bool events = stream->form == LIVE_EVENT_STREAM;

    if (stream->begun)
        return;
    stream->begun = true;
    loop_timer_cancel(stream->begin_timer);
    stream->begin_timer = NULL;
    answer_header(&headers, "content-type",
                  events ? STR_LITERAL("text/event-stream") : STR_LITERAL("application/x-ndjson"));
    answer_header(&headers, "cache-control", STR_LITERAL("no-store"));
    answer_header(&headers, "x-accel-buffering", STR_LITERAL("no"));
    request_begin(stream->request, 200, &headers);
    exchange_on_drained(stream->request->exchange, on_drained);
    if (events)
        stream->heartbeat = loop_timer_repeat(loop, HEARTBEAT_US, on_heartbeat, stream);
}

static void on_begin_timer(void *context)
{
    struct stream *stream = context;

    stream->begin_timer = NULL; /* it has freed itself */
    begin(stream);
}

static void on_begin(struct watcher *watcher)
{
    begin((struct stream *)watcher);
}

static size_t on_send(struct watcher *watcher, struct shared_bytes *frame)
{
    struct stream *stream = (struct stream *)watcher;

    begin(stream);
    return exchange_write(stream->request->exchange, frame);
}

static size_t get_waiting(const struct watcher *watcher)
{
    return exchange_waiting(((const struct stream *)watcher)->request->exchange);
}

static void write_error(struct stream *stream, const struct err *err)
{
    struct request *request = stream->request;
    struct buf *text = worker_scratch(&request->worker->text);
    struct str id = {request->identity.request_id, request->identity.request_id_length};

    buf_put_cstr(text, stream->form == LIVE_EVENT_STREAM ? "event: error\ndata: " : "{\"error\":");
    problem_print(err, NULL, id, text);
    buf_put_cstr(text, stream->form == LIVE_EVENT_STREAM ? "\n\n" : "}\n");
    if (!text->failed)
        write_text(stream, text->data, text->length);
}

static void on_end(struct watcher *watcher, const struct err *err)
{
    struct stream *stream = (struct stream *)watcher;

    if (!stream->begun && err->code != ERR_OK) {
        stop_timers(stream);
        request_fail(stream->request, err, NULL);
        return;
    }
    begin(stream);
    stop_timers(stream);
    if (err->code != ERR_OK)
        write_error(stream, err);
    exchange_respond_end(stream->request->exchange);
}

static void on_slow(struct watcher *watcher)
{
    struct stream *stream = (struct stream *)watcher;

    begin(stream); /* a begun answer can be cut so that the client notices */
    stop_timers(stream);
    exchange_abort(stream->request->exchange);
}

void stream_start(struct request *request, struct str wire, enum live_form form)
{
    struct worker *worker = request->worker;
    struct stream *stream = ARENA_NEW(request_arena(request), struct stream);
    struct err err = {0};

    if (!stream) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
        return;
    }
    stream->request = request;
    stream->form = form;
    stream->watcher.ops = form == LIVE_EVENT_STREAM ? &event_stream_ops : &lines_ops;
    struct hub_caller caller = {&request->identity, request->authorization,
                                request->client_address};
    if (!hub_join(worker->live, request->route, wire, &caller, &stream->watcher, &err)) {
        request_fail(request, &err, NULL);
        return;
    }
    request->state = stream;
    request->on_gone = on_gone;
    stream->begin_timer = loop_timer_start(worker->loop, BEGIN_AFTER_US, on_begin_timer, stream);
}
