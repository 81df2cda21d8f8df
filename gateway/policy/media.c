#include "gateway/policy/media.h"

static bool is_token_byte(char byte)
{
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
        (byte >= 'A' && byte <= 'Z'))
        return true;
    return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static size_t token_length(struct str text)
{
    size_t length = 0;

    while (length < text.length && is_token_byte(text.data[length]))
        length++;
    return length;
}

static struct str skip(struct str text, size_t count)
{
    return (struct str){text.data + count, text.length - count};
}

static struct str skip_space(struct str text)
{
    while (text.length && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = skip(text, 1);
    return text;
}

bool media_type_parse(struct str header, struct media_type *ret_media)
{
    struct str text = str_trim(header);
    size_t type = token_length(text);

    if (!type || type == text.length || text.data[type] != '/')
        return false;
    size_t subtype = token_length(skip(text, type + 1));
    if (!subtype)
        return false;
    ret_media->type = (struct str){text.data, type + 1 + subtype};
    struct str rest = skip_space(skip(text, type + 1 + subtype));
    if (rest.length && rest.data[0] != ';')
        return false;
    ret_media->parameters = rest.length ? skip(rest, 1) : (struct str){NULL, 0};
    return true;
}

bool media_type_is(const struct media_type *media, const char *type)
{
    return str_equal_ignore_case(media->type, str_from(type));
}

/* Takes one `name=value` from the front of *text; out may be NULL to pass over it. False at the end
 * or at nonsense. */
static bool take_parameter(struct str *text, struct str *ret_name, char *out, size_t out_size,
                           bool *ret_fits)
{
    struct str at = *text;
    size_t used = 0;

    while (at.length && (at.data[0] == ' ' || at.data[0] == '\t' || at.data[0] == ';'))
        at = skip(at, 1);
    size_t name = token_length(at);
    if (!name || name == at.length || at.data[name] != '=')
        return false;
    *ret_name = (struct str){at.data, name};
    at = skip(at, name + 1);
    *ret_fits = true;

    bool quoted = at.length && at.data[0] == '"';
    if (quoted)
        at = skip(at, 1);
    for (;;) {
        if (!at.length) {
            if (quoted)
                return false;
            break;
        }
        char byte = at.data[0];
        if (quoted && byte == '"') {
            at = skip(at, 1);
            break;
        }
        if (quoted && byte == '\\' && at.length > 1) {
            at = skip(at, 1);
            byte = at.data[0];
        } else if (!quoted && !is_token_byte(byte)) {
            break;
        }
        if (used + 1 < out_size)
            out[used++] = byte;
        else
            *ret_fits = false;
        at = skip(at, 1);
    }
    if (out_size)
        out[used] = '\0';
    *text = at;
    return true;
}

bool media_type_parameter(const struct media_type *media, const char *name, char *out,
                          size_t out_size)
{
    struct str rest = media->parameters;
    struct str found;
    bool fits;

    while (take_parameter(&rest, &found, out, out_size, &fits))
        if (str_equal_ignore_case(found, str_from(name)))
            return fits;
    return false;
}

bool media_type_is_json(const struct media_type *media)
{
    static const struct str application = {"application/", 12};
    static const struct str suffix = {"+json", 5};
    char charset[16];

    if (!media_type_is(media, "application/json")) {
        struct str type = media->type;
        if (type.length <= application.length + suffix.length ||
            !str_equal_ignore_case((struct str){type.data, application.length}, application) ||
            !str_equal_ignore_case(
                (struct str){type.data + type.length - suffix.length, suffix.length}, suffix))
            return false;
    }
    struct str rest = media->parameters, found;
    bool fits;
    while (take_parameter(&rest, &found, charset, sizeof(charset), &fits))
        if (str_equal_ignore_case(found, STR_LITERAL("charset")))
            return fits && (str_equal_ignore_case(str_from(charset), STR_LITERAL("utf-8")) ||
                            str_equal_ignore_case(str_from(charset), STR_LITERAL("utf8")));
    return true;
}

/* "0.25" → 250; what is not a qvalue counts as 1. */
static unsigned quality(const char *text)
{
    unsigned value = 0, scale = 100;

    if (text[0] != '0' || (text[1] && text[1] != '.'))
        return 1000;
    for (const char *at = text + (text[1] ? 2 : 1); *at >= '0' && *at <= '9' && scale; at++) {
        value += (unsigned)(*at - '0') * scale;
        scale /= 10;
    }
    return value;
}

/* One range of the list: how specifically it covers `type` (0 not, 1 any, 2 its main type, 3
 * itself). */
static unsigned specificity(struct str range, struct str type)
{
    size_t main_length = (size_t)((const char *)memchr(type.data, '/', type.length) - type.data);

    if (str_equal(range, STR_LITERAL("*/*")))
        return 1;
    if (str_equal_ignore_case(range, type))
        return 3;
    if (range.length == main_length + 2 && range.data[main_length] == '/' &&
        range.data[main_length + 1] == '*' &&
        str_equal_ignore_case((struct str){range.data, main_length},
                              (struct str){type.data, main_length}))
        return 2;
    return 0;
}

/* The next element of a comma list; quoted strings may hold commas. */
static bool next_element(struct str *list, struct str *ret_element)
{
    bool quoted = false;
    size_t length = 0;

    if (!list->length)
        return false;
    for (; length < list->length; length++) {
        char byte = list->data[length];
        if (byte == '"')
            quoted = !quoted;
        else if (byte == '\\' && quoted && length + 1 < list->length)
            length++;
        else if (byte == ',' && !quoted)
            break;
    }
    *ret_element = str_trim((struct str){list->data, length});
    *list = length < list->length ? skip(*list, length + 1) : (struct str){NULL, 0};
    return true;
}

static unsigned best_match(struct str accept, struct str type, unsigned *ret_specificity)
{
    unsigned best = 0, value = 0;
    struct str element;

    while (next_element(&accept, &element)) {
        struct media_type range;
        char q[8];

        if (!media_type_parse(element, &range))
            continue;
        unsigned how = specificity(range.type, type);
        if (how <= best)
            continue;
        best = how;
        value = media_type_parameter(&range, "q", q, sizeof(q)) ? quality(q) : 1000;
    }
    *ret_specificity = best;
    return value;
}

unsigned accept_quality(struct str accept, const char *type)
{
    unsigned how;

    if (!str_trim(accept).length)
        return 1000;
    return best_match(accept, str_from(type), &how);
}

int accept_choose(struct str accept, const char *const *types, size_t count)
{
    unsigned best = 0;
    int chosen = -1;

    for (size_t i = 0; i < count; i++) {
        unsigned value = accept_quality(accept, types[i]);
        if (value > best) {
            best = value;
            chosen = (int)i;
        }
    }
    return chosen;
}
