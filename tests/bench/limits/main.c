/* What a request pays to be counted: everything that the gateway does for it in limits.c, with
 * tables that are as large and as full as in a busy installation. CPU time of this thread, the
 * median of the rounds; the limit is in the issue: 1 µs. */
#include "gateway/policy/client_address.h"
#include "gateway/policy/rate_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WHO 10000u
#define REQUESTS 1000000u
#define ROUNDS 5
#define TOKEN_BYTES 700
#define LIMIT_NS 1000.0

struct scene {
    struct rate_table *addresses, *principals;
    struct rate_credentials *credentials;
    struct rate_rule rules[RATE_SLOTS];
    struct net_networks trusted, exempt;
    char (*tokens)[TOKEN_BYTES];
    char (*forwarded)[40];
    size_t sum; /* so that nothing is left out */
};

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int64_t now_us(void)
{
    const struct clock *clock = clock_system();

    return clock->monotonic_us(clock);
}

static void prepare(struct scene *scene)
{
    static const char *const rules[RATE_SLOTS] = {"1000:2000", "500:1000", "2:30", "50:500",
                                                  "500:1000"};
    struct entropy entropy;
    struct err err = {0};
    char principal[32];

    entropy_init_seeded(&entropy, 1);
    scene->addresses = rate_table_new(16384, &entropy);
    scene->principals = rate_table_new(16384, &entropy);
    scene->credentials = rate_credentials_new(16384, &entropy);
    scene->tokens = calloc(WHO, TOKEN_BYTES);
    scene->forwarded = calloc(WHO, sizeof(*scene->forwarded));
    if (!scene->addresses || !scene->principals || !scene->credentials || !scene->tokens ||
        !scene->forwarded)
        abort();
    for (unsigned i = 0; i < RATE_SLOTS; i++)
        rate_rule_parse(rules[i], &scene->rules[i], &err);
    net_networks_parse("10.0.0.0/8,192.168.0.0/16", &scene->trusted, &err);
    net_networks_parse("127.0.0.0/8,::1", &scene->exempt, &err);
    for (unsigned i = 0; i < WHO; i++) {
        memset(scene->tokens[i], 'a' + i % 26, TOKEN_BYTES);
        memcpy(scene->tokens[i], "Bearer ", 7);
        memcpy(scene->tokens[i] + 100, &i, sizeof(i));
        snprintf(scene->forwarded[i], sizeof(*scene->forwarded), "198.51.%u.%u, 10.0.0.2", i >> 8,
                 i & 255);
        int length = snprintf(principal, sizeof(principal), "company/caller-%u", i);
        rate_credentials_learn(scene->credentials, (struct str){scene->tokens[i], TOKEN_BYTES},
                               (struct str){principal, (size_t)length}, now_us());
    }
}

static void count_one(struct scene *scene, struct rate_table *table, const struct rate_key *key,
                      unsigned slot, int64_t now)
{
    struct rate_answer answer;
    char policy[RATE_TEXT_SIZE], rate[RATE_TEXT_SIZE];

    rate_take(table, key, slot, &scene->rules[slot], now, &answer);
    scene->sum += rate_format_policy("reads", &scene->rules[slot], policy);
    scene->sum += rate_format_answer("reads", &answer, rate);
}

static void one_address(struct scene *scene, unsigned who)
{
    const struct header headers[] = {
        {STR_LITERAL("host"), STR_LITERAL("x")},
        {STR_LITERAL("accept"), STR_LITERAL("*/*")},
        {STR_LITERAL("user-agent"), STR_LITERAL("bench")},
        {STR_LITERAL("x-forwarded-for"), str_from(scene->forwarded[who])},
    };
    struct net_address peer, client;
    struct rate_key key;
    char text[NET_ADDRESS_TEXT_SIZE];
    int64_t now = now_us();

    net_address_parse(STR_LITERAL("10.0.0.1:5000"), &peer);
    client = client_address_find(&scene->trusted, FORWARDED_FOR, &peer, headers, 4);
    net_address_format(&client, text);
    scene->sum += net_networks_contain(&scene->exempt, &client);
    client = net_address_site(&client);
    memcpy(&key, &client, sizeof(key));
    count_one(scene, scene->addresses, &key, RATE_ALL, now);
    count_one(scene, scene->addresses, &key, RATE_READS, now);
}

static void one_principal(struct scene *scene, unsigned who)
{
    struct net_address peer;
    struct rate_key key;
    char text[NET_ADDRESS_TEXT_SIZE];
    int64_t now = now_us();

    net_address_parse(STR_LITERAL("198.51.100.1:5000"), &peer);
    net_address_format(&peer, text);
    scene->sum += net_networks_contain(&scene->exempt, &peer);
    if (rate_credentials_find(scene->credentials, (struct str){scene->tokens[who], TOKEN_BYTES},
                              now, &key))
        count_one(scene, scene->principals, &key, RATE_READS, now);
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference < 0 ? -1 : difference > 0;
}

static bool run(struct scene *scene, const char *name, void (*one)(struct scene *, unsigned))
{
    double rounds[ROUNDS];

    for (unsigned round = 0; round < ROUNDS; round++) {
        double began = cpu_ns();
        uint32_t who = 1;
        for (unsigned i = 0; i < REQUESTS; i++) {
            who = who * 1664525u + 1013904223u; /* in no order that a cache would like */
            one(scene, (who >> 8) % WHO);
        }
        rounds[round] = (cpu_ns() - began) / REQUESTS;
    }
    qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
    double median = rounds[ROUNDS / 2];
    bool meets = median <= LIMIT_NS;
    printf("  CPU to count a request of %s: %.0f ns, limit at most %.0f ns, ratio %.2f: %s\n", name,
           median, LIMIT_NS, median / LIMIT_NS, meets ? "meets" : "MISSES");
    return meets;
}

int main(void)
{
    struct scene scene = {0};

    prepare(&scene);
    printf("── rate limits: %u addresses and principals, %u requests, median of %d rounds\n", WHO,
           REQUESTS, ROUNDS);
    bool meets = run(&scene, "an address behind two proxies", one_address);
    meets = run(&scene, "a principal with a token of 700 bytes", one_principal) && meets;
    rate_table_free(scene.addresses);
    rate_table_free(scene.principals);
    rate_credentials_free(scene.credentials);
    free(scene.tokens);
    free(scene.forwarded);
    return meets && scene.sum ? 0 : 1;
}
