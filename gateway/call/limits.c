#include "gateway/call/limits.h"

#include "gateway/call/request.h"
#include "gateway/policy/rate_share.h"

#include <stdio.h>
#include <stdlib.h>

#define REASON_RATE_LIMITED "RATE_LIMITED"

static bool parse_rules(struct limits *limits, const struct limits_options *options,
                        struct err *err)
{
    static const char *const settings[RATE_SLOTS] = {"rate-reads", "rate-writes", "rate-uploads",
                                                     "rate-streams", "rate-address"};
    struct err why = {0};

    for (unsigned i = 0; i < RATE_SLOTS; i++) {
        const char *text = i == RATE_ALL ? options->address : options->classes[i];
        if (!rate_rule_parse(text, &limits->rules[i], &why))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL, "--%s: %s", settings[i], why.message);
        rate_format_policy(i == RATE_ALL ? "address" : rate_class_names[i], &limits->rules[i],
                           limits->policies[i]);
    }
    return true;
}

static bool parse_networks(const char *setting, const char *text, struct net_networks *networks,
                           struct err *err)
{
    struct err why = {0};

    if (strcmp(text, "none") == 0) /* what an empty variable cannot say */
        text = "";
    return net_networks_parse(text, networks, &why) ||
           err_set(err, ERR_INVALID_ARGUMENT, NULL, "--%s: %s", setting, why.message);
}

static bool parse_all(struct limits *limits, const struct limits_options *options, struct err *err)
{
    if (!parse_rules(limits, options, err) ||
        !parse_networks("trusted-proxies", options->trusted_proxies, &limits->trusted, err) ||
        !parse_networks("rate-exempt", options->exempt, &limits->exempt, err))
        return false;
    if (!forwarded_header_parse(options->forwarded_header, &limits->forwarded_header, err))
        return false;
    limits->uncounted = limits->trusted;
    for (unsigned i = 0; i < limits->exempt.count; i++) {
        if (limits->uncounted.count == NET_NETWORKS_MAX)
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "--trusted-proxies and --rate-exempt: at most %d networks together",
                           NET_NETWORKS_MAX);
        limits->uncounted.list[limits->uncounted.count++] = limits->exempt.list[i];
    }
    return true;
}

struct limits *limits_new(const struct limits_options *options, struct err *err)
{
    struct limits *limits = calloc(1, sizeof(*limits));
    struct entropy entropy;
    size_t entries = (size_t)options->table_entries;

    if (!limits) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    limits->enabled = options->enabled;
    limits->failure_cost = (uint32_t)options->failure_cost;
    if (!parse_all(limits, options, err)) {
        limits_free(limits);
        return NULL;
    }
    if (!limits->enabled)
        return limits;
    entropy_init_system(&entropy);
    limits->addresses = rate_table_new(entries, &entropy);
    limits->principals = rate_table_new(entries, &entropy);
    limits->credentials = rate_credentials_new(entries, &entropy);
    if (!limits->addresses || !limits->principals || !limits->credentials) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "--rate-table: there is not so much memory");
        limits_free(limits);
        return NULL;
    }
    return limits;
}

bool limits_share(struct limits *limits, struct loop *loop, const char *redis_url, struct err *err)
{
    const struct rate_shared shared[RATE_SHARED_TABLES] = {
        {limits->addresses, limits->rules},
        {limits->principals, limits->rules},
    };

    if (!limits->enabled || !redis_url || !redis_url[0])
        return true;
    limits->share = rate_share_new(loop, redis_url, shared, err);
    return limits->share != NULL;
}

void limits_unshare(struct limits *limits)
{
    if (!limits)
        return;
    rate_share_free(limits->share);
    limits->share = NULL;
}

void limits_free(struct limits *limits)
{
    if (!limits)
        return;
    limits_unshare(limits);
    rate_table_free(limits->addresses);
    rate_table_free(limits->principals);
    rate_credentials_free(limits->credentials);
    free(limits);
}

enum rate_class limits_class(const struct schema_method *method, const char *verb)
{
    if (method->client_streaming)
        return RATE_UPLOADS;
    if (method->server_streaming && !method->download_type)
        return RATE_STREAMS;
    return strcmp(verb, "GET") == 0 ? RATE_READS : RATE_WRITES;
}

