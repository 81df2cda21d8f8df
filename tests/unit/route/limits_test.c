/* Who asks, from where, how often: addresses and proxies, token buckets, what gateways tell each
 * other. All with a virtual clock. */
#include "gateway/policy/client_address.h"
#include "gateway/policy/rate_limit.h"
#include "gateway/policy/rate_share.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define SECOND TIME_US_PER_SECOND

/* ---- Addresses ---- */

static const char *same(const char *text)
{
    static char out[NET_ADDRESS_TEXT_SIZE];
    struct net_address address;

    if (!net_address_parse(str_from(text), &address))
        return "refused";
    net_address_format(&address, out);
    return out;
}

static void test_addresses(void **state)
{
    (void)state;
    assert_string_equal(same("192.0.2.1"), "192.0.2.1");
    assert_string_equal(same("192.0.2.1:8080"), "192.0.2.1");
    assert_string_equal(same("2001:DB8::1"), "2001:db8::1");
    assert_string_equal(same("[2001:db8::1]"), "2001:db8::1");
    assert_string_equal(same("[2001:db8::1]:443"), "2001:db8::1");
    assert_string_equal(same("::ffff:192.0.2.1"), "192.0.2.1");
    static const char *const bad[] = {"",
                                      "unknown",
                                      "_hidden",
                                      "192.0.2",
                                      "192.0.2.256",
                                      "192.0.2.1:",
                                      "192.0.2.1:65536",
                                      "192.0.2.1:x",
                                      "[2001:db8::1",
                                      "[2001:db8::1]x",
                                      "[192.0.2.1]",
                                      "fe80::1%eth0",
                                      "localhost",
                                      "1.2.3.4.5",
                                      "0x7f.0.0.1",
                                      "[]",
                                      "2001:db8:0000:0000:0000:0000:0000:0001:0000:0000:0000:0000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_string_equal(same(bad[i]), "refused");
}

static bool contains(const char *networks, const char *text)
{
    struct net_networks list;
    struct net_address address;
    struct err err = {0};

    assert_true(net_networks_parse(networks, &list, &err));
    assert_true(net_address_parse(str_from(text), &address));
    return net_networks_contain(&list, &address);
}

static void test_networks(void **state)
{
    struct net_networks list;
    struct err err = {0};

    (void)state;
    assert_true(contains("127.0.0.0/8, ::1", "127.9.9.9"));
    assert_true(contains("127.0.0.0/8,::1", "::1"));
    assert_false(contains("127.0.0.0/8,::1", "128.0.0.1"));
    assert_false(contains("127.0.0.0/8,::1", "::2"));
    assert_true(contains("10.0.0.0/9", "10.127.255.255"));
    assert_false(contains("10.0.0.0/9", "10.128.0.0"));
    assert_true(contains("192.0.2.7", "192.0.2.7"));
    assert_true(contains("0.0.0.0/0", "255.255.255.255"));
    assert_false(contains("0.0.0.0/0", "2001:db8::1"));
    assert_true(contains("::/0", "192.0.2.1"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::"));
    assert_false(contains("", "127.0.0.1"));
    static const char *const bad[] = {"10.0.0.1/8",  "10.0.0.0/33", "::/129",      "10.0.0.0/",
                                      "10.0.0.0/-1", "x",           "10.0.0.0/8x", "localhost"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(net_networks_parse(bad[i], &list, &err));
        assert_non_null(strstr(err.message, bad[i]));
    }
}

/* The client that is found behind a peer; fields are the header's values. */
static const char *found(const char *trusted, const char *peer_text, enum forwarded_header header,
                         const char *first, const char *second)
{
    static char out[NET_ADDRESS_TEXT_SIZE];
    const char *name = header == FORWARDED ? "forwarded" : "x-forwarded-for";
    const struct header headers[] = {
        {STR_LITERAL("host"), STR_LITERAL("x")},
        {str_from(name), str_from(first ? first : "")},
        {STR_LITERAL("accept"), STR_LITERAL("1.1.1.1")},
        {str_from(name), str_from(second ? second : "")},
    };
    struct net_networks networks;
    struct net_address peer, client;
    struct err err = {0};

    assert_true(net_networks_parse(trusted, &networks, &err));
    assert_true(net_address_parse(str_from(peer_text), &peer));
    client = client_address_find(&networks, header, &peer, headers, second ? 4 : first ? 2 : 1);
    net_address_format(&client, out);
    return out;
}

static void test_client_address(void **state)
{
    const char *us = "10.0.0.0/8";

    (void)state;
    /* Nobody is trusted: what a client says is its own affair. */
    assert_string_equal(found("", "10.0.0.1:5", FORWARDED_FOR, "192.0.2.1", NULL), "10.0.0.1");
    assert_string_equal(found(us, "192.0.2.9:5", FORWARDED_FOR, "198.51.100.1", NULL), "192.0.2.9");
    /* One proxy, two, several fields; what stands left of the client's own is not looked at. */
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "192.0.2.1", NULL), "192.0.2.1");
    assert_string_equal(
        found(us, "10.0.0.1:5", FORWARDED_FOR, "1.1.1.1, 192.0.2.1, 10.0.0.2", NULL), "192.0.2.1");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "1.1.1.1", "192.0.2.1"),
                        "192.0.2.1");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "192.0.2.1", "10.0.0.3"),
                        "192.0.2.1");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "10.0.0.4,10.0.0.3", NULL),
                        "10.0.0.4");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, NULL, NULL), "10.0.0.1");
    /* What is no address ends the search at who said it; nothing in front of it changes that. */
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "192.0.2.1, unknown", NULL),
                        "10.0.0.1");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "1.1.1.1, nonsense, 10.0.0.2", NULL),
                        "10.0.0.2");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, "\"never closed, 192.0.2.1", NULL),
                        "192.0.2.1");
    assert_string_equal(
        found(us, "10.0.0.1:5", FORWARDED, "for=\"never closed, for=192.0.2.1", NULL), "192.0.2.1");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED,
                              "for=1.1.1.1;proto=http, proto=https;For=\"[2001:db8::7]:4711\";by=x",
                              NULL),
                        "2001:db8::7");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED, "for=_hidden", NULL), "10.0.0.1");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED, "by=192.0.2.1", NULL), "10.0.0.1");
    /* The other header is not looked at. */
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED, NULL, NULL), "10.0.0.1");
    char many[4096] = "192.0.2.1";
    for (unsigned i = 0; i < 100; i++)
        strcat(many, ", 10.0.0.2");
    assert_string_equal(found(us, "10.0.0.1:5", FORWARDED_FOR, many, NULL), "10.0.0.2");
}

