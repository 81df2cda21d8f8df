/* What an operation answers: its success, and the errors that it can really have. */
#include "gateway/pages/openapi_writer.h"

#include <stdio.h>
#include <string.h>

/* Reasons with a status of their own; every other reason of a method is a 409. */
static const char etag_mismatch[] = "ETAG_MISMATCH";
static const char too_large[] = "TOO_LARGE";

bool openapi_has_reason(const struct schema_method *method, const char *reason)
{
    for (size_t i = 0; i < method->error_reason_count; i++)
        if (strcmp(method->error_reasons[i], reason) == 0)
            return true;
    return false;
}

/* "headers": {"ETag": …, "Location": …} of a success. */
static void write_headers(struct writer *writer, const struct schema_method *method, bool has_etag)
{
    write_key(writer, "headers");
    write_open(writer, '{');
    write_raw(writer, "\"X-Request-Id\":{\"$ref\":\"#/components/headers/RequestId\"}");
    if (has_etag)
        write_raw(writer, "\"ETag\":{\"$ref\":\"#/components/headers/ETag\"}");
    if (method->location && method->http_status == 201)
        write_raw(writer, "\"Location\":{\"description\":\"The path of what was created.\","
                          "\"schema\":{\"type\":\"string\"}}");
    write_close(writer, '}');
}

/* One media type of a stream: text that goes on until the end, whose messages have a schema. */
static void write_stream_type(struct writer *writer, const struct schema_method *method,
                              const char *operation_id, const char *type, const char *part,
                              const char *description)
{
    write_key(writer, type);
    write_open(writer, '{');
    write_key(writer, "schema");
    write_open(writer, '{');
    write_member(writer, "type", "string");
    write_member(writer, "description", description);
    write_close(writer, '}');
    write_key(writer, "x-itemSchema"); /* OpenAPI 3.2 calls it itemSchema */
    write_message_reference(writer, method->output);
    write_example(writer, operation_id, part);
    write_close(writer, '}');
}

static void write_content(struct writer *writer, const struct schema_method *method,
                          const char *operation_id)
{
    write_key(writer, "content");
    write_open(writer, '{');
    if (method->download_type) {
        write_key(writer, method->download_type);
        write_open(writer, '{');
        write_raw(writer, "\"schema\":{\"type\":\"string\"}");
        write_example(writer, operation_id, "answer");
        write_close(writer, '}');
    } else if (method->server_streaming) {
        write_stream_type(writer, method, operation_id, "application/x-ndjson", "lines",
                          "One message a line. An error in mid-stream is a last line "
                          "{\"error\": <problem>}.");
        write_stream_type(writer, method, operation_id, "text/event-stream", "events",
                          "Server-sent events: `event` is the message's type, `id` its seq, `data` "
                          "the message. An error in mid-stream is an event of type `error` whose "
                          "data is the problem. A comment line comes every 15 s.");
    } else {
        write_key(writer, "application/json");
        write_open(writer, '{');
        write_key(writer, "schema");
        write_message_reference(writer, method->output);
        write_example(writer, operation_id, "answer");
        write_close(writer, '}');
    }
    write_close(writer, '}');
}

static void write_shared(struct writer *writer, const char *status, const char *name)
{
    char reference[96];
    snprintf(reference, sizeof(reference), "{\"$ref\":\"#/components/responses/%s\"}", name);
    write_key(writer, status);
    write_raw(writer, reference);
}

/* The conflicts of one method, by the reasons that its .proto names. */
static void write_conflict(struct writer *writer, const struct schema_method *method,
                           const char *operation_id)
{
    size_t count = 0;
    for (size_t i = 0; i < method->error_reason_count; i++)
        count += strcmp(method->error_reasons[i], etag_mismatch) != 0 &&
                 strcmp(method->error_reasons[i], too_large) != 0;
    if (!count)
        return;
    write_key(writer, "409");
    write_open(writer, '{');
    write_member(writer, "description",
                 "It conflicts with what is there, or the state does not allow it; `reason` says "
                 "which.");
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "application/problem+json");
    write_open(writer, '{');
    write_key(writer, "schema");
    write_open(writer, '{');
    write_raw(writer, "\"allOf\":[{\"$ref\":\"#/components/schemas/Problem\"}]");
    write_key(writer, "properties");
    write_open(writer, '{');
    write_key(writer, "reason");
    write_open(writer, '{');
    write_member(writer, "type", "string");
    write_key(writer, "enum");
    write_open(writer, '[');
    for (size_t i = 0; i < method->error_reason_count; i++)
        if (strcmp(method->error_reasons[i], etag_mismatch) != 0 &&
            strcmp(method->error_reasons[i], too_large) != 0)
            write_text(writer, method->error_reasons[i]);
    write_close(writer, ']');
    write_close(writer, '}');
    write_close(writer, '}');
    write_close(writer, '}');
    write_example(writer, operation_id, "conflict");
    write_close(writer, '}');
    write_close(writer, '}');
    write_close(writer, '}');
}

