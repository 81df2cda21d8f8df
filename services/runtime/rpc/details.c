/* google.rpc.Status by hand, because it must fit: clients refuse more than 8 KB of metadata, and a
 * configuration can have hundreds of mistakes. */
#include "rpc/internal.h"

#include "base/wire.h"

#include <stdio.h>

#define TYPE_PREFIX "type.googleapis.com/google.rpc."
#define DOMAIN "dialplane"

/* One entry's text is cut, so that the first violations always fit. */
#define FIELD_LIMIT 200
#define DESCRIPTION_LIMIT 400
/* Kept free for "and N more" and for the frame around the list. */
#define RESERVE 120

/* At most `limit` bytes, not in the middle of a character. */
static struct str cut(const char *text, size_t limit)
{
    struct str whole = str_from(text ? text : "");
    if (whole.length <= limit)
        return whole;
    size_t length = limit;
    while (length > 0 && ((unsigned char)whole.data[length] & 0xC0) == 0x80)
        length--;
    return (struct str){whole.data, length};
}

static void put_any(struct buf *out, const char *type, const struct buf *value)
{
    struct buf any;
    buf_init(&any, RPC_DETAILS_LIMIT);
    wire_put_bytes(&any, 1, str_from(type));
    wire_put_bytes(&any, 2, buf_str(value));
    wire_put_bytes(out, 3, buf_str(&any)); /* Status.details */
    out->failed |= any.failed;
    buf_done(&any);
}

/* ErrorInfo { reason = 1, domain = 2, metadata = 3 } */
static void put_error_info(struct buf *out, const struct err *err)
{
    struct buf info;
    buf_init(&info, RPC_DETAILS_LIMIT);
    wire_put_bytes(&info, 1, str_from(err->reason));
    wire_put_bytes(&info, 2, STR_LITERAL(DOMAIN));
    put_any(out, TYPE_PREFIX "ErrorInfo", &info);
    buf_done(&info);
}

/* RetryInfo { retry_delay = 1 { seconds = 1 } } */
static void put_retry_info(struct buf *out, const struct err *err)
{
    struct buf delay, info;
    buf_init(&delay, 64);
    buf_init(&info, 64);
    wire_put_tag(&delay, 1, 0);
    wire_put_varint(&delay, err->retry_after_seconds);
    wire_put_bytes(&info, 1, buf_str(&delay));
    put_any(out, TYPE_PREFIX "RetryInfo", &info);
    buf_done(&delay);
    buf_done(&info);
}

/* FieldViolation { field = 1, description = 2 } in BadRequest.field_violations = 1. False when it
 * would pass `limit`. */
static bool put_violation(struct buf *out, struct str field, struct str description, size_t limit)
{
    struct buf one;
    buf_init(&one, RPC_DETAILS_LIMIT);
    if (field.length)
        wire_put_bytes(&one, 1, field);
    wire_put_bytes(&one, 2, description);
    bool fits = out->length + one.length + 8 <= limit;
    if (fits)
        wire_put_bytes(out, 1, buf_str(&one));
    buf_done(&one);
    return fits;
}

static void put_bad_request(struct buf *out, const struct violations *violations)
{
    size_t limit = RPC_DETAILS_LIMIT - out->length - RESERVE;
    struct buf list;
    buf_init(&list, RPC_DETAILS_LIMIT);
    size_t written = 0;
    for (const struct violation *v = violations->first; v; v = v->next) {
        if (!put_violation(&list, cut(v->field, FIELD_LIMIT), cut(v->message, DESCRIPTION_LIMIT),
                           limit))
            break;
        written++;
    }
    if (written < violations->count) {
        char more[40];
        snprintf(more, sizeof(more), "and %zu more", violations->count - written);
        put_violation(&list, (struct str){NULL, 0}, str_from(more), limit + RESERVE / 2);
    }
    put_any(out, TYPE_PREFIX "BadRequest", &list);
    buf_done(&list);
}

void rpc_put_details(const struct err *err, struct buf *out)
{
    wire_put_tag(out, 1, 0);
    wire_put_varint(out, (uint64_t)err->code);
    wire_put_bytes(out, 2, cut(err->message, sizeof(err->message)));
    if (err->reason[0])
        put_error_info(out, err);
    if (err->retry_after_seconds)
        put_retry_info(out, err);
    if (err->violations && err->violations->count)
        put_bad_request(out, err->violations);
}
