#include "bus/bus.h"

#include <stdio.h>
#include <string.h>

#define PORT_DEFAULT 6379
#define DATABASE_MAX 65535

/* The URL has a password: it is not repeated. */
static bool refuse(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the Redis URL must be redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] or "
                   "unix:PATH[?password=PASSWORD&database=NUMBER]: %s",
                   what);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decoded (RFC 3986 §2.1). False: malformed, a NUL, or too long. */
static bool decode(struct str text, char *out, size_t size)
{
    size_t length = 0;

    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.length ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.length ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (!c || length + 1 >= size)
            return false;
        out[length++] = c;
    }
    out[length] = '\0';
    return true;
}

static bool parse_number(struct str text, uint64_t most, uint16_t *ret_value)
{
    uint64_t value;

    if (!str_parse_uint64(text, &value) || value > most)
        return false;
    *ret_value = (uint16_t)value;
    return true;
}

/* What stands before the first `separator`; *rest is what follows it. False: there is none. */
static bool split(struct str *rest, char separator, struct str *ret_head)
{
    const char *at = rest->length ? memchr(rest->data, separator, rest->length) : NULL;

    if (!at)
        return false;
    *ret_head = (struct str){rest->data, (size_t)(at - rest->data)};
    rest->length -= ret_head->length + 1;
    rest->data = at + 1;
    return true;
}

static bool parse_credentials(struct str text, struct redis_url *url, struct err *err)
{
    struct str user;

    if (!split(&text, ':', &user))
        return refuse(err, "before @ there must be a colon and a password");
    if (!decode(user, url->user, sizeof(url->user)) ||
        !decode(text, url->password, sizeof(url->password)) || !url->password[0])
        return refuse(err, "user and password must be percent-encoded, of at most 255 bytes");
    return true;
}

static bool parse_host(struct str text, struct redis_url *url, struct err *err)
{
    struct str host = text, port = {NULL, 0};
    bool bracketed = text.length && text.data[0] == '[';

    if (bracketed) {
        text = (struct str){text.data + 1, text.length - 1};
        if (!split(&text, ']', &host) || (text.length && text.data[0] != ':'))
            return refuse(err, "an IPv6 address must stand in brackets");
        if (text.length)
            port = (struct str){text.data + 1, text.length - 1};
    } else if (split(&text, ':', &host)) {
        port = text;
    }
    if (!host.length || !decode(host, url->host, sizeof(url->host)))
        return refuse(err, "there must be a host of at most 255 bytes");
    if (port.data && (!parse_number(port, 65535, &url->port) || !url->port))
        return refuse(err, "the port must be a number from 1 to 65535");
    return true;
}

static bool parse_address(struct str rest, struct redis_url *url, struct err *err)
{
    struct str host = rest, credentials;
    bool has_database = split(&rest, '/', &host);

    if (split(&host, '@', &credentials) && !parse_credentials(credentials, url, err))
        return false;
    if (!parse_host(host, url, err))
        return false;
    if (has_database && rest.length && !parse_number(rest, DATABASE_MAX, &url->database))
        return refuse(err, "the database must be a number from 0 to 65535");
    return true;
}

static bool parse_path(struct str rest, struct redis_url *url, struct err *err)
{
    struct str path = rest, pair, name;
    bool more = split(&rest, '?', &path);

    if (!path.length || path.data[0] != '/' || !decode(path, url->path, sizeof(url->path)))
        return refuse(err, "the path must begin with / and have at most 107 bytes");
    while (more) {
        pair = rest;
        more = split(&rest, '&', &pair);
        struct str value = pair;
        if (!split(&value, '=', &name))
            return refuse(err, "after ? there may be password= and database=");
        if (str_equal_cstr(name, "password")) {
            if (!decode(value, url->password, sizeof(url->password)))
                return refuse(err, "the password must be percent-encoded, of at most 255 bytes");
        } else if (!str_equal_cstr(name, "database") ||
                   !parse_number(value, DATABASE_MAX, &url->database)) {
            return refuse(err, "after ? there may be password= and database=, a number");
        }
    }
    return true;
}

bool redis_url_parse(const char *text, struct redis_url *ret_url, struct err *err)
{
    struct str rest = str_from(text);

    *ret_url = (struct redis_url){.port = PORT_DEFAULT};
    if (str_starts_with(rest, STR_LITERAL("rediss://")))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "rediss:// is not supported: Debian 12's hiredis has no TLS; use a private "
                       "network, a unix socket or a TLS proxy such as stunnel");
    if (str_starts_with(rest, STR_LITERAL("redis://")))
        return parse_address((struct str){rest.data + 8, rest.length - 8}, ret_url, err);
    if (str_starts_with(rest, STR_LITERAL("unix:")))
        return parse_path((struct str){rest.data + 5, rest.length - 5}, ret_url, err);
    return refuse(err, "it begins with something else");
}
