#include "gateway/upstream/status.h"

#include "base/wire.h"
#include "gateway/route/percent.h"

#define VIOLATIONS_MAX 1000
#define DETAILS_MAX (64 * 1024)

static int base64_value(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

long base64_decode(struct str text, void *out, size_t out_size)
{
    uint8_t *bytes = out;
    size_t length = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;

    while (text.length && text.data[text.length - 1] == '=')
        text.length--;
    if (text.length % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.length; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            if (length == out_size)
                return -1;
            bit_count -= 8;
            bytes[length++] = (uint8_t)(bits >> bit_count);
        }
    }
    return (long)length;
}

static void copy_text(char *out, size_t out_size, struct str text)
{
    size_t length = text.length < out_size ? text.length : out_size - 1;

    /* Never cut a character in two. */
    while (length && length < text.length && (text.data[length] & 0xC0) == 0x80)
        length--;
    if (length && !utf8_is_valid(text.data, length))
        length = 0;
    if (length)
        memcpy(out, text.data, length);
    out[length] = '\0';
}

static void read_violation(struct str wire, struct arena *arena, struct violations *violations)
{
    struct wire_reader reader;
    struct str field = {"", 0}, description = {"", 0};

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number == 1 && reader.type == 2)
            field = reader.bytes;
        else if (reader.number == 2 && reader.type == 2)
            description = reader.bytes;
    }
    char *name = arena_strndup(arena, field.length ? field.data : "", field.length);
    if (name)
        violations_add(violations, name, "%.*s", (int)description.length,
                       description.length ? description.data : "");
}

static void read_bad_request(struct str wire, struct arena *arena, struct err *status)
{
    struct violations *violations = arena ? ARENA_NEW(arena, struct violations) : NULL;
    struct wire_reader reader;

    if (!violations)
        return;
    violations_init(violations, arena, VIOLATIONS_MAX);
    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader))
        if (reader.number == 1 && reader.type == 2)
            read_violation(reader.bytes, arena, violations);
    if (violations->count)
        status->violations = violations;
}

static void read_error_info(struct str wire, struct err *status)
{
    struct wire_reader reader;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader))
        if (reader.number == 1 && reader.type == 2)
            copy_text(status->reason, sizeof(status->reason), reader.bytes);
}

/* RetryInfo { Duration retry_delay = 1; } with Duration { int64 seconds = 1; int32 nanos = 2; }:
 * whole seconds, rounded up. */
static void read_retry_info(struct str wire, struct err *status)
{
    struct wire_reader reader, duration;
    uint64_t seconds = 0;

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number != 1 || reader.type != 2)
            continue;
        wire_reader_init(&duration, reader.bytes);
        while (wire_reader_next(&duration)) {
            if (duration.number == 1)
                seconds += duration.integer;
            else if (duration.number == 2 && duration.integer)
                seconds += 1;
        }
    }
    if (seconds && seconds <= 86400)
        status->retry_after_seconds = (uint32_t)seconds;
}

static void read_any(struct str wire, struct arena *arena, struct err *status)
{
    struct wire_reader reader;
    struct str type = {"", 0}, value = {NULL, 0};

    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (reader.number == 1 && reader.type == 2)
            type = reader.bytes;
        else if (reader.number == 2 && reader.type == 2)
            value = reader.bytes;
    }
    const char *slash = type.length ? memrchr(type.data, '/', type.length) : NULL;
    if (slash)
        type = (struct str){slash + 1, (size_t)(type.data + type.length - slash - 1)};
    if (str_equal_cstr(type, "google.rpc.BadRequest"))
        read_bad_request(value, arena, status);
    else if (str_equal_cstr(type, "google.rpc.ErrorInfo"))
        read_error_info(value, status);
    else if (str_equal_cstr(type, "google.rpc.RetryInfo"))
        read_retry_info(value, status);
}

void status_read_details(struct str status, struct arena *arena, struct err *ret_status)
{
    struct wire_reader reader;

    wire_reader_init(&reader, status);
    while (wire_reader_next(&reader)) {
        if (reader.type != 2)
            continue;
        if (reader.number == 2)
            copy_text(ret_status->message, sizeof(ret_status->message), reader.bytes);
        else if (reader.number == 3)
            read_any(reader.bytes, arena, ret_status);
    }
}

void status_read(unsigned grpc_status, char *message, size_t message_length,
                 struct str details_base64, uint32_t retry_after_seconds, struct arena *arena,
                 struct err *ret_status)
{
    memset(ret_status, 0, sizeof(*ret_status));
    ret_status->code =
        grpc_status <= ERR_UNAUTHENTICATED ? (enum err_code)grpc_status : ERR_UNKNOWN;
    ret_status->retry_after_seconds = retry_after_seconds;
    if (message_length) {
        size_t length = percent_decode_lenient(message, message_length);
        copy_text(ret_status->message, sizeof(ret_status->message), (struct str){message, length});
    }
    if (details_base64.length && details_base64.length <= DETAILS_MAX && arena) {
        size_t room = details_base64.length / 4 * 3 + 3;
        char *bytes = arena_alloc(arena, room);
        long length = bytes ? base64_decode(details_base64, bytes, room) : -1;
        if (length > 0)
            status_read_details((struct str){bytes, (size_t)length}, arena, ret_status);
    }
}
