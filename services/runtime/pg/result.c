/* Rows: PostgreSQL's binary formats (its src/backend/utils/adt/ *send functions) → C values. */
#include "pg/internal.h"

#include "base/log.h"

#include <endian.h>
#include <stdlib.h>

/* pg_type.dat; these numbers never change. */
enum type_oid {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_NAME = 19,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_UNKNOWN = 705,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_DATE = 1082,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_UUID = 2950,
    TYPE_VOID = 2278,
    TYPE_JSONB = 3802,
    TYPE_FIRST_USER =
        16384, /* above: types that a schema made, for us its enums, sent as their label */
};

/* 2000-01-01, PostgreSQL's epoch, in ours. */
#define POSTGRES_EPOCH_DAYS 10957
#define POSTGRES_EPOCH_US (INT64_C(946684800) * TIME_US_PER_SECOND)

static void wrong_access(const struct pg_result *result, int row, int column, const char *wanted)
{
    const char *name = column < PQnfields(result->result) ? PQfname(result->result, column) : NULL;
    log_event(LOG_LEVEL_ERROR, "sql_result_misread", log_text("statement", result->statement),
              log_int("row", row), log_int("column", column), log_text("name", name),
              log_int("type_oid", (int64_t)PQftype(result->result, column)),
              log_text("wanted", wanted));
    abort();
}

/* The bytes of a value, or NULL for SQL NULL; a place outside the result is a programming error. */
static const unsigned char *value_at(const struct pg_result *result, int row, int column,
                                     const char *wanted, Oid *ret_type)
{
    if (row < 0 || row >= PQntuples(result->result) || column < 0 ||
        column >= PQnfields(result->result))
        wrong_access(result, row, column, wanted);
    *ret_type = PQftype(result->result, column);
    if (PQgetisnull(result->result, row, column))
        return NULL;
    return (const unsigned char *)PQgetvalue(result->result, row, column);
}

static uint32_t read_uint32(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return be32toh(value);
}

static uint64_t read_uint64(const unsigned char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return be64toh(value);
}

int pg_rows(const struct pg_result *result)
{
    return PQntuples(result->result);
}

int64_t pg_rows_affected(const struct pg_result *result)
{
    int64_t count = 0;
    /* PQcmdTuples takes a non-const result but only reads it. */
    str_parse_int64(str_from(PQcmdTuples((PGresult *)result->result)), &count);
    return count;
}

bool pg_is_null(const struct pg_result *result, int row, int column)
{
    Oid type;
    return !value_at(result, row, column, "null", &type);
}

int64_t pg_int64(const struct pg_result *result, int row, int column)
{
    Oid type;
    const unsigned char *value = value_at(result, row, column, "int", &type);
    switch (type) {
    case TYPE_INT8:
        return value ? (int64_t)read_uint64(value) : 0;
    case TYPE_INT4:
        return value ? (int32_t)read_uint32(value) : 0;
    case TYPE_OID:
        return value ? read_uint32(value) : 0;
    case TYPE_INT2:
        return value ? (int16_t)(uint16_t)(value[0] << 8 | value[1]) : 0;
    default:
        wrong_access(result, row, column, "int");
        return 0;
    }
}

double pg_double(const struct pg_result *result, int row, int column)
{
    Oid type;
    const unsigned char *value = value_at(result, row, column, "float", &type);
    if (type == TYPE_FLOAT8) {
        double number = 0;
        if (value) {
            uint64_t bits = read_uint64(value);
            memcpy(&number, &bits, sizeof(number));
        }
        return number;
    }
    if (type != TYPE_FLOAT4)
        wrong_access(result, row, column, "float");
    float number = 0;
    if (value) {
        uint32_t bits = read_uint32(value);
        memcpy(&number, &bits, sizeof(number));
    }
    return (double)number;
}

