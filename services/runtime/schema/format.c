/* The table of formats: one row each, used by the check, its message and the OpenAPI document. */
#include "internal.h"

#include "base/time.h"
#include "base/uuid.h"

#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_uuid(struct str text)
{
    struct uuid uuid;

    return uuid_parse(text, &uuid);
}

static bool is_slug(struct str text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_lower(text.data[i]) && !is_digit(text.data[i]) && text.data[i] != '-')
            return false;
    return text.length > 0;
}

static bool is_time_of_day(struct str text)
{
    int minutes;

    return time_of_day_parse(text, &minutes);
}

static bool is_date(struct str text)
{
    int32_t days;

    return date_parse(text, &days);
}

static bool is_word(struct str text)
{
    if (text.length < 1 || text.length > 64 || !is_lower(text.data[0]))
        return false;
    for (size_t i = 1; i < text.length; i++)
        if (!is_lower(text.data[i]) && !is_digit(text.data[i]) && text.data[i] != '_')
            return false;
    return true;
}

static bool is_region(struct str text)
{
    return text.length == 2 && is_upper(text.data[0]) && is_upper(text.data[1]);
}

/* Time zones. The system's database is asked once for each name that it knows: reading a zone file
 * costs a hundred times the rest of a check. Names are only ever added, by compare-and-swap, so
 * that any thread may look without a lock; names that are not known are not kept, so that clients
 * cannot fill the table. */
#define ZONE_NAME_BYTES 64
#define ZONE_SLOTS 4096 /* the database has about 600 names */

static _Atomic(char *) known_zones[ZONE_SLOTS];

/* Letters, digits, _ + - and single slashes, each part beginning with a letter: what IANA names are
 * made of. */
static bool is_zone_name(struct str text)
{
    if (text.length < 1 || text.length >= ZONE_NAME_BYTES)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool starts_part = i == 0 || text.data[i - 1] == '/';

        if (starts_part && !is_lower(c) && !is_upper(c))
            return false;
        if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '_' && c != '+' && c != '-' &&
            c != '/')
            return false;
    }
    return text.data[text.length - 1] != '/';
}

/* Names that lie in the database's folder and are no zones: this machine's own choice, and copies
 * of all zones that count time otherwise (right/ has leap seconds, which PostgreSQL refuses). */
static bool is_not_a_place(struct str text)
{
    return str_equal_cstr(text, "localtime") || str_equal_cstr(text, "posixrules") ||
           str_equal_cstr(text, "Factory") || str_starts_with(text, STR_LITERAL("posix/")) ||
           str_starts_with(text, STR_LITERAL("right/"));
}

/* Whether the database has a compiled zone of that name. GLib is not asked before: it takes POSIX
 * rules ("ABC-3") for names as well, and complains on stderr about files that are no zones. */
static bool has_zone_file(const char *name)
{
    const char *folder = getenv("TZDIR");
    char path[PATH_MAX], magic[4];
    int length =
        snprintf(path, sizeof(path), "%s/%s", folder ? folder : "/usr/share/zoneinfo", name);

    if (length < 0 || (size_t)length >= sizeof(path))
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return false;
    bool is_zone = read(file, magic, sizeof(magic)) == sizeof(magic) &&
                   memcmp(magic, "TZif", sizeof(magic)) == 0;

    close(file);
    return is_zone;
}

static bool is_in_database(struct str text)
{
    char name[ZONE_NAME_BYTES];

    memcpy(name, text.data, text.length);
    name[text.length] = '\0';
    if (is_not_a_place(text) || !has_zone_file(name))
        return false;
    GTimeZone *zone = g_time_zone_new_identifier(name);

    if (!zone)
        return false;
    g_time_zone_unref(zone);
    return true;
}

static bool is_time_zone(struct str text)
{
    if (!is_zone_name(text))
        return false;
    size_t slot = schema_hash(text) % ZONE_SLOTS;
    char *known;

    for (size_t probes = 0; probes < ZONE_SLOTS; probes++, slot = (slot + 1) % ZONE_SLOTS) {
        known = atomic_load_explicit(&known_zones[slot], memory_order_acquire);
        if (known && str_equal_cstr(text, known))
            return true;
        if (!known)
            break;
    }
    if (!is_in_database(text))
        return false;
    char *name = strndup(text.data, text.length);

    known = NULL;
    /* Another thread may have taken the slot meanwhile, or memory be short: then this name is asked
     * for again next time. */
    if (name && !atomic_compare_exchange_strong_explicit(
                    &known_zones[slot], &known, name, memory_order_release, memory_order_relaxed))
        free(name);
    return true;
}

static const struct schema_format_info formats[] = {
    [SCHEMA_FORMAT_UUID] = {is_uuid, "a UUID",
                            "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-"
                            "[0-9a-fA-F]{12}$",
                            "uuid"},
    [SCHEMA_FORMAT_SLUG] = {is_slug, "lower-case letters, digits and hyphens", "^[a-z0-9-]+$",
                            NULL},
    [SCHEMA_FORMAT_TIME_OF_DAY] = {is_time_of_day, "a time between \"00:00\" and \"23:59\"",
                                   "^([01][0-9]|2[0-3]):[0-5][0-9]$", NULL},
    [SCHEMA_FORMAT_TIME_ZONE] = {is_time_zone, "an IANA time zone such as \"Europe/Berlin\"",
                                 "^[A-Za-z][A-Za-z0-9_+/-]*$", NULL},
    [SCHEMA_FORMAT_DATE] = {is_date, "a date such as \"2026-01-31\"",
                            "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "date"},
    [SCHEMA_FORMAT_WORD] = {is_word,
                            "1 to 64 lower-case letters, digits and \"_\", beginning with a letter",
                            "^[a-z][a-z0-9_]{0,63}$", NULL},
    [SCHEMA_FORMAT_REGION] = {is_region, "two upper-case letters such as \"DE\"", "^[A-Z]{2}$",
                              NULL},
};

const struct schema_format_info *schema_format_info(enum schema_format format)
{
    if (format <= SCHEMA_FORMAT_NONE || format >= sizeof(formats) / sizeof(formats[0]))
        return NULL;
    return &formats[format];
}
