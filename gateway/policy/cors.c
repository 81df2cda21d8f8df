#include "gateway/policy/cors.h"

#include <stdlib.h>

#define ORIGINS_MAX 64

struct cors {
    char *text; /* owns what `origins` points into */
    struct str origins[ORIGINS_MAX];
    size_t count;
    bool any;
};

/* scheme "://" host [":" port], as a browser sends it: no path, no trailing slash. */
static bool is_origin(struct str text)
{
    size_t scheme = 0;

    while (scheme < text.length && text.data[scheme] != ':')
        scheme++;
    if (!scheme || text.length < scheme + 4 || memcmp(text.data + scheme, "://", 3) != 0)
        return false;
    for (size_t i = scheme + 3; i < text.length; i++)
        if (text.data[i] == '/' || text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7F)
            return false;
    return true;
}

struct cors *cors_new(const char *origins, struct err *err)
{
    struct cors *cors = calloc(1, sizeof(*cors));

    if (!cors || !(cors->text = strdup(origins ? origins : ""))) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        goto fail;
    }
    char *rest = cors->text, *word;
    while ((word = strsep(&rest, ","))) {
        struct str origin = str_trim(str_from(word));
        if (!origin.length)
            continue;
        if (str_equal_cstr(origin, "*")) {
            cors->any = true;
            continue;
        }
        if (!is_origin(origin)) {
            err_set(err, ERR_INVALID_ARGUMENT, NULL,
                    "\"%.*s\" is not an origin such as https://app.example.com", (int)origin.length,
                    origin.data);
            goto fail;
        }
        if (cors->count == ORIGINS_MAX) {
            err_set(err, ERR_INVALID_ARGUMENT, NULL, "at most %d origins", ORIGINS_MAX);
            goto fail;
        }
        cors->origins[cors->count++] = origin;
    }
    return cors;

fail:
    cors_free(cors);
    return NULL;
}

void cors_free(struct cors *cors)
{
    if (!cors)
        return;
    free(cors->text);
    free(cors);
}

struct str cors_allow(const struct cors *cors, struct str origin)
{
    if (!origin.length)
        return (struct str){NULL, 0};
    if (cors->any)
        return STR_LITERAL("*");
    for (size_t i = 0; i < cors->count; i++)
        if (str_equal_ignore_case(cors->origins[i], origin))
            return cors->origins[i];
    return (struct str){NULL, 0};
}

bool cors_varies(const struct cors *cors)
{
    return !cors->any && cors->count > 0;
}

bool origin_is_same(struct str origin, struct str authority)
{
    for (size_t i = 0; i + 3 <= origin.length; i++)
        if (memcmp(origin.data + i, "://", 3) == 0)
            return str_equal_ignore_case((struct str){origin.data + i + 3, origin.length - i - 3},
                                         authority);
    return false;
}