void limits_find_client(struct request *request)
{
    const struct limits *limits = request->worker->gateway->limits;
    const struct header *headers;
    size_t count = exchange_headers(request->exchange, &headers);

    request->client = client_address_find(&limits->trusted, limits->forwarded_header,
                                          exchange_peer_address(request->exchange), headers, count);
    net_address_format(&request->client, request->client_address);
}

static int64_t now_us(const struct worker *worker)
{
    const struct clock *clock = loop_clock(worker->loop);

    return clock->monotonic_us(clock);
}

static struct rate_key key_of(const struct net_address *address)
{
    struct net_address site = net_address_site(address);
    struct rate_key key;

    memcpy(key.bytes, site.bytes, sizeof(key.bytes));
    return key;
}

static void refuse(struct request *request, unsigned slot, const struct rate_answer *answer,
                   bool by_principal)
{
    struct stats *stats = &request->worker->stats;
    struct err err = {0};

    err.retry_after_seconds =
        (uint32_t)((answer->retry_us + TIME_US_PER_SECOND - 1) / TIME_US_PER_SECOND);
    stats->rate_limited[by_principal][slot]++;
    err_set(&err, ERR_RESOURCE_EXHAUSTED, REASON_RATE_LIMITED,
            "Too many %s from %s: try again in %u s",
            slot == RATE_ALL ? "requests" : rate_class_names[slot],
            by_principal ? "you" : "your address", err.retry_after_seconds);
    request_fail(request, &err, NULL);
}

/* One bucket. False: it has been answered 429. */
static bool take(struct request *request, struct rate_table *table, const struct rate_key *key,
                 unsigned slot, int64_t now, bool by_principal)
{
    const struct rate_rule *rule = &request->worker->gateway->limits->rules[slot];
    struct limits_seen *seen = &request->limits;
    struct rate_answer *answer = &seen->answers[seen->count];

    if (!rule->interval_ns)
        return true;
    rate_take(table, key, slot, rule, now, answer);
    seen->slots[seen->count++] = slot;
    if (answer->allowed)
        return true;
    refuse(request, slot, answer, by_principal);
    return false;
}

bool limits_admit(struct request *request, enum rate_class class)
{
    struct limits *limits = request->worker->gateway->limits;
    struct str credential = exchange_header(request->exchange, "authorization");
    struct rate_key key;

    /* A trusted proxy that does not say who came to it is no reason to count nobody. */
    if (!limits->enabled || (net_networks_contain(&limits->exempt, &request->client) &&
                             !net_networks_contain(&limits->trusted, &request->client)))
        return true;
    int64_t now = now_us(request->worker);
    if (credential.length && rate_credentials_find(limits->credentials, credential, now, &key)) {
        request->principal_known = true;
        return take(request, limits->principals, &key, class, now, true);
    }
    key = key_of(&request->client);
    return take(request, limits->addresses, &key, RATE_ALL, now, false) &&
           take(request, limits->addresses, &key, class, now, false);
}

static void charge_guess(struct limits *limits, const struct net_address *address, int64_t now)
{
    const struct rate_rule *rule = &limits->rules[RATE_ALL];
    struct rate_key key = key_of(address);

    if (limits->enabled && rule->interval_ns && limits->failure_cost)
        rate_charge(limits->addresses, &key, RATE_ALL, rule, limits->failure_cost, true, now);
}

void limits_on_refused(struct limits *limits, const struct net_address *address,
                       const char *authorization, int64_t now)
{
    if (!limits->enabled || !authorization)
        return;
    rate_credentials_forget(limits->credentials, str_from(authorization));
    charge_guess(limits, address, now);
}

void limits_on_guess(struct worker *worker, const struct net_address *address)
{
    charge_guess(worker->gateway->limits, address, now_us(worker));
}

void limits_on_principal(void *context, const char *authorization, struct str principal)
{
    struct worker *worker = context;
    struct limits *limits = worker->gateway->limits;

    if (limits->enabled)
        rate_credentials_learn(limits->credentials, str_from(authorization), principal,
                               now_us(worker));
}