static void write_errors(struct writer *writer, const struct schema_method *method,
                         const struct schema_binding *binding, const char *operation_id)
{
    bool has_body = binding->body_field || binding->body_whole;
    write_shared(writer, "400", "BadRequest");
    write_shared(writer, "401", "Unauthorized");
    write_shared(writer, "403", "Forbidden");
    /* What a stream is about may be named in its query. */
    if (strchr(binding->template_text, '{') || method->server_streaming)
        write_shared(writer, "404", "NotFound");
    write_shared(writer, "406", "NotAcceptable");
    write_conflict(writer, method, operation_id);
    if (openapi_has_reason(method, etag_mismatch))
        write_shared(writer, "412", "PreconditionFailed");
    if (has_body || openapi_has_reason(method, too_large) || strcmp(binding->verb, "POST") == 0) {
        write_shared(writer, "413", "ContentTooLarge");
        write_shared(writer, "415", "UnsupportedMediaType");
    }
    write_shared(writer, "429", "TooManyRequests");
    write_shared(writer, "503", "ServiceUnavailable");
    write_shared(writer, "504", "GatewayTimeout");
    write_shared(writer, "default", "Problem");
}

static const char *success_description(const struct schema_method *method)
{
    if (method->http_status == 204)
        return "Done; there is no body.";
    if (method->http_status == 201)
        return "Created; Location names it.";
    if (method->download_type)
        return "The file. Cut off without its last chunk, it is not whole.";
    return method->server_streaming ? "The stream." : "The answer.";
}

/* What an upload answers to "Prefer: respond-async". */
static void write_async(struct writer *writer, const struct schema_method *method)
{
    write_key(writer, "202");
    write_open(writer, '{');
    write_member(writer, "description",
                 "With Prefer: respond-async: the file is safe; Location tells how far it is.");
    write_raw(writer, "\"headers\":{\"X-Request-Id\":{\"$ref\":\"#/components/headers/"
                      "RequestId\"},\"Location\":{\"description\":\"The path of the upload.\","
                      "\"schema\":{\"type\":\"string\"}}}");
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "application/json");
    write_open(writer, '{');
    write_key(writer, "schema");
    write_message_reference(writer, method->output);
    write_close(writer, '}');
    write_close(writer, '}');
    write_close(writer, '}');
}

void write_responses(struct writer *writer, const struct schema_method *method,
                     const struct schema_binding *binding, const char *operation_id)
{
    bool is_get = strcmp(binding->verb, "GET") == 0;
    bool has_etag =
        !method->server_streaming && method->http_status == 200 &&
        (is_get || strcmp(binding->verb, "PUT") == 0 || strcmp(binding->verb, "PATCH") == 0);
    char status[8];
    snprintf(status, sizeof(status), "%u", method->http_status);
    write_key(writer, "responses");
    write_open(writer, '{');
    if (method->websocket)
        write_shared(writer, "101", "WebSocket");
    write_key(writer, status);
    write_open(writer, '{');
    write_member(writer, "description", success_description(method));
    write_headers(writer, method, has_etag);
    if (method->http_status != 204)
        write_content(writer, method, operation_id);
    write_close(writer, '}');
    if (method->async_field)
        write_async(writer, method);
    if (has_etag && is_get)
        write_shared(writer, "304", "NotModified");
    write_errors(writer, method, binding, operation_id);
    write_close(writer, '}');
}

