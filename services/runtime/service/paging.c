#include "service/paging.h"

#include "base/str.h"

#include <string.h>

/* Layout, all numbers big-endian: version (1), number (8), time (8), id (16), text (the rest),
 * checksum (4). */
#define VERSION 1
#define HEAD_SIZE (1 + 8 + 8 + 16)
#define CHECKSUM_SIZE 4
/* A name of 255 code points is 1,020 bytes at most. */
#define TEXT_LIMIT 1024
#define BYTES_LIMIT (HEAD_SIZE + TEXT_LIMIT + CHECKSUM_SIZE)
#define TOKEN_LIMIT ((BYTES_LIMIT * 4 + 2) / 3)

#define TIME_FIRST_US INT64_C(-62135596800000000)
#define TIME_LAST_US INT64_C(253402300799999999)

/* FNV-1a. */
static uint32_t hash_bytes(uint32_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT32_C(16777619);
    return hash;
}

static uint32_t checksum(const char *scope, const void *data, size_t size)
{
    /* With its NUL, so that no scope is the beginning of another. */
    uint32_t hash = hash_bytes(UINT32_C(2166136261), scope, strlen(scope) + 1);

    return hash_bytes(hash, data, size);
}

static void put_big_endian(unsigned char *out, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        out[i] = (unsigned char)(value >> (8 * (size - 1 - i)));
}

static uint64_t get_big_endian(const unsigned char *in, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | in[i];
    return value;
}

char *page_token_make(struct arena *arena, const char *scope, const struct page_key *key)
{
    unsigned char bytes[BYTES_LIMIT];
    size_t text_length = key->text ? strlen(key->text) : 0;

    if (text_length > TEXT_LIMIT)
        return NULL;
    bytes[0] = VERSION;
    put_big_endian(bytes + 1, (uint64_t)key->number, 8);
    put_big_endian(bytes + 9, (uint64_t)key->time_us, 8);
    memcpy(bytes + 17, key->id.bytes, 16);
    if (text_length)
        memcpy(bytes + HEAD_SIZE, key->text, text_length);
    size_t size = HEAD_SIZE + text_length;

    put_big_endian(bytes + size, checksum(scope, bytes, size), CHECKSUM_SIZE);
    size += CHECKSUM_SIZE;
    size_t token_size = (size * 4 + 2) / 3 + 1;
    char *token = arena_alloc(arena, token_size);

    if (token)
        base64url_encode(bytes, size, token, token_size);
    return token;
}

/* The bytes of a token whose version and checksum are right; 0 when they are not. */
static size_t decode(const char *scope, const char *token, unsigned char bytes[BYTES_LIMIT])
{
    struct str text = str_from(token);

    if (text.length > TOKEN_LIMIT)
        return 0;
    long decoded = base64url_decode(text, bytes, BYTES_LIMIT);

    if (decoded < HEAD_SIZE + CHECKSUM_SIZE || bytes[0] != VERSION)
        return 0;
    size_t size = (size_t)decoded - CHECKSUM_SIZE;

    if (get_big_endian(bytes + size, CHECKSUM_SIZE) != checksum(scope, bytes, size))
        return 0;
    /* A forged token must not get further than a mistyped one: these go into a statement. */
    const char *name = (const char *)bytes + HEAD_SIZE;
    size_t name_length = size - HEAD_SIZE;
    int64_t time_us = (int64_t)get_big_endian(bytes + 9, 8);

    if (!utf8_is_valid(name, name_length) || memchr(name, 0, name_length) ||
        time_us < TIME_FIRST_US || time_us > TIME_LAST_US)
        return 0;
    return size;
}

bool page_token_read(struct arena *arena, const char *scope, const char *token,
                     struct page_key *ret_key)
{
    unsigned char bytes[BYTES_LIMIT];
    size_t size = decode(scope, token, bytes);

    if (!size)
        return false;
    ret_key->number = (int64_t)get_big_endian(bytes + 1, 8);
    ret_key->time_us = (int64_t)get_big_endian(bytes + 9, 8);
    memcpy(ret_key->id.bytes, bytes + 17, 16);
    ret_key->text = arena_strndup(arena, (const char *)bytes + HEAD_SIZE, size - HEAD_SIZE);
    return ret_key->text != NULL;
}

char *page_scope(struct arena *arena, const char *list, const char *id)
{
    char id_text[UUID_TEXT_SIZE] = "";
    struct uuid uuid;

    if (uuid_parse(str_from(id), &uuid))
        uuid_format(&uuid, id_text);
    return arena_printf(arena, "%s%s", list, id_text);
}

static bool has_uuid(enum page_order order)
{
    return order == PAGE_BY_TIME || order == PAGE_BY_NUMBER_AND_UUID;
}

void param_page(struct pg_params *params, enum page_order order, const struct page_start *start)
{
    if (!start->continues)
        pg_param_null(params);
    else if (order == PAGE_BY_TIME)
        pg_param_time_us(params, start->after.time_us);
    else if (order == PAGE_BY_NAME)
        pg_param_text(params, start->after.text);
    else
        pg_param_int64(params, start->after.number);
    if (!has_uuid(order))
        return;
    if (start->continues)
        pg_param_uuid(params, &start->after.id);
    else
        pg_param_null(params);
}

struct page_start page_after(struct arena *arena, enum page_order order,
                             const struct pg_result *rows, int row, const int columns[2])
{
    struct page_start start = {.continues = true};

    if (order == PAGE_BY_TIME)
        start.after.time_us = pg_time_us(rows, row, columns[0]);
    else if (order == PAGE_BY_NAME)
        start.after.text = pg_text(rows, row, columns[0], arena);
    else
        start.after.number = pg_int64(rows, row, columns[0]);
    if (has_uuid(order))
        start.after.id = pg_uuid(rows, row, columns[1]);
    return start;
}

void page_check_token(const char *scope, const char *token, struct violations *violations)
{
    unsigned char bytes[BYTES_LIMIT];

    if (token && *token && !decode(scope, token, bytes))
        violations_add(violations, "page_token", "is not a next_page_token of this list");
}

void page_check(const char *scope, int64_t skip, const char *token, struct violations *violations)
{
    page_check_token(scope, token, violations);
    if (skip > 0 && token && *token)
        violations_add(violations, "page_token", "cannot be used together with skip");
}
