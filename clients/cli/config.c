#include "config.h"

#include <string.h>

const char *const config_key_names[CONFIG_KEY_COUNT] = {"server", "token", "timeout"};
const char *const config_key_help[CONFIG_KEY_COUNT] = {
    "where the platform is, as for --server",
    "sent with every call as \"authorization: Bearer TOKEN\"",
    "longest wait for an answer, as for --timeout",
};

/* One line of the file. */
struct line {
    struct str whole; /* with its line break */
    enum { LINE_BLANK, LINE_SECTION, LINE_SETTING, LINE_BAD } kind;
    struct str name, value; /* of a section: name; of a setting: both */
};

/* Takes the next line off text; false at the end. */
static bool next_line(struct str *text, struct line *ret_line)
{
    if (!text->length)
        return false;
    const char *end = memchr(text->data, '\n', text->length);
    size_t length = end ? (size_t)(end - text->data) + 1 : text->length;
    *ret_line = (struct line){.whole = {text->data, length}};
    text->data += length;
    text->length -= length;
    struct str content = str_trim(ret_line->whole);
    const char *equals = content.length ? memchr(content.data, '=', content.length) : NULL;
    if (!content.length || content.data[0] == '#') {
        ret_line->kind = LINE_BLANK;
    } else if (content.data[0] == '[') {
        bool closed = content.data[content.length - 1] == ']' && content.length > 2;
        ret_line->kind = closed ? LINE_SECTION : LINE_BAD;
        if (closed)
            ret_line->name = str_trim((struct str){content.data + 1, content.length - 2});
    } else if (!equals) {
        ret_line->kind = LINE_BAD;
    } else {
        ret_line->kind = LINE_SETTING;
        ret_line->name = str_trim((struct str){content.data, (size_t)(equals - content.data)});
        ret_line->value = str_trim(
            (struct str){equals + 1, content.length - (size_t)(equals - content.data) - 1});
    }
    return true;
}

bool config_name_is_valid(const char *name)
{
    size_t length = strlen(name);
    return length >= 1 && length <= 64 &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
               length;
}

bool config_value_is_valid(const char *value)
{
    struct str text = str_from(value);
    if (text.length < 1 || text.length > 4096 || str_trim(text).length != text.length ||
        !utf8_is_valid(text.data, text.length))
        return false;
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F)
            return false;
    return true;
}

static bool begin_profile(struct config *config, const char *name, unsigned number, struct err *err)
{
    if (!config_name_is_valid(name))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "line %u: a profile's name must be 1 to 64 letters, digits, \"-\", \"_\" or "
                       "\".\"",
                       number);
    if (config_find(config, name))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "line %u: the profile \"%s\" is there twice", number, name);
    if (config->profile_count == CONFIG_PROFILES_MAX)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "line %u: more than %d profiles", number,
                       CONFIG_PROFILES_MAX);
    config->profiles[config->profile_count++] = (struct config_profile){.name = name};
    return true;
}

static bool set_value(struct config *config, const struct line *line, const char *value,
                      unsigned number, struct err *err)
{
    const char **place = NULL;
    if (!config->profile_count && str_equal_cstr(line->name, "profile"))
        place = &config->profile;
    for (size_t i = 0; config->profile_count && i < CONFIG_KEY_COUNT; i++)
        if (str_equal_cstr(line->name, config_key_names[i]))
            place = &config->profiles[config->profile_count - 1].values[i];
    if (!place && !config->profile_count)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "line %u: only \"profile = NAME\" may stand before the first [profile]",
                       number);
    if (!place)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "line %u: unknown setting: there are server, token and timeout", number);
    if (*place)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "line %u: the setting is there twice",
                       number);
    if (!config_value_is_valid(value) ||
        (place == &config->profile && !config_name_is_valid(value)))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "line %u: the value is empty, too long or has control characters", number);
    *place = value;
    return true;
}

bool config_parse(struct str text, struct arena *arena, struct config *ret_config, struct err *err)
{
    struct line line;
    unsigned number = 0;
    *ret_config = (struct config){.profile = NULL};
    if (text.length > CONFIG_SIZE_LIMIT)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "larger than %d bytes", CONFIG_SIZE_LIMIT);
    if (text.length && memchr(text.data, '\0', text.length))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "has a NUL byte: not a text");
    while (next_line(&text, &line)) {
        number++;
        if (line.kind == LINE_BLANK)
            continue;
        if (line.kind == LINE_BAD)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "line %u: must be \"[PROFILE]\", \"SETTING = VALUE\" or a comment after "
                           "#",
                           number);
        const char *copy =
            arena_strndup(arena, line.kind == LINE_SECTION ? line.name.data : line.value.data,
                          line.kind == LINE_SECTION ? line.name.length : line.value.length);
        if (!copy)
            return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        if (!(line.kind == LINE_SECTION ? begin_profile(ret_config, copy, number, err)
                                        : set_value(ret_config, &line, copy, number, err)))
            return false;
    }
    return true;
}

const struct config_profile *config_find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->profile_count; i++)
        if (strcmp(config->profiles[i].name, name) == 0)
            return &config->profiles[i];
    return NULL;
}

bool config_has_token(const struct config *config)
{
    for (size_t i = 0; i < config->profile_count; i++)
        if (config->profiles[i].values[CONFIG_TOKEN])
            return true;
    return false;
}

static void put_setting(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "%s = ", key);
    buf_put_cstr(out, value); /* may be longer than a format likes */
    buf_put_char(out, '\n');
}

void config_edit(struct str text, const char *profile, const char *key, const char *value,
                 struct buf *out)
{
    bool here = profile == NULL, was_here = here;
    size_t section_end = 0; /* after the last line with a content of the wanted section */
    struct line line;
    struct buf rest; /* what follows section_end, so that a new setting can go between */
    buf_init(&rest, CONFIG_SIZE_LIMIT * 2);
    struct str at = text;
    while (next_line(&at, &line)) {
        if (line.kind == LINE_SECTION) {
            here = profile && str_equal_cstr(line.name, profile);
            was_here = was_here || here;
        }
        if (here && line.kind == LINE_SETTING && str_equal_cstr(line.name, key))
            continue; /* it is written anew, or gone */
        if (here && line.kind != LINE_BLANK)
            section_end = rest.length + line.whole.length;
        buf_put_str(&rest, line.whole);
    }
    struct str kept = buf_str(&rest);
    if (value && !was_here) {
        buf_put_str(out, kept);
        if (kept.length && kept.data[kept.length - 1] != '\n')
            buf_put_char(out, '\n');
        buf_printf(out, "%s[%s]\n", kept.length ? "\n" : "", profile);
        put_setting(out, key, value);
    } else {
        buf_put(out, kept.data, section_end);
        if (value) {
            if (section_end && kept.data[section_end - 1] != '\n')
                buf_put_char(out, '\n');
            put_setting(out, key, value);
        }
        if (kept.length > section_end)
            buf_put(out, kept.data + section_end, kept.length - section_end);
    }
    out->failed |= rest.failed;
    buf_done(&rest);
}
