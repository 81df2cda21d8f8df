#include "address.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

const char *const backend_names[BACKEND_COUNT] = {"skillbase", "campaign", "analytics"};

static bool bad(struct err *err, const char *text)
{
    return err_set(
        err, ERR_INVALID_ARGUMENT, NULL,
        "\"%s\" is no server: give HOST:PORT (the gateway's; the services have the three "
        "ports after it), unix:FOLDER, or "
        "skillbase=ADDRESS,campaign=ADDRESS,analytics=ADDRESS",
        text);
}

static bool parse_base(const char *text, struct addresses *ret_addresses, struct err *err)
{
    static const char scheme[] = "http://";
    struct str rest = str_from(text);
    int64_t port;
    if (str_starts_with(rest, STR_LITERAL("http://"))) {
        rest.data += sizeof(scheme) - 1;
        rest.length -= sizeof(scheme) - 1;
        if (rest.length && rest.data[rest.length - 1] == '/')
            rest.length--;
    }
    size_t colon = rest.length;
    while (colon > 0 && rest.data[colon - 1] != ':')
        colon--;
    if (colon < 2 || rest.length > 200 || memchr(rest.data, '/', rest.length) ||
        memchr(rest.data, ',', rest.length) || memchr(rest.data, '=', rest.length) ||
        memchr(rest.data, ' ', rest.length) ||
        !str_parse_int64((struct str){rest.data + colon, rest.length - colon}, &port))
        return bad(err, text);
    struct str host = {rest.data, colon - 1};
    if (memchr(host.data, ':', host.length) && host.data[0] != '[')
        return bad(err, text); /* an IPv6 address without its brackets */
    if (port < 1 || port > 65535 - BACKEND_COUNT)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "\"%s\": the port must be between 1 and %d (the services have the three "
                       "after it)",
                       text, 65535 - BACKEND_COUNT);
    for (int i = 0; i < BACKEND_COUNT; i++)
        snprintf(ret_addresses->target[i], ADDRESS_SIZE, "%.*s:%d", (int)host.length, host.data,
                 (int)port + 1 + i);
    return true;
}

static bool parse_each(const char *text, struct addresses *ret_addresses, struct err *err)
{
    bool seen[BACKEND_COUNT] = {false};
    const char *at = text;
    while (*at) {
        size_t length = strcspn(at, ","), name = strcspn(at, "=,");
        int which = 0;
        while (which < BACKEND_COUNT && (strlen(backend_names[which]) != name ||
                                         strncmp(at, backend_names[which], name) != 0))
            which++;
        if (which == BACKEND_COUNT || seen[which] || name + 1 >= length ||
            length - name - 1 >= ADDRESS_SIZE)
            return bad(err, text);
        seen[which] = true;
        snprintf(ret_addresses->target[which], ADDRESS_SIZE, "%.*s", (int)(length - name - 1),
                 at + name + 1);
        at += length;
        at += *at == ',';
    }
    for (int i = 0; i < BACKEND_COUNT; i++)
        if (!seen[i])
            return bad(err, text);
    return true;
}

bool addresses_parse(const char *text, struct addresses *ret_addresses, struct err *err)
{
    static const char scheme[] = "unix:";
    if (strncmp(text, scheme, sizeof(scheme) - 1) == 0) {
        const char *folder = text + sizeof(scheme) - 1;
        size_t length = strlen(folder);
        while (length > 1 && folder[length - 1] == '/')
            length--;
        if (length == 0 || length > 90) /* a socket's path has at most 107 bytes */
            return bad(err, text);
        for (int i = 0; i < BACKEND_COUNT; i++)
            snprintf(ret_addresses->target[i], ADDRESS_SIZE, "unix:%.*s/%s.sock", (int)length,
                     folder, backend_names[i]);
        return true;
    }
    if (strchr(text, '='))
        return parse_each(text, ret_addresses, err);
    return parse_base(text, ret_addresses, err);
}

bool address_is_local(const char *target)
{
    static const char *const local[] = {"localhost:", "[::1]:", "ipv6:[::1]:"};
    if (strncmp(target, "unix:", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
        if (strncmp(target, local[i], strlen(local[i])) == 0)
            return true;
    if (strncmp(target, "ipv4:", 5) == 0)
        target += 5;
    /* all of it digits: 127.example.org is somebody else's machine */
    return strncmp(target, "127.", 4) == 0 && target[strspn(target, "0123456789.")] == ':';
}
