#include "gateway/policy/client_address.h"

#include <string.h>

bool forwarded_header_parse(const char *text, enum forwarded_header *ret_header, struct err *err)
{
    if (str_equal_ignore_case(str_from(text), STR_LITERAL("x-forwarded-for")))
        *ret_header = FORWARDED_FOR;
    else if (str_equal_ignore_case(str_from(text), STR_LITERAL("forwarded")))
        *ret_header = FORWARDED;
    else
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "\"%s\" is neither x-forwarded-for nor forwarded", text);
    return true;
}

/* The last part of a list, and the list without it. From the right, because what stands there was
 * written by a proxy that we trust: what a client has put before it (a quotation mark that is never
 * closed) cannot change where it begins. */
static struct str take_last(struct str *list, char separator, bool quotes)
{
    bool quoted = false;
    size_t i = list->length;

    while (i && (quoted || list->data[i - 1] != separator)) {
        i--;
        if (quotes && list->data[i] == '"')
            quoted = !quoted;
    }
    struct str part = {list->data + i, list->length - i};
    list->length = i ? i - 1 : 0;
    return str_trim(part);
}

/* The value of for= in one element; empty when there is none. */
static struct str forwarded_for(struct str element)
{
    while (element.length) {
        struct str pair = take_last(&element, ';', true);
        const char *equals = pair.length ? memchr(pair.data, '=', pair.length) : NULL;
        if (!equals)
            continue;
        struct str name = str_trim((struct str){pair.data, (size_t)(equals - pair.data)});
        struct str value =
            str_trim((struct str){equals + 1, pair.length - (size_t)(equals + 1 - pair.data)});
        if (!str_equal_ignore_case(name, STR_LITERAL("for")))
            continue;
        /* An address needs no escapes: what has one is no address, and does not parse. */
        if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"')
            value = (struct str){value.data + 1, value.length - 2};
        return value;
    }
    return (struct str){"", 0};
}

struct net_address client_address_find(const struct net_networks *trusted,
                                       enum forwarded_header header, const struct net_address *peer,
                                       const struct header *headers, size_t count)
{
    struct str name =
        header == FORWARDED ? STR_LITERAL("forwarded") : STR_LITERAL("x-forwarded-for");
    struct net_address found = *peer, hop;
    unsigned hops = 0;

    if (!net_networks_contain(trusted, peer))
        return found;
    while (count--) { /* several fields of a name are one list, in their order */
        if (!str_equal(headers[count].name, name))
            continue;
        struct str list = headers[count].value;
        while (list.length && hops++ < CLIENT_ADDRESS_HOPS) {
            struct str part = take_last(&list, ',', header == FORWARDED);
            if (!net_address_parse(header == FORWARDED ? forwarded_for(part) : part, &hop))
                return found;
            found = hop;
            if (!net_networks_contain(trusted, &hop))
                return found;
        }
    }
    return found;
}
