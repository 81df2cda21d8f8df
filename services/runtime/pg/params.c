/* Parameters: values as text in the caller's arena, which must live until the callback. */
#include "pg/pg.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

static void params_add(struct pg_params *params, const char *value, size_t length, int format)
{
    if (params->count == PG_PARAMETER_LIMIT || length > INT_MAX) {
        params->failed = true;
        return;
    }
    params->values[params->count] = value;
    params->lengths[params->count] = (int)length;
    params->formats[params->count] = format;
    params->count++;
}

/* A copy that could not be made leaves a NULL in its place, which must not be taken for SQL NULL.
 */
static void params_add_copy(struct pg_params *params, const char *text, size_t length, int format)
{
    char *copy = arena_strndup(params->arena, text ? text : "", length);
    if (!copy)
        params->failed = true;
    params_add(params, copy, length, format);
}

void pg_param_null(struct pg_params *params)
{
    params_add(params, NULL, 0, 0);
}

void pg_param_text(struct pg_params *params, const char *text)
{
    if (text)
        params_add_copy(params, text, strlen(text), 0);
    else
        pg_param_null(params);
}

void pg_param_str(struct pg_params *params, struct str text)
{
    /* Text format ends at the first NUL: cutting silently would store something else than was asked
     * for. */
    if (text.length && memchr(text.data, 0, text.length))
        params->has_nul = true;
    params_add_copy(params, text.data, text.length, 0);
}

void pg_param_int64(struct pg_params *params, int64_t value)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%" PRId64, value);
    params_add_copy(params, text, (size_t)length, 0);
}

void pg_param_double(struct pg_params *params, double value)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%.17g", value); /* "inf" and "nan" are understood */
    params_add_copy(params, text, (size_t)length, 0);
}

void pg_param_bool(struct pg_params *params, bool value)
{
    params_add(params, value ? "t" : "f", 1, 0);
}

void pg_param_time_us(struct pg_params *params, int64_t us)
{
    char text[TIME_TEXT_SIZE];
    time_format_rfc3339(us, text);
    params_add_copy(params, text, strlen(text), 0);
}

void pg_param_uuid(struct pg_params *params, const struct uuid *uuid)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(uuid, text);
    params_add_copy(params, text, UUID_TEXT_LENGTH, 0);
}

void pg_param_bytes(struct pg_params *params, struct str bytes)
{
    params_add_copy(params, bytes.data, bytes.length, 1);
}

void pg_param_text_array(struct pg_params *params, const char *const *items, size_t count)
{
    size_t size = 3; /* {} and NUL */
    for (size_t i = 0; i < count; i++) {
        size += 5; /* quotes and comma, or NULL and comma */
        for (const char *c = items[i]; c && *c; c++)
            size += *c == '"' || *c == '\\' ? 2 : 1;
    }
    char *text = arena_alloc(params->arena, size);
    if (!text) {
        params->failed = true;
        return;
    }
    char *out = text;
    *out++ = '{';
    for (size_t i = 0; i < count; i++) {
        if (i)
            *out++ = ',';
        if (!items[i]) {
            memcpy(out, "NULL", 4);
            out += 4;
            continue;
        }
        *out++ = '"';
        for (const char *c = items[i]; *c; c++) {
            if (*c == '"' || *c == '\\')
                *out++ = '\\';
            *out++ = *c;
        }
        *out++ = '"';
    }
    *out++ = '}';
    *out = '\0';
    params_add(params, text, (size_t)(out - text), 0);
}

void pg_param_int64_array(struct pg_params *params, const int64_t *items, size_t count)
{
    size_t size = 3 + count * 21;
    char *text = arena_alloc(params->arena, size);
    if (!text) {
        params->failed = true;
        return;
    }
    size_t length = 0;
    text[length++] = '{';
    for (size_t i = 0; i < count; i++)
        length +=
            (size_t)snprintf(text + length, size - length, "%s%" PRId64, i ? "," : "", items[i]);
    text[length++] = '}';
    text[length] = '\0';
    params_add(params, text, length, 0);
}
