/* The way of an upload: socket → (multipart) → messages → upstream's flow control, which is felt by
 * the socket.
 *
 * The first message carries the fields of path, query and form, later ones only a piece of the
 * file. The call begins with the file part; a fault in the form before that has cost no service
 * anything, and one after it cancels the call, which the service rolls back. If the service answers
 * before the end, reading stops and the answer is passed on. */
#include "gateway/call/upload.h"

#include "base/wire.h"
#include "gateway/call/unary.h"
#include "gateway/policy/media.h"
#include "gateway/policy/problem.h"
#include "gateway/route/bind.h"
#include "gateway/route/multipart.h"
#include "gateway/route/transcode.h"
#include "json/json.h"

#include <stdio.h>

#define PIECE_BYTES (64 * 1024)
#define WAITING_LIMIT (128 * 1024)
#define FIELD_BYTES 4096
#define VIOLATIONS_MAX 100

struct upload {
    struct request *request;
    struct buf fields; /* wire of the first message; freed when it is sent or the request ends */
    struct violations violations;
    struct bind_seen *seen;
    bool is_multipart;
    bool in_file, had_file; /* form: the file part is coming, has come */
    bool is_async;          /* "Prefer: respond-async": 202 is the answer */
    bool paused;            /* the upstream is full: the socket waits */
    bool ended;
    char field_name[128]; /* form: the field part that is coming */
    char field[FIELD_BYTES];
    size_t field_length;
    struct multipart multipart;
};

static void on_writable(struct upstream_call *call);
static void on_done(struct upstream_call *call, const struct err *status);
static bool on_part(void *context, const struct multipart_part *part);
static bool on_part_data(void *context, struct str data);
static bool on_part_end(void *context);
static void answer_accepted(struct request *request, struct str reply);

static const struct upstream_handler upload_handler = {.on_writable = on_writable,
                                                       .on_done = on_done};
static const struct multipart_handler form_handler = {on_part, on_part_data, on_part_end};

static void done(struct upload *upload)
{
    buf_done(&upload->fields);
    upload->ended = true;
}

static void on_gone(struct request *request)
{
    done(request->state);
}

/* Ends everything with an answer. Always false, for callers that are asked whether to go on. */
static bool fail(struct upload *upload, const struct err *err)
{
    struct request *request = upload->request;

    if (request->call) {
        upstream_call_cancel(request->call);
        request->call = NULL;
    }
    done(upload);
    request_fail(request, err, NULL);
    return false;
}

static bool __attribute__((format(printf, 2, 3)))
fail_text(struct upload *upload, const char *format, ...)
{
    struct err err = {.code = ERR_INVALID_ARGUMENT};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(err.message, sizeof(err.message), format, arguments);
    va_end(arguments);
    return fail(upload, &err);
}

/* The call, and its first message. */
static bool begin_call(struct upload *upload, struct str file_name, struct str content_type)
{
    struct request *request = upload->request;
    const struct route *route = request->route;
    struct upstream_request upstream;
    struct err err = {0};

    if (upload->violations.count) {
        err_set_violations(&err, &upload->violations);
        return fail(upload, &err);
    }
    if (route->file_name && file_name.length)
        wire_put_bytes(&upload->fields, route->file_name->number, file_name);
    if (route->content_type && content_type.length &&
        utf8_is_valid(content_type.data, content_type.length))
        wire_put_bytes(&upload->fields, route->content_type->number, content_type);
    if (upload->fields.failed) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The form's fields are too large");
        return fail(upload, &err);
    }
    if (!request_upstream(request, &upstream)) {
        done(upload);
        return false;
    }
    upstream.streaming = true;
    request->call = upstream_call_start(request->worker->route_upstreams[route->index], &upstream,
                                        &upload_handler, request);
    if (!request->call) {
        err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
        return fail(upload, &err);
    }
    upstream_call_send(request->call, buf_str(&upload->fields));
    buf_done(&upload->fields);
    return true;
}

static void send_pieces(struct upload *upload, struct str data)
{
    struct request *request = upload->request;

    while (data.length) {
        struct buf *message = worker_scratch(&request->worker->wire);
        size_t part = data.length < PIECE_BYTES ? data.length : PIECE_BYTES;
        wire_put_bytes(message, request->route->chunk->number, (struct str){data.data, part});
        upstream_call_send(request->call, buf_str(message));
        data = (struct str){data.data + part, data.length - part};
    }
}

static bool on_part(void *context, const struct multipart_part *part)
{
    struct upload *upload = context;
    const char *file_part = upload->request->route->method->multipart_part;

    if (str_equal_cstr(part->name, file_part ? file_part : "file")) {
        if (upload->had_file)
            return fail_text(upload, "The form has more than one part named \"%s\"",
                             file_part ? file_part : "file");
        upload->in_file = upload->had_file = true;
        return begin_call(upload, part->file_name, part->content_type);
    }
    size_t length = part->name.length < sizeof(upload->field_name) - 1
                        ? part->name.length
                        : sizeof(upload->field_name) - 1;
    memcpy(upload->field_name, part->name.data, length);
    upload->field_name[length] = '\0';
    if (upload->had_file)
        return fail_text(upload, "The form part \"%s\" must come before the file",
                         upload->field_name);
    upload->field_length = 0;
    return true;
}

