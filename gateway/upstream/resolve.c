/* Addresses of a service: numeric ones and unix paths at once, names through DNS without blocking
 * the loop, again every 30 s while the service is used and soon after a connection has failed. */
#include "gateway/upstream/internal.h"

#include "base/log.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES_MAX 16
#define REFRESH_US (30 * TIME_US_PER_SECOND)
#define URGENT_REFRESH_US (1 * TIME_US_PER_SECOND)

struct name {
    struct upstream *upstream;
    char host[256];
    char port[8];
    bool asking;
    bool answered; /* at least once */
    struct endpoint *endpoints[ENDPOINTS_MAX];
    unsigned endpoint_count;
};

struct resolver {
    struct evdns_base *dns;
    struct name names[NAMES_MAX];
    unsigned count;
    int64_t asked_us;
    bool closing;
};

static struct endpoint *add_endpoint(struct upstream *upstream, const struct sockaddr *address,
                                     socklen_t length, const char *text, const char *host)
{
    struct endpoint *endpoint;

    for (unsigned i = 0; i < upstream->endpoint_count; i++) {
        endpoint = upstream->endpoints[i];
        if (endpoint->address_length == length && memcmp(&endpoint->address, address, length) == 0)
            return endpoint;
    }
    if (upstream->endpoint_count == ENDPOINTS_MAX || !(endpoint = calloc(1, sizeof(*endpoint))))
        return NULL;
    memcpy(&endpoint->address, address, length);
    endpoint->address_length = length;
    snprintf(endpoint->text, sizeof(endpoint->text), "%s", text);
    snprintf(endpoint->authority, sizeof(endpoint->authority), "%s",
             address->sa_family == AF_UNIX ? "localhost" : text);
    snprintf(endpoint->host, sizeof(endpoint->host), "%s", host);
    TAILQ_INIT(&endpoint->connections);
    upstream->endpoints[upstream->endpoint_count++] = endpoint;
    return endpoint;
}

static bool add_unix(struct upstream *upstream, const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[128];

    if (!path[0] || strlen(path) >= sizeof(address.sun_path))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "unix:%s: the path is %s", path,
                       path[0] ? "too long" : "missing");
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    snprintf(text, sizeof(text), "unix:%s", path);
    return add_endpoint(upstream, (const struct sockaddr *)&address, sizeof(address), text, "") !=
               NULL ||
           err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "too many addresses");
}

static void describe(const struct addrinfo *info, char *out, size_t size)
{
    char host[64], port[8];

    if (getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(out, size, "?");
    else
        snprintf(out, size, info->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool add_name(struct upstream *upstream, const char *host, const char *port, struct err *err)
{
    struct resolver *resolver = upstream->resolver;

    if (!resolver && !(resolver = upstream->resolver = calloc(1, sizeof(*resolver))))
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (resolver->count == NAMES_MAX || strlen(host) >= sizeof(resolver->names[0].host))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s: too many or too long names", host);
    struct name *name = &resolver->names[resolver->count++];
    name->upstream = upstream;
    snprintf(name->host, sizeof(name->host), "%s", host);
    snprintf(name->port, sizeof(name->port), "%s", port);
    return true;
}

/* host:port, [v6]:port, unix:/path */
static bool add_address(struct upstream *upstream, char *word, struct err *err)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *info;
    char text[128];
    int64_t number;

    if (strncmp(word, "unix:", 5) == 0)
        return add_unix(upstream, word + 5, err);
    char *colon = strrchr(word, ':');
    if (!colon || colon == word || !str_parse_int64(str_from(colon + 1), &number) || number < 1 ||
        number > 65535)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "\"%s\" is no address such as 127.0.0.1:7001, host:7001 or unix:/path",
                       word);
    *colon = '\0';
    if (word[0] == '[' && colon[-1] == ']') {
        word++;
        colon[-1] = '\0';
    }
    if (getaddrinfo(word, colon + 1, &hints, &info) != 0)
        return add_name(upstream, word, colon + 1, err);
    describe(info, text, sizeof(text));
    bool added = add_endpoint(upstream, info->ai_addr, info->ai_addrlen, text, word) != NULL;
    freeaddrinfo(info);
    return added || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "too many addresses");
}

