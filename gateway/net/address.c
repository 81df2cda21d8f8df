#include "gateway/net/address.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const struct net_address *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* Digits alone, without port and brackets. */
static bool parse_host(struct str text, struct net_address *ret_address)
{
    char host[NET_ADDRESS_TEXT_SIZE];
    struct in_addr in;

    if (!text.length || text.length >= sizeof(host) || memchr(text.data, '\0', text.length)) {
        return false;
    }
    memcpy(host, text.data, text.length);
    host[text.length] = '\0';
    if (memchr(host, ':', text.length)) {
        return inet_pton(AF_INET6, host, ret_address->bytes) == 1;
    }
    if (inet_pton(AF_INET, host, &in) != 1) {
        return false;
    }
    memcpy(ret_address->bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(ret_address->bytes + sizeof(mapped_prefix), &in, sizeof(in));
    return true;
}

static bool is_port(struct str text)
{
    uint64_t port;

    return text.length <= 5 && str_parse_uint64(text, &port) && port <= 65535;
}

bool net_address_parse(struct str text, struct net_address *ret_address)
{
    const char *colon, *bracket;
    struct str rest;

    if (!text.length) {
        return false;
    }
    if (text.data[0] == '[') {
        bracket = memchr(text.data, ']', text.length);
        if (!bracket) {
            return false;
        }
        rest = (struct str){bracket + 1, text.length - (size_t)(bracket + 1 - text.data)};
        text = (struct str){text.data + 1, (size_t)(bracket - text.data) - 1};
        if (rest.length &&
            (rest.data[0] != ':' || !is_port((struct str){rest.data + 1, rest.length - 1}))) {
            return false;
        }
        return text.length && memchr(text.data, ':', text.length) && parse_host(text, ret_address);
    }
    colon = memchr(text.data, ':', text.length);
    /* One colon: a port. More: a bare IPv6 address. */
    if (colon && !memchr(colon + 1, ':', text.length - (size_t)(colon + 1 - text.data))) {
        rest = (struct str){colon + 1, text.length - (size_t)(colon + 1 - text.data)};
        return is_port(rest) &&
               parse_host((struct str){text.data, (size_t)(colon - text.data)}, ret_address);
    }
    return parse_host(text, ret_address);
}

void net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_SIZE])
{
    const char *made =
        is_mapped(address)
            ? inet_ntop(AF_INET, address->bytes + sizeof(mapped_prefix), out, NET_ADDRESS_TEXT_SIZE)
            : inet_ntop(AF_INET6, address->bytes, out, NET_ADDRESS_TEXT_SIZE);

    if (!made) {
        out[0] = '\0';
    }
}

bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct net_address net_address_site(const struct net_address *address)
{
    struct net_address site = *address;

    if (!is_mapped(address)) {
        memset(site.bytes + 8, 0, 8);
    }
    return site;
}

static bool has_prefix(const struct net_address *address, const struct net_address *network,
                       unsigned prefix)
{
    unsigned bytes = prefix / 8, bits = prefix % 8;

    return memcmp(address->bytes, network->bytes, bytes) == 0 &&
           (bits == 0 || (address->bytes[bytes] ^ network->bytes[bytes]) >> (8 - bits) == 0);
}

bool net_networks_contain(const struct net_networks *networks, const struct net_address *address)
{
    unsigned i;

    for (i = 0; i < networks->count; i++) {
        if (has_prefix(address, &networks->list[i].address, networks->list[i].prefix)) {
            return true;
        }
    }
    return false;
}

static bool parse_network(struct str text, struct net_address *ret_address, uint8_t *ret_prefix)
{
    const char *slash = memchr(text.data, '/', text.length);
    struct str host = {text.data, slash ? (size_t)(slash - text.data) : text.length};
    struct str bits = {NULL, 0};
    struct net_address masked = {{0}};
    uint64_t prefix = 128;
    unsigned i, most;

    if (!parse_host(host, ret_address)) {
        return false;
    }
    most = memchr(host.data, ':', host.length) ? 128 : 32;
    if (slash) {
        bits = (struct str){slash + 1, text.length - host.length - 1};
        if (!str_parse_uint64(bits, &prefix) || prefix > most) {
            return false;
        }
        prefix += 128 - most;
    }
    for (i = 0; i < prefix / 8; i++) {
        masked.bytes[i] = ret_address->bytes[i];
    }
    if (prefix % 8) {
        masked.bytes[i] = ret_address->bytes[i] & (uint8_t)(0xff00 >> (prefix % 8));
    }
    *ret_prefix = (uint8_t)prefix;
    return net_address_equal(&masked, ret_address);
}

bool net_networks_parse(const char *text, struct net_networks *ret_networks, struct err *err)
{
    struct str rest = str_from(text ? text : "");

    ret_networks->count = 0;
    while (rest.length) {
        const char *comma = memchr(rest.data, ',', rest.length);
        size_t length = comma ? (size_t)(comma - rest.data) : rest.length;
        struct str word = str_trim((struct str){rest.data, length});
        rest.data += comma ? length + 1 : length;
        rest.length -= comma ? length + 1 : length;
        if (!word.length) {
            continue;
        }
        if (ret_networks->count == NET_NETWORKS_MAX) {
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "at most %d networks",
                           NET_NETWORKS_MAX);
        }
        if (!parse_network(word, &ret_networks->list[ret_networks->count].address,
                           &ret_networks->list[ret_networks->count].prefix)) {
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "\"%.*s\" is no network such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1 "
                           "(whose bits behind the prefix are 0)",
                           (int)word.length, word.data);
        }
        ret_networks->count++;
    }
    return true;
}