static bool on_part_data(void *context, struct str data)
{
    struct upload *upload = context;

    if (upload->in_file) {
        send_pieces(upload, data);
        return true;
    }
    if (data.length > sizeof(upload->field) - upload->field_length)
        return fail_text(upload, "The form part \"%s\" is too long", upload->field_name);
    memcpy(upload->field + upload->field_length, data.data, data.length);
    upload->field_length += data.length;
    return true;
}

static bool on_part_end(void *context)
{
    struct upload *upload = context;
    struct arena *arena = request_arena(upload->request);

    if (upload->in_file) {
        upload->in_file = false;
        return true;
    }
    struct str value = {upload->field, upload->field_length};
    if (!utf8_is_valid(value.data, value.length))
        return fail_text(upload, "The form part \"%s\" is not UTF-8", upload->field_name);
    if (!upload->seen)
        upload->seen = bind_seen_new(arena);
    if (!upload->seen || !bind_value(upload->request->route, str_from(upload->field_name), value,
                                     upload->seen, arena, &upload->fields, &upload->violations))
        return fail_text(upload, "The form is too large");
    return true;
}

static void end_of_body(struct upload *upload)
{
    struct request *request = upload->request;
    const char *file_part = request->route->method->multipart_part;
    struct err err = {0};

    if (upload->is_multipart && !multipart_end(&upload->multipart, &err)) {
        fail(upload, &err);
        return;
    }
    if (upload->is_multipart && !upload->had_file) {
        fail_text(upload, "The form has no part named \"%s\"", file_part ? file_part : "file");
        return;
    }
    upload->ended = true;
    upstream_call_half_close(request->call);
}

static void on_body(struct exchange *exchange, struct str data, bool end)
{
    struct request *request = exchange_state(exchange);
    struct upload *upload = request->state;
    struct err err = {0};

    if (request->answered || upload->ended)
        return;
    if (!upload->is_multipart) {
        send_pieces(upload, data);
    } else if (!multipart_feed(&upload->multipart, data, &err)) {
        if (err_is_set(&err))
            fail(upload, &err);
        return; /* else a callback has answered */
    }
    if (end) {
        end_of_body(upload);
        return;
    }
    upload->paused = request->call && upstream_call_waiting(request->call) > WAITING_LIMIT;
    if (!upload->paused)
        exchange_body_next(exchange);
}

static void on_writable(struct upstream_call *call)
{
    struct request *request = upstream_call_context(call);
    struct upload *upload = request->state;

    if (!upload->paused)
        return;
    upload->paused = false;
    exchange_body_next(request->exchange);
}

static void on_done(struct upstream_call *call, const struct err *status)
{
    struct request *request = upstream_call_context(call);

    struct upload *upload = request->state;

    request->call = NULL;
    done(upload);
    if (status->code != ERR_OK)
        request_fail(request, status, NULL);
    else if (upload->is_async)
        answer_accepted(request, upstream_call_reply(call));
    else
        unary_answer(request, upstream_call_reply(call));
}

/* 202: the file is safe and will be worked through; Location says where to look. */
static void answer_accepted(struct request *request, struct str reply)
{
    struct answer_headers headers = {.count = 0};
    struct worker *worker = request->worker;
    struct buf *json = worker_scratch(&worker->json);
    struct buf *location = worker_scratch(&worker->text);
    const struct schema_method *method = request->route->method;
    struct err err = {0};

    if (!json_print(worker->gateway->schema, method->output, reply, JSON_PRINT_CONTRACT, json,
                    &err)) {
        request_fail_code(request, ERR_INTERNAL, REASON_BAD_GATEWAY,
                          "The answer of the service could not be read");
        return;
    }
    answer_header(&headers, "content-type", STR_LITERAL("application/json"));
    answer_header(&headers, "preference-applied", STR_LITERAL("respond-async"));
    if (transcode_template(request->route, method->async_location, reply, location))
        answer_header(&headers, "location", buf_str(location));
    request_answer(request, 202, &headers, buf_str(json));
}

static void on_too_large(struct exchange *exchange)
{
    struct request *request = exchange_state(exchange);
    struct err err = {0};

    err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "The upload is larger than %lld bytes",
            (long long)request->worker->gateway->options.upload_limit_bytes);
    fail(request->state, &err);
}

static bool init_form(struct upload *upload, const struct media_type *media)
{
    char boundary[80];

    upload->is_multipart = true;
    if (media_type_parameter(media, "boundary", boundary, sizeof(boundary)) &&
        multipart_init(&upload->multipart, str_from(boundary), &form_handler, upload))
        return true;
    return fail_text(upload, "multipart/form-data needs a boundary in its Content-Type");
}

/* A raw body is a file when nobody says otherwise; what it holds decides. A browser's form without
 * a file, or JSON, is a mistake that is better named than read as a list. */