bool pg_bool(const struct pg_result *result, int row, int column)
{
    Oid type;
    const unsigned char *value = value_at(result, row, column, "bool", &type);
    if (type != TYPE_BOOL)
        wrong_access(result, row, column, "bool");
    return value && *value;
}

int64_t pg_time_us(const struct pg_result *result, int row, int column)
{
    Oid type;
    const unsigned char *value = value_at(result, row, column, "timestamptz", &type);
    if (type != TYPE_TIMESTAMPTZ)
        wrong_access(result, row, column, "timestamptz");
    if (!value)
        return 0;
    int64_t us = (int64_t)read_uint64(value);
    if (us > INT64_MAX - POSTGRES_EPOCH_US) /* 'infinity' among them */
        return INT64_MAX;
    return us == INT64_MIN ? INT64_MIN : us + POSTGRES_EPOCH_US;
}

struct str pg_str(const struct pg_result *result, int row, int column)
{
    Oid type;
    const unsigned char *value = value_at(result, row, column, "text", &type);
    if (!value)
        return (struct str){0};
    struct str text = {(const char *)value, (size_t)PQgetlength(result->result, row, column)};
    switch (type) {
    case TYPE_JSONB: /* one byte of version, then the text */
        if (!text.length || text.data[0] != 1)
            wrong_access(result, row, column, "jsonb version 1");
        return (struct str){text.data + 1, text.length - 1};
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_UNKNOWN:
    case TYPE_JSON:
    case TYPE_BYTEA:
    case TYPE_VOID:
        return text;
    default:
        if (type < TYPE_FIRST_USER)
            wrong_access(result, row, column, "text");
        return text;
    }
}

char *pg_text(const struct pg_result *result, int row, int column, struct arena *arena)
{
    Oid type;
    const unsigned char *value = value_at(result, row, column, "text", &type);
    if (!value)
        return NULL;
    if (type == TYPE_UUID) {
        struct uuid uuid;
        memcpy(uuid.bytes, value, sizeof(uuid.bytes));
        char text[UUID_TEXT_SIZE];
        uuid_format(&uuid, text);
        return arena_strndup(arena, text, UUID_TEXT_LENGTH);
    }
    if (type == TYPE_DATE) {
        char text[DATE_TEXT_SIZE];
        date_format((int32_t)read_uint32(value) + POSTGRES_EPOCH_DAYS, text);
        return arena_strdup(arena, text);
    }
    struct str text = pg_str(result, row, column);
    return arena_strndup(arena, text.data, text.length);
}

struct uuid pg_uuid(const struct pg_result *result, int row, int column)
{
    Oid type;
    struct uuid uuid = {{0}};
    const unsigned char *value = value_at(result, row, column, "uuid", &type);
    if (type != TYPE_UUID)
        wrong_access(result, row, column, "uuid");
    if (value)
        memcpy(uuid.bytes, value, sizeof(uuid.bytes));
    return uuid;
}

/* array_send: dimensions, "has nulls", element type, then length and lower bound of each dimension,
 * then the items, each with its length (-1: NULL). */
struct pg_array pg_text_array(const struct pg_result *result, int row, int column)
{
    enum { HEAD_BYTES = 20 };
    Oid type;
    const unsigned char *value = value_at(result, row, column, "text[]", &type);

    if (type != TYPE_TEXT_ARRAY || (value && read_uint32(value) > 1))
        wrong_access(result, row, column, "text[]");
    if (!value || read_uint32(value) == 0)
        return (struct pg_array){NULL, 0};
    return (struct pg_array){value + HEAD_BYTES, (int)read_uint32(value + 12)};
}

bool pg_array_next(struct pg_array *array, struct str *ret_item)
{
    if (array->left <= 0)
        return false;
    int32_t length = (int32_t)read_uint32(array->at);

    array->left--;
    array->at += 4;
    *ret_item = (struct str){(const char *)array->at, length > 0 ? (size_t)length : 0};
    array->at += length > 0 ? length : 0;
    return true;
}
