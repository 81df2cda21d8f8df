#include "domain/secret_names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATTERN_LIMIT 100
#define PATTERN_BYTES_LIMIT 100

struct pattern {
    char text[PATTERN_BYTES_LIMIT]; /* folded; "*" stays */
    size_t length;
    uint64_t letters; /* see letter() */
    bool is_exception;
};

struct secret_names {
    struct pattern patterns[PATTERN_LIMIT];
    size_t count;
};

/* The byte as it is compared; 0: it does not count. Bytes of non-ASCII letters are themselves. */
static char fold(char byte)
{
    unsigned char c = (unsigned char)byte;

    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80 ? byte : 0;
}

/* A bit for a folded byte: most keys lack a letter of most patterns, and are done with there. */
static uint64_t letter(char byte)
{
    return UINT64_C(1) << ((unsigned char)byte & 63);
}

static bool add(struct secret_names *names, struct str item, struct err *err)
{
    struct pattern *pattern = &names->patterns[names->count];

    if (names->count == PATTERN_LIMIT)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "at most %d patterns", PATTERN_LIMIT);
    if (item.length > PATTERN_BYTES_LIMIT)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "a pattern has at most %d bytes",
                       PATTERN_BYTES_LIMIT);
    pattern->is_exception = item.data[0] == '!';
    for (size_t i = pattern->is_exception; i < item.length; i++) {
        char byte = item.data[i] == '*' ? '*' : fold(item.data[i]);

        if (byte)
            pattern->text[pattern->length++] = byte;
        if (byte && byte != '*')
            pattern->letters |= letter(byte);
    }
    if (!pattern->letters) /* "*" would hide everything, "!*" nothing: neither is meant */
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "\"%.*s\" names no key", (int)item.length,
                       item.data);
    names->count++;
    return true;
}

struct secret_names *secret_names_new(const char *text, struct err *err)
{
    struct secret_names *names = calloc(1, sizeof(*names));

    if (!names) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    while (*text) {
        size_t length = strcspn(text, ",");
        struct str item = str_trim((struct str){text, length});

        if (item.length && !add(names, item, err)) {
            secret_names_free(names);
            return NULL;
        }
        text += length + (text[length] == ',');
    }
    return names;
}

void secret_names_free(struct secret_names *names)
{
    free(names);
}

/* The usual match of "*": where it fails, the last "*" takes one byte more. */
static bool matches(const struct pattern *pattern, const char *key, size_t length)
{
    size_t p = 0, k = 0, star = SIZE_MAX, resume = 0;

    while (k < length) {
        if (p < pattern->length && pattern->text[p] == '*') {
            star = p++;
            resume = k;
        } else if (p < pattern->length && pattern->text[p] == key[k]) {
            p++;
            k++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            k = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern->length && pattern->text[p] == '*')
        p++;
    return p == pattern->length;
}

static bool match_folded(const struct secret_names *names, const char *key, size_t length)
{
    bool is_secret = false;
    uint64_t letters = 0;

    for (size_t k = 0; k < length; k++)
        letters |= letter(key[k]);
    for (size_t i = 0; i < names->count; i++) {
        const struct pattern *pattern = &names->patterns[i];

        if ((pattern->letters & ~letters) || (is_secret && !pattern->is_exception) ||
            !matches(pattern, key, length))
            continue;
        if (pattern->is_exception)
            return false;
        is_secret = true;
    }
    return is_secret;
}

bool secret_names_match(const struct secret_names *names, struct str key)
{
    char short_key[256], *folded = short_key;
    size_t length = 0;

    if (key.length > sizeof(short_key)) {
        folded = malloc(key.length);
        if (!folded)
            return true; /* nobody calls a setting so; what cannot be judged is not shown */
    }
    for (size_t i = 0; i < key.length; i++) {
        char byte = fold(key.data[i]);

        if (byte)
            folded[length++] = byte;
    }
    bool is_secret = match_folded(names, folded, length);

    if (folded != short_key)
        free(folded);
    return is_secret;
}

bool secret_is_label(struct str key)
{
    return str_equal_cstr(key, "name") || str_equal_cstr(key, "key") ||
           str_equal_cstr(key, "header");
}