static bool is_file_type(const struct media_type *media)
{
    static const char *const types[] = {
        "text/csv",
        "text/plain",
        "text/tab-separated-values",
        "application/csv",
        "application/octet-stream",
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (media_type_is(media, types[i]))
            return true;
    return false;
}

static bool fail_media_type(struct upload *upload, const struct media_type *media)
{
    struct err err = {0};

    err_set(&err, ERR_INVALID_ARGUMENT, REASON_MEDIA_TYPE,
            "An upload must be multipart/form-data, or the file itself as text/csv or "
            "application/octet-stream; got %.*s",
            (int)(media->type.length < 100 ? media->type.length : 100), media->type.data);
    return fail(upload, &err);
}

/* RFC 7240: "respond-async" among the comma-separated preferences, in any case, with or without
 * parameters. */
static bool prefers_async(struct str header)
{
    while (header.length) {
        const char *comma = memchr(header.data, ',', header.length);
        size_t length = comma ? (size_t)(comma - header.data) : header.length;
        struct str one = str_trim((struct str){header.data, length});
        const char *semicolon = one.length ? memchr(one.data, ';', one.length) : NULL;

        if (semicolon)
            one = str_trim((struct str){one.data, (size_t)(semicolon - one.data)});
        if (str_equal_ignore_case(one, STR_LITERAL("respond-async")))
            return true;
        length += comma ? 1 : 0;
        header = (struct str){header.data + length, header.length - length};
    }
    return false;
}

/* Fields of the first message that are headers in HTTP. */
static void bind_headers(struct upload *upload)
{
    struct request *request = upload->request;
    const struct schema_method *method = request->route->method;

    for (size_t i = 0; i < method->header_count; i++) {
        struct str value = exchange_header(request->exchange, method->headers[i].name);

        if (value.length)
            json_parse_scalar(method->headers[i].field, value, method->headers[i].name,
                              &upload->fields, &upload->violations);
    }
    upload->is_async =
        method->async_field && prefers_async(exchange_header(request->exchange, "prefer"));
    if (upload->is_async)
        json_parse_scalar(method->async_field, STR_LITERAL("true"), "prefer", &upload->fields,
                          &upload->violations);
}

/* A file may come packed; a form is text with a file in it. */
static bool takes_encoding(struct upload *upload, bool is_form)
{
    struct str encoding = exchange_header(upload->request->exchange, "content-encoding");
    struct err err = {0};

    if (!encoding.length || str_equal_ignore_case(encoding, STR_LITERAL("identity")) ||
        (!is_form && str_equal_ignore_case(encoding, STR_LITERAL("gzip"))))
        return true;
    if (is_form)
        err_set(&err, ERR_INVALID_ARGUMENT, REASON_MEDIA_TYPE,
                "A form cannot be packed: send the file itself as the body with Content-Encoding: "
                "gzip, or a packed file in the form");
    else
        err_set(&err, ERR_INVALID_ARGUMENT, REASON_MEDIA_TYPE,
                "Content-Encoding may be gzip, not \"%.*s\"",
                encoding.length < 40 ? (int)encoding.length : 40, encoding.data);
    return fail(upload, &err);
}

void upload_start(struct request *request)
{
    struct exchange *exchange = request->exchange;
    struct arena *arena = request_arena(request);
    struct str content_type = exchange_header(exchange, "content-type");
    struct media_type media;
    struct err err = {0};

    if (!unary_accepts_json(request))
        return;
    struct upload *upload = ARENA_NEW(arena, struct upload);
    if (!upload) {
        request_fail_code(request, ERR_RESOURCE_EXHAUSTED, REASON_OVERLOADED, "Out of memory");
        return;
    }
    upload->request = request;
    request->state = upload;
    request->on_gone = on_gone;
    buf_init(&upload->fields, PIECE_BYTES);
    violations_init(&upload->violations, arena, VIOLATIONS_MAX);
    bind_headers(upload);
    if (!bind_path(&request->match, arena, &upload->fields, &upload->violations, &err) ||
        !bind_query(request->route, request->query, arena, &upload->fields, &upload->violations,
                    &err) ||
        (upload->violations.count && !err_set_violations(&err, &upload->violations))) {
        fail(upload, &err);
        return;
    }
    if (content_type.length && !media_type_parse(content_type, &media)) {
        fail_text(upload, "The Content-Type is malformed");
        return;
    }
    bool is_form = content_type.length && media_type_is(&media, "multipart/form-data");
    if (!is_form && content_type.length && !is_file_type(&media)) {
        fail_media_type(upload, &media);
        return;
    }
    if (!takes_encoding(upload, is_form))
        return;
    if (is_form ? !init_form(upload, &media)
                : !begin_call(upload, (struct str){NULL, 0}, content_type))
        return;
    exchange_body_limit(exchange, (uint64_t)request->worker->gateway->options.upload_limit_bytes,
                        on_too_large);
    exchange_body_start(exchange, on_body);
}
