/* client_address: from where a request comes when proxies stand in between. Only what a trusted
 * proxy says is believed, and only about who came to it. Pure. */
#ifndef GATEWAY_POLICY_CLIENT_ADDRESS_H
#define GATEWAY_POLICY_CLIENT_ADDRESS_H

#include "gateway/http/exchange.h"
#include "gateway/net/address.h"

/* Hops that are looked at, from the right. */
#define CLIENT_ADDRESS_HOPS 32

/* Which header the proxies write; a header that they do not write is the client's own, and not
 * looked at. */
enum forwarded_header {
    FORWARDED_FOR, /* X-Forwarded-For: client, proxy1, proxy2 */
    FORWARDED,     /* Forwarded: for="[2001:db8::1]:47011";proto=https, for=… (RFC 7239) */
};
bool forwarded_header_parse(const char *text, enum forwarded_header *ret_header, struct err *err);

/* The peer, unless that is a trusted proxy: then the right-most address in its header that is not
 * one. An entry that is no address ("unknown", "_hidden") ends the search: the address is the proxy
 * that wrote it. Where all are trusted it is the left-most. */
struct net_address client_address_find(const struct net_networks *trusted,
                                       enum forwarded_header header, const struct net_address *peer,
                                       const struct header *headers, size_t count);

#endif
