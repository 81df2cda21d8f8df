/* What proxies write about who came to them: the first byte says in which header; lines are its
 * fields. */
#include "gateway/policy/client_address.h"
#include "gateway/policy/rate_limit.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum forwarded_header kind = size && data[0] & 1 ? FORWARDED : FORWARDED_FOR;
    struct str name = kind == FORWARDED ? STR_LITERAL("forwarded") : STR_LITERAL("x-forwarded-for");
    struct header headers[8];
    struct net_networks trusted;
    struct net_address peer, client, again;
    struct rate_rule rule;
    struct err err = {0};
    char text[256], out[NET_ADDRESS_TEXT_SIZE];
    size_t count = 0;

    if (!size)
        return 0;
    struct str rest = {(const char *)data + 1, size - 1};
    snprintf(text, sizeof(text), "%.*s", (int)(rest.length < 200 ? rest.length : 200), rest.data);
    rate_rule_parse(text, &rule, &err);
    if (!net_networks_parse(text, &trusted, &err))
        net_networks_parse("10.0.0.0/8", &trusted, &err);
    net_address_parse(STR_LITERAL("10.0.0.1:5"), &peer);
    while (rest.length && count < 8) {
        const char *line = memchr(rest.data, '\n', rest.length);
        size_t length = line ? (size_t)(line - rest.data) : rest.length;
        headers[count++] = (struct header){name, {rest.data, length}};
        rest.data += length + (line != NULL);
        rest.length -= length + (line != NULL);
    }
    client = client_address_find(&trusted, kind, &peer, headers, count);
    net_address_format(&client, out);
    if (!net_address_parse(str_from(out), &again) || !net_address_equal(&client, &again))
        __builtin_trap();
    return 0;
}