/* ---- Buckets ---- */

static struct rate_rule rule(const char *text)
{
    struct rate_rule made;
    struct err err = {0};

    assert_true(rate_rule_parse(text, &made, &err));
    return made;
}

static struct rate_key key(uint32_t number)
{
    struct rate_key made = {{1}};

    memcpy(made.bytes + 8, &number, sizeof(number));
    return made;
}

static struct rate_table *table_of(size_t entries)
{
    struct entropy entropy;

    entropy_init_seeded(&entropy, 7);
    return rate_table_new(entries, &entropy);
}

static unsigned allowed_of(struct rate_table *table, uint32_t who, const struct rate_rule *limit,
                           unsigned asked, int64_t now_us)
{
    struct rate_key whose = key(who);
    struct rate_answer answer;
    unsigned allowed = 0;

    for (unsigned i = 0; i < asked; i++) {
        rate_take(table, &whose, RATE_READS, limit, now_us, &answer);
        allowed += answer.allowed;
    }
    return allowed;
}

static void test_rules(void **state)
{
    struct rate_rule made;
    struct err err = {0};

    (void)state;
    assert_int_equal(rule("off").interval_ns, 0);
    assert_int_equal(rule("200:400").interval_ns, 5000000);
    assert_int_equal(rule("200:400").burst, 400);
    assert_int_equal(rule("30/m:10").interval_ns, 2000000000);
    assert_int_equal(rule("5/h").burst, 1);
    assert_int_equal(rule("1000000").burst, 1000000);
    static const char *const bad[] = {
        "",      "0",  "-1",        "1000001", "5/d", "5:",   "5:0", "x",  "5/",
        "5:5:5", " 5", "5:1000001", "1e3",     "5s",  "none", "/s",  ":5", "5/s/s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(rate_rule_parse(bad[i], &made, &err));
}

static void test_bucket(void **state)
{
    struct rate_table *table = table_of(64);
    struct rate_rule limit = rule("10:5");
    struct rate_key whose = key(1);
    struct rate_answer answer;
    int64_t now = 1000 * SECOND;

    (void)state;
    rate_take(table, &whose, RATE_READS, &limit, now, &answer);
    assert_true(answer.allowed);
    assert_int_equal(answer.remaining, 4);
    assert_int_equal(answer.full_us, 100000);
    assert_int_equal(answer.retry_us, 0);
    assert_int_equal(allowed_of(table, 1, &limit, 10, now), 4);
    rate_take(table, &whose, RATE_READS, &limit, now, &answer);
    assert_false(answer.allowed);
    assert_int_equal(answer.remaining, 0);
    assert_in_range(answer.retry_us, 99999, 100001);
    /* What is refused costs nothing; the other classes, and others, are not touched. */
    assert_int_equal(allowed_of(table, 1, &limit, 10, now + 100000), 1);
    rate_take(table, &whose, RATE_WRITES, &limit, now, &answer);
    assert_true(answer.allowed);
    assert_int_equal(allowed_of(table, 2, &limit, 10, now), 5);
    /* Full again, and not fuller. */
    assert_int_equal(allowed_of(table, 1, &limit, 10, now + 3600 * SECOND), 5);
    /* Over any time: the rate, and one burst. */
    unsigned sum = 0;
    for (int64_t at = 0; at < 10 * SECOND; at += 7000)
        sum += allowed_of(table, 3, &limit, 1, now + at);
    assert_in_range(sum, 104, 105);
    rate_table_free(table);
}

static void test_penalty(void **state)
{
    struct rate_table *table = table_of(64);
    struct rate_rule limit = rule("10:5");
    struct rate_key whose = key(1);
    int64_t now = SECOND;

    (void)state;
    rate_charge(table, &whose, RATE_READS, &limit, 3, false, now);
    assert_int_equal(allowed_of(table, 1, &limit, 10, now), 2);
    /* A debt is bounded: in a second it is paid. */
    rate_charge(table, &whose, RATE_READS, &limit, 1000000, false, now);
    rate_charge(table, &whose, RATE_READS, &limit, UINT32_MAX, false, now);
    assert_int_equal(allowed_of(table, 1, &limit, 10, now + 499999), 0);
    assert_int_equal(allowed_of(table, 1, &limit, 10, now + 600000), 1);
    rate_table_free(table);
}

/* An attacker with a hundred thousand addresses who asks once from each does not make us forget one
 * who has used up what he had. */
static void test_a_flood_of_addresses_forgives_nobody(void **state)
{
    struct rate_table *table = table_of(1024);
    struct rate_rule limit = rule("10:100");
    int64_t now = SECOND;
    unsigned forgiven = 0;

    (void)state;
    for (uint32_t who = 1; who <= 20; who++)
        assert_int_equal(allowed_of(table, who, &limit, 200, now), 100);
    for (uint32_t other = 1000; other < 101000; other++)
        allowed_of(table, other, &limit, 1, now);
    for (uint32_t who = 1; who <= 20; who++)
        forgiven += allowed_of(table, who, &limit, 1, now);
    assert_int_equal(forgiven, 0);
    rate_table_free(table);
}

static void test_credentials(void **state)
{
    struct entropy entropy;
    struct rate_key first, second;
    struct rate_credentials *credentials;
    int64_t now = SECOND;

    (void)state;
    entropy_init_seeded(&entropy, 7);
    credentials = rate_credentials_new(64, &entropy);
    assert_false(rate_credentials_find(credentials, STR_LITERAL("Bearer a"), now, &first));
    rate_credentials_learn(credentials, STR_LITERAL("Bearer a"), STR_LITERAL("*/anna"), now);
    rate_credentials_learn(credentials, STR_LITERAL("Bearer b"), STR_LITERAL("*/anna"), now);
    rate_credentials_learn(credentials, STR_LITERAL("Bearer c"), STR_LITERAL("c/anna"), now);
    assert_true(rate_credentials_find(credentials, STR_LITERAL("Bearer a"), now, &first));
    assert_true(rate_credentials_find(credentials, STR_LITERAL("Bearer b"), now, &second));
    assert_memory_equal(&first, &second, sizeof(first)); /* one principal, two tokens */
    assert_true(rate_credentials_find(credentials, STR_LITERAL("Bearer c"), now, &second));
    assert_memory_not_equal(&first, &second, sizeof(first));
    rate_credentials_forget(credentials, STR_LITERAL("Bearer a"));
    assert_false(rate_credentials_find(credentials, STR_LITERAL("Bearer a"), now, &first));
    assert_false(
        rate_credentials_find(credentials, STR_LITERAL("Bearer b"), now + 3600 * SECOND, &first));
    for (unsigned i = 0; i < 10000; i++) {
        char text[32];
        int length = snprintf(text, sizeof(text), "Bearer %u", i);
        rate_credentials_learn(credentials, (struct str){text, (size_t)length},
                               STR_LITERAL("*/anna"), now + i);
    }
    assert_true(rate_credentials_find(credentials, STR_LITERAL("Bearer 9999"), now, &first));
    rate_credentials_free(credentials);
}

/* ---- Sharing ---- */

struct told {
    char message[4096];
    size_t length;
};

static void tell(void *context, const struct rate_key *whose, unsigned slot, uint32_t tokens)
{
    struct told *told = context;
    uint8_t item[22] = {0, (uint8_t)slot};

    memcpy(item + 2, whose, sizeof(*whose));
    item[21] = (uint8_t)tokens;
    memcpy(told->message + told->length, item, sizeof(item));
    told->length += sizeof(item);
}

static void test_sharing(void **state)
{
    struct rate_table *here = table_of(64), *there = table_of(64);
    struct rate_rule limit = rule("10:50");
    struct rate_rule rules[RATE_SLOTS] = {limit, limit, limit, limit, limit};
    const struct rate_shared shared[RATE_SHARED_TABLES] = {{there, rules}, {there, rules}};
    struct told told = {.message = {1}, .length = 1};
    int64_t now = SECOND;

    (void)state;
    assert_int_equal(allowed_of(here, 1, &limit, 30, now), 30);
    assert_int_equal(allowed_of(there, 1, &limit, 10, now), 10);
    assert_int_equal(rate_collect(here, 1000, tell, &told), 1);
    assert_int_equal(rate_collect(here, 1000, tell, &told), 0); /* nothing new */
    assert_true(rate_share_apply(shared, (struct str){told.message, told.length}, now));
    assert_int_equal(allowed_of(there, 1, &limit, 100, now), 10);
    /* What was heard is not told again; what is our own is. */
    told.length = 1;
    assert_int_equal(rate_collect(there, 1000, tell, &told), 1);
    assert_int_equal((uint8_t)told.message[22], 20);
    /* Malformed. */
    assert_false(rate_share_apply(shared, (struct str){"", 0}, now));
    assert_false(rate_share_apply(shared, (struct str){"\2", 1}, now));
    assert_false(rate_share_apply(shared, (struct str){told.message, told.length - 1}, now));
    told.message[1] = 2;
    assert_false(rate_share_apply(shared, (struct str){told.message, told.length}, now));
    told.message[1] = 0;
    told.message[2] = RATE_SLOTS;
    assert_false(rate_share_apply(shared, (struct str){told.message, told.length}, now));
    rate_table_free(here);
    rate_table_free(there);
}

/* A collector with little room takes the rest next time, and loses nothing. */
static void count_told(void *context, const struct rate_key *whose, unsigned slot, uint32_t tokens)
{
    (void)whose;
    (void)slot;
    *(unsigned *)context += tokens;
}

static void test_collecting_in_parts(void **state)
{
    struct rate_table *table = table_of(16384);
    struct rate_rule limit = rule("10:50");
    unsigned sum = 0;

    (void)state;
    for (uint32_t who = 0; who < 3000; who++)
        allowed_of(table, who, &limit, 1, SECOND);
    for (unsigned round = 0; round < 1000 && sum < 3000; round++)
        assert_in_range(rate_collect(table, 100, count_told, &sum), 0, 100);
    assert_int_equal(sum, 3000);
    rate_table_free(table);
}

static void test_headers(void **state)
{
    struct rate_rule limit = rule("200:500");
    struct rate_answer answer = {.remaining = 499, .full_us = 5000};
    char out[RATE_TEXT_SIZE];

    (void)state;
    size_t length = rate_format_policy("reads", &limit, out);
    assert_int_equal(length, strlen(out));
    assert_string_equal(out, "\"reads\";q=500;w=3");
    length = rate_format_answer("reads", &answer, out);
    assert_int_equal(length, strlen(out));
    assert_string_equal(out, "\"reads\";r=499;t=1");
    limit = rule("1/h:1000000");
    rate_format_policy("uploads", &limit, out);
    assert_string_equal(out, "\"uploads\";q=1000000;w=3600000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_client_address),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_a_flood_of_addresses_forgives_nobody),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_collecting_in_parts),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