bool resolve_init(struct upstream *upstream, const char *addresses, struct err *err)
{
    char *copy = strdup(addresses ? addresses : ""), *rest = copy, *word;
    bool fine = copy != NULL;

    while (fine && (word = strsep(&rest, ","))) {
        struct str trimmed = str_trim(str_from(word));
        if (!trimmed.length)
            continue;
        char *start = word + (trimmed.data - word);
        start[trimmed.length] = '\0';
        fine = add_address(upstream, start, err);
    }
    free(copy);
    if (!fine)
        return err_is_set(err) ? false
                               : err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (!upstream->endpoint_count && !upstream->resolver)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "no address for the %s service",
                       upstream->name);
    if (upstream->resolver) {
        upstream->resolver->dns =
            evdns_base_new(loop_event_base(upstream->loop),
                           EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        /* Without a name server of the system /etc/hosts still answers. */
        if (!upstream->resolver->dns)
            upstream->resolver->dns = evdns_base_new(loop_event_base(upstream->loop), 0);
        if (!upstream->resolver->dns)
            return err_set(err, ERR_UNAVAILABLE, NULL, "the DNS resolver did not start");
        evdns_base_load_hosts(upstream->resolver->dns, "/etc/hosts");
    }
    return true;
}

/* Addresses that the name no longer has: their connections end when their calls have. */
static void retire(struct name *name)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < name->endpoint_count; i++) {
        struct endpoint *endpoint = name->endpoints[i];
        struct channel *connection, *next;
        if (endpoint->seen) {
            name->endpoints[kept++] = endpoint;
            continue;
        }
        endpoint->gone = true;
        for (connection = TAILQ_FIRST(&endpoint->connections); connection; connection = next) {
            next = TAILQ_NEXT(connection, link);
            channel_drain(connection);
        }
    }
    name->endpoint_count = kept;
}

static void take_answer(struct name *name, struct addrinfo *answer)
{
    char text[128];

    for (unsigned i = 0; i < name->endpoint_count; i++)
        name->endpoints[i]->seen = false;
    for (struct addrinfo *info = answer; info; info = info->ai_next) {
        describe(info, text, sizeof(text));
        struct endpoint *endpoint =
            add_endpoint(name->upstream, info->ai_addr, info->ai_addrlen, text, name->host);
        if (!endpoint)
            break;
        endpoint->gone = false;
        endpoint->seen = true;
        bool known = false;
        for (unsigned i = 0; i < name->endpoint_count; i++)
            known |= name->endpoints[i] == endpoint;
        if (!known && name->endpoint_count < ENDPOINTS_MAX)
            name->endpoints[name->endpoint_count++] = endpoint;
    }
    retire(name);
}

static void on_answer(int error, struct evutil_addrinfo *answer, void *context)
{
    struct name *name = context;
    struct upstream *upstream = name->upstream;
    struct upstream_call *call;

    name->asking = false;
    if (error == EVUTIL_EAI_CANCEL || upstream->closing)
        return;
    if (error)
        log_event(LOG_LEVEL_WARN, "name_not_resolved", log_text("backend", upstream->name),
                  log_text("host", name->host), log_text("why", evutil_gai_strerror(error)));
    else
        take_answer(name, answer);
    if (answer)
        evutil_freeaddrinfo(answer);
    name->answered = true;

    /* What waits looks for its connection again. */
    struct call_list waiting;
    TAILQ_INIT(&waiting);
    TAILQ_CONCAT(&waiting, &upstream->pending, link);
    upstream->pending_count = 0;
    while ((call = TAILQ_FIRST(&waiting))) {
        TAILQ_REMOVE(&waiting, call, link);
        upstream_dispatch(call);
    }
}

/* The answer may come from inside evdns_getaddrinfo (hosts file), therefore after this turn. */
static void ask(void *context)
{
    struct upstream *upstream = context;
    struct resolver *resolver = upstream->resolver;
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_ADDRCONFIG};

    if (upstream->closing)
        return;
    for (unsigned i = 0; i < resolver->count; i++)
        evdns_getaddrinfo(resolver->dns, resolver->names[i].host, resolver->names[i].port, &hints,
                          on_answer, &resolver->names[i]);
}

bool resolve_refresh(struct upstream *upstream, bool urgently)
{
    struct resolver *resolver = upstream->resolver;
    int64_t now = upstream_now(upstream);
    bool asking = false, answered = true;

    if (!resolver)
        return false;
    for (unsigned i = 0; i < resolver->count; i++) {
        asking |= resolver->names[i].asking;
        answered &= resolver->names[i].answered;
    }
    if (!asking && (!resolver->asked_us ||
                    now - resolver->asked_us > (urgently ? URGENT_REFRESH_US : REFRESH_US))) {
        resolver->asked_us = now;
        for (unsigned i = 0; i < resolver->count; i++)
            resolver->names[i].asking = true;
        loop_defer(upstream->loop, ask, upstream);
        asking = true;
    }
    return asking && !answered;
}

void resolve_done(struct upstream *upstream)
{
    struct resolver *resolver = upstream->resolver;

    if (!resolver)
        return;
    if (resolver->dns)
        evdns_base_free(resolver->dns, 0);
    free(resolver);
    upstream->resolver = NULL;
}
