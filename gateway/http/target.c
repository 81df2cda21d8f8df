#include "gateway/http/target.h"

#include <string.h>

static const char *split(struct str text, struct target *target)
{
    const char *mark = memchr(text.data, '?', text.length);
    target->path = text;
    if (mark) {
        target->path.length = (size_t)(mark - text.data);
        target->query.data = mark + 1;
        target->query.length = text.length - target->path.length - 1;
    }
    return NULL;
}

static const char *parse_absolute(struct str text, size_t scheme_length, struct target *target)
{
    struct str rest = {text.data + scheme_length, text.length - scheme_length};
    size_t length = 0;
    while (length < rest.length && rest.data[length] != '/' && rest.data[length] != '?') {
        length++;
    }
    target->authority = (struct str){rest.data, length};
    if (!target_authority_is_valid(target->authority)) {
        return "the authority of the request target is malformed";
    }
    rest.data += length;
    rest.length -= length;
    if (rest.length > 0 && rest.data[0] == '/') {
        return split(rest, target);
    }
    split(rest.length ? rest : STR_LITERAL("/"), target);
    target->path = STR_LITERAL("/");
    return NULL;
}

const char *target_parse(struct str text, struct target *ret_target)
{
    size_t i;
    memset(ret_target, 0, sizeof(*ret_target));
    if (text.length == 0) {
        return "the request target is empty";
    }
    for (i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte <= 0x20 || byte >= 0x7f) {
            return "the request target has a byte that must be percent-encoded";
        }
        if (byte == '#') {
            return "the request target must not have a fragment";
        }
    }
    if (text.data[0] == '/') {
        return split(text, ret_target);
    }
    if (str_equal(text, STR_LITERAL("*"))) {
        ret_target->asterisk = true;
        ret_target->path = text;
        return NULL;
    }
    if (text.length >= 7 &&
        str_equal_ignore_case((struct str){text.data, 7}, STR_LITERAL("http://"))) {
        return parse_absolute(text, 7, ret_target);
    }
    if (text.length >= 8 &&
        str_equal_ignore_case((struct str){text.data, 8}, STR_LITERAL("https://"))) {
        return parse_absolute(text, 8, ret_target);
    }
    return "the request target must be a path or an http URL";
}

bool target_authority_is_valid(struct str text)
{
    size_t i, colons = 0;
    bool bracketed = text.length > 0 && text.data[0] == '[';
    if (text.length == 0 || text.data[0] == ':' || text.length > 300) {
        return false;
    }
    for (i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || !strchr("-._~%!$&'()*+;=:[]", c))) {
            return false;
        }
        if ((c == '[' && i > 0) || (c == ']' && !bracketed)) {
            return false;
        }
        colons += c == ':' && !bracketed;
        if (c == ']') {
            bracketed = false;
            if (i + 1 < text.length && text.data[i + 1] != ':') {
                return false;
            }
        }
    }
    return !bracketed && colons <= 1;
}
