/* limits: how often somebody may ask. Who has shown a credential that a service has verified is
 * counted as that principal, wherever it comes from; everybody else as the address it comes from
 * (of which everything counts, before any authentication), where each 401 counts as several
 * requests. Both have a bucket for each class of routes. */
#ifndef GATEWAY_CALL_LIMITS_H
#define GATEWAY_CALL_LIMITS_H

#include "gateway/policy/client_address.h"
#include "gateway/policy/rate_limit.h"
#include "gateway/upstream/upstream.h"

#include <stdatomic.h>

struct loop;
struct request;
struct rate_share;
struct schema_method;
struct worker;

struct limits_options {
    bool enabled;        /* false: nobody is counted */
    const char *address; /* rules, as of rate_rule_parse() */
    const char *classes[RATE_CLASSES];
    int64_t failure_cost;         /* tokens of an address that a 401 costs */
    int64_t table_entries;        /* of addresses, of principals, of credentials */
    const char *exempt;           /* networks that are not counted */
    const char *trusted_proxies;  /* networks whose forwarded addresses are believed */
    const char *forwarded_header; /* "x-forwarded-for" or "forwarded" */
    const char *redis_url;        /* NULL or empty: this gateway is alone */
};

/* Shared by all threads. */
struct limits {
    bool enabled;
    uint32_t failure_cost;
    enum forwarded_header forwarded_header;
    struct net_networks trusted, exempt;
    struct net_networks uncounted; /* both: those that have no limit of connections */
    struct rate_rule rules[RATE_SLOTS];
    char policies[RATE_SLOTS][RATE_TEXT_SIZE]; /* for RateLimit-Policy */
    struct rate_table *addresses, *principals;
    struct rate_credentials *credentials;
    struct rate_share *share;
};

/* NULL: err says which setting is wrong. The tables are empty; with redis_url limits_share() joins
 * others. */
struct limits *limits_new(const struct limits_options *options, struct err *err);
/* On the loop of the first thread. */
bool limits_share(struct limits *limits, struct loop *loop, const char *redis_url, struct err *err);
/* Before that loop is freed. */
void limits_unshare(struct limits *limits);
void limits_free(struct limits *limits);

/* What a request was allowed by, for its headers: RateLimit-Policy and RateLimit. */
struct limits_seen {
    unsigned count; /* 0: it is not limited */
    unsigned slots[2];
    struct rate_answer answers[2];
};

enum rate_class limits_class(const struct schema_method *method, const char *verb);
/* request->client_address is filled in, for the services and the limits. */
void limits_find_client(struct request *request);
/* False: it has been answered 429. */
bool limits_admit(struct request *request, enum rate_class class);
/* Somebody at that address has shown a credential that never was good, as far as is known. */
void limits_on_guess(struct worker *worker, const struct net_address *address);
/* Somebody at that address has shown a credential (NULL: none) that is not good. */
void limits_on_refused(struct limits *limits, const struct net_address *address,
                       const char *authorization, int64_t now_us);
/* For upstream_options.observer; context is the struct worker. */
void limits_on_principal(void *worker, const char *authorization, struct str principal);

#endif
