#include "gateway/policy/problem.h"

static const struct {
    const char *reason;
    unsigned status;
} reasons[] = {
    {REASON_BAD_GATEWAY, 502}, {REASON_METHOD_NOT_ALLOWED, 405}, {REASON_NOT_ACCEPTABLE, 406},
    {REASON_MEDIA_TYPE, 415},  {REASON_OVERLOADED, 503},
};

unsigned problem_status(const struct err *err)
{
    switch (err->code) {
    case ERR_INVALID_ARGUMENT:
    case ERR_OUT_OF_RANGE:
        break;
    case ERR_FAILED_PRECONDITION:
        return strcmp(err->reason, REASON_ETAG_MISMATCH) == 0 ? 412 : 409;
    case ERR_UNAUTHENTICATED:
        return 401;
    case ERR_PERMISSION_DENIED:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_ALREADY_EXISTS:
    case ERR_ABORTED:
        return 409;
    case ERR_CANCELLED:
        return 499;
    case ERR_RESOURCE_EXHAUSTED:
        if (strcmp(err->reason, REASON_OVERLOADED) == 0)
            return 503;
        return strcmp(err->reason, REASON_TOO_LARGE) == 0 ? 413 : 429;
    case ERR_UNIMPLEMENTED:
        return strcmp(err->reason, REASON_METHOD_NOT_ALLOWED) == 0 ? 405 : 501;
    case ERR_UNAVAILABLE:
        return 503;
    case ERR_DEADLINE_EXCEEDED:
        return 504;
    default:
        return strcmp(err->reason, REASON_BAD_GATEWAY) == 0 ? 502 : 500;
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(err->reason, reasons[i].reason) == 0)
            return reasons[i].status;
    return 400;
}

const char *problem_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

const char *problem_field(const char *path, const char *strip)
{
    size_t length = strip ? strlen(strip) : 0;

    if (length && strncmp(path, strip, length) == 0 && path[length] == '.')
        return path + length + 1;
    return path;
}

void problem_print(const struct err *err, const char *strip, struct str request_id, struct buf *out)
{
    unsigned status = problem_status(err);
    const char *title = problem_title(status);
    const struct violation *violation = err->violations ? err->violations->first : NULL;

    buf_put_cstr(out, "{\"type\":\"about:blank\",\"title\":");
    buf_put_json_string(out, str_from(title));
    buf_printf(out, ",\"status\":%u,\"code\":\"%s\"", status, err_code_name(err->code));
    if (err->reason[0]) {
        buf_put_cstr(out, ",\"reason\":");
        buf_put_json_string(out, str_from(err->reason));
    }
    buf_put_cstr(out, ",\"detail\":");
    /* A single violation is told in the message as well, field first. */
    const char *detail = violation ? problem_field(err->message, strip) : err->message;
    buf_put_json_string(out, str_from(detail[0] ? detail : title));
    buf_put_cstr(out, ",\"errors\":[");
    for (; violation; violation = violation->next) {
        buf_put_cstr(out, "{\"field\":");
        buf_put_json_string(out, str_from(problem_field(violation->field, strip)));
        buf_put_cstr(out, ",\"message\":");
        buf_put_json_string(out, str_from(violation->message));
        buf_put_cstr(out, violation->next ? "}," : "}");
    }
    buf_put_cstr(out, "],\"request_id\":");
    buf_put_json_string(out, request_id);
    buf_put_char(out, '}');
}
