#include "locate.h"

#include <ctype.h>

static size_t skip_space(struct str text, size_t at)
{
    while (at < text.length && (text.data[at] == ' ' || text.data[at] == '\t' ||
                                text.data[at] == '\n' || text.data[at] == '\r'))
        at++;
    return at;
}

/* After the string that begins at `at` with its quote. */
static size_t skip_string(struct str text, size_t at)
{
    for (at++; at < text.length && text.data[at] != '"'; at++)
        if (text.data[at] == '\\')
            at++;
    return at < text.length ? at + 1 : text.length;
}

/* After the value that begins at `at`. Brackets are counted, not matched: the text is well-formed.
 */
static size_t skip_value(struct str text, size_t at)
{
    size_t depth = 0;
    while (at < text.length) {
        char c = text.data[at];
        if (c == '"') {
            at = skip_string(text, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return at; /* the end of what holds this value */
            depth--;
            at++;
        } else if (depth == 0 && (c == ',' || c == ':')) {
            return at;
        } else if (depth == 0) {
            while (at < text.length && !memchr(",]}:\" \t\r\n", text.data[at], 9))
                at++;
        } else {
            at++;
            continue;
        }
        if (depth == 0)
            return at;
    }
    return text.length;
}

/* One step of a path. */
struct step {
    bool is_index;
    size_t index;
    struct str name;
};

static bool next_step(const char **path, struct step *ret_step)
{
    const char *at = *path;
    *ret_step = (struct step){.is_index = false};
    if (*at == '.')
        at++;
    if (!*at)
        return false;
    if (at[0] == '[' && at[1] == '"') {
        const char *end = at + 2;
        while (*end && !(end[0] == '"' && end[1] == ']'))
            end++;
        ret_step->name = (struct str){at + 2, (size_t)(end - at - 2)};
        *path = *end ? end + 2 : end;
        return true;
    }
    if (at[0] == '[') {
        ret_step->is_index = true;
        for (at++; isdigit((unsigned char)*at); at++)
            if (ret_step->index < SIZE_MAX / 16)
                ret_step->index = ret_step->index * 10 + (size_t)(*at - '0');
        *path = *at == ']' ? at + 1 : at + strlen(at);
        return true;
    }
    size_t length = strcspn(at, ".[");
    ret_step->name = (struct str){at, length};
    *path = at + length;
    return true;
}

static bool key_matches(struct str key, struct str name)
{
    if (str_equal(key, name))
        return true;
    size_t k = 0;
    for (size_t n = 0; n < name.length; n++, k++) {
        bool upper = name.data[n] == '_' && n + 1 < name.length;
        if (upper)
            n++;
        char expected = upper ? (char)toupper((unsigned char)name.data[n]) : name.data[n];
        if (k >= key.length || key.data[k] != expected)
            return false;
    }
    return k == key.length;
}

/* The member or element that the step names in the value at `at`; false when there is none. */
static bool descend(struct str text, size_t at, const struct step *step, size_t *ret_at)
{
    char open = step->is_index ? '[' : '{';
    if (at >= text.length || text.data[at] != open)
        return false;
    at++;
    for (size_t index = 0;; index++) {
        at = skip_space(text, at);
        if (at >= text.length || text.data[at] == ']' || text.data[at] == '}')
            return false;
        if (step->is_index && index == step->index) {
            *ret_at = at;
            return true;
        }
        if (!step->is_index) {
            if (text.data[at] != '"')
                return false;
            size_t end = skip_string(text, at);
            struct str key = {text.data + at + 1, end > at + 2 ? end - at - 2 : 0};
            at = skip_space(text, end);
            if (at >= text.length || text.data[at] != ':')
                return false;
            at = skip_space(text, at + 1);
            if (key_matches(key, step->name) && at < text.length) {
                *ret_at = at;
                return true;
            }
        }
        size_t after = skip_space(text, skip_value(text, at));
        if (after >= text.length || text.data[after] != ',')
            return false;
        at = after + 1;
    }
}

struct place json_locate(struct str text, const char *path)
{
    size_t at = skip_space(text, 0);
    struct step step;
    struct place place = {.line = 1, .column = 1, .found = true};
    while (place.found && next_step(&path, &step))
        place.found = descend(text, at, &step, &at);
    place.start = at;
    place.end = skip_value(text, at);
    for (size_t i = 0; i < at; i++) {
        if (text.data[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text.data[i] & 0xC0) != 0x80) {
            place.column++;
        }
    }
    return place;
}