static void write_problem_response(struct writer *writer, const char *name, const char *example,
                                   const char *description, bool has_retry_after)
{
    write_key(writer, name);
    write_open(writer, '{');
    write_member(writer, "description", description);
    write_key(writer, "headers");
    write_open(writer, '{');
    write_raw(writer, "\"X-Request-Id\":{\"$ref\":\"#/components/headers/RequestId\"}");
    if (strcmp(example, "429") == 0)
        write_raw(writer, "\"RateLimit\":{\"$ref\":\"#/components/headers/RateLimit\"},"
                          "\"RateLimit-Policy\":{\"$ref\":"
                          "\"#/components/headers/RateLimitPolicy\"}");
    if (has_retry_after)
        write_raw(writer, "\"Retry-After\":{\"$ref\":\"#/components/headers/RetryAfter\"}");
    write_close(writer, '}');
    write_key(writer, "content");
    write_open(writer, '{');
    write_key(writer, "application/problem+json");
    write_open(writer, '{');
    write_raw(writer, "\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}");
    write_example(writer, "Problem", example);
    write_close(writer, '}');
    write_close(writer, '}');
    write_close(writer, '}');
}

void write_shared_responses(struct writer *writer, bool has_websocket)
{
    static const struct {
        const char *name, *example, *description;
        bool has_retry_after;
    } problems[] = {
        {"BadRequest", "400",
         "The request is not valid; `errors` lists everything that is wrong, each with its path.",
         false},
        {"Unauthorized", "401",
         "The token is missing or not good; `reason` and WWW-Authenticate (RFC 6750) say why.",
         false},
        {"Forbidden", "403",
         "The token's roles do not allow it (`reason` is ROLE_NOT_ALLOWED), or a WebSocket was "
         "asked for by a page whose Origin is not among the allowed ones.",
         false},
        {"NotFound", "404", "There is no such thing.", false},
        {"NotAcceptable", "406", "The Accept header excludes what this answers with.", false},
        {"PreconditionFailed", "412",
         "It has been changed since: If-Match does not match. `reason` is ETAG_MISMATCH.", false},
        {"ContentTooLarge", "413", "The body is larger than the gateway allows.", false},
        {"UnsupportedMediaType", "415", "The Content-Type is not one of those above.", false},
        {"TooManyRequests", "429",
         "Too many requests of this kind: `reason` is RATE_LIMITED, and Retry-After says when the "
         "next one is allowed. Or too much of something at once, which `detail` names.",
         true},
        {"ServiceUnavailable", "503",
         "A service behind the gateway is away; try again after Retry-After.", true},
        {"GatewayTimeout", "504", "It took too long.", false},
        {"Problem", "default", "Any other error, in the one shape that all errors have.", false},
    };
    write_key(writer, "responses");
    write_open(writer, '{');
    for (size_t i = 0; i < sizeof(problems) / sizeof(*problems); i++)
        write_problem_response(writer, problems[i].name, problems[i].example,
                               problems[i].description, problems[i].has_retry_after);
    write_raw(writer, "\"NotModified\":{\"description\":\"Unchanged since the answer whose ETag "
                      "If-None-Match names; there is no body.\",\"headers\":{\"ETag\":{\"$ref\":"
                      "\"#/components/headers/ETag\"}}}");
    if (has_websocket) {
        write_key(writer, "WebSocket");
        write_open(writer, '{');
        write_member(
            writer, "description",
            "The connection is a WebSocket now (asked for by `Upgrade: websocket`): every text "
            "message is one message of the stream as JSON; an error is {\"type\": \"error\", "
            "\"message\": …}. The text `ping` is answered by the text `pong`. Closed with 1000 "
            "after the end, 1011 after an error, 1012 when a service restarts (come back and "
            "resume), 1013 when the client is too slow, 4401 and 4403 as the statuses 401 and 403, "
            "4404 when there is no such thing.");
        write_close(writer, '}');
    }
    write_close(writer, '}');
    write_raw(writer,
              "\"headers\":{"
              "\"ETag\":{\"description\":\"Tag of this answer, for If-None-Match and If-Match.\","
              "\"schema\":{\"type\":\"string\"}},"
              "\"RequestId\":{\"description\":\"The request's id: the one sent as X-Request-Id, or "
              "a new one. Every log line about the request has it.\",\"schema\":{\"type\":"
              "\"string\"}},"
              "\"RateLimit\":{\"description\":\"What each policy has left (r) and after how many "
              "seconds it is whole again (t): draft-ietf-httpapi-ratelimit-headers.\","
              "\"schema\":{\"type\":\"string\"}},"
              "\"RateLimitPolicy\":{\"description\":\"What may be asked for: the quota (q) and the "
              "seconds in which it comes (w).\",\"schema\":{\"type\":\"string\"}},"
              "\"RetryAfter\":{\"description\":\"Seconds to wait before trying again.\",\"schema\":"
              "{\"type\":\"integer\"}}}");
}
