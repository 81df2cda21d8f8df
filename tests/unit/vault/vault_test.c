/* Sealed values: vectors that Python's cryptography made from the description of the format, every
 * way in which a value can be wrong, and keys as they are given. */
#include "vault/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" /* 0 to 31 */
#define OTHER "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="                   /* 32 to 63 */

static struct vault *open_vault(const char *keys)
{
    struct err err = {0};
    struct vault *vault = vault_new(keys, NULL, &err);

    assert_false(err_is_set(&err));
    assert_non_null(vault);
    return vault;
}

static struct vault_place event_place(int64_t seq)
{
    struct vault_place place;
    struct uuid call;

    for (int i = 0; i < 16; i++)
        call.bytes[i] = (uint8_t)i;
    vault_place_init(&place, "call_events.event");
    vault_place_uuid(&place, &call);
    vault_place_int64(&place, seq);
    return place;
}

static void hex(struct str bytes, char *out)
{
    for (size_t i = 0; i < bytes.length; i++)
        sprintf(out + 2 * i, "%02x", (unsigned char)bytes.data[i]);
}

static void check_open(const struct vault *vault, int64_t seq, struct str stored,
                       const char *expected, const char *reason)
{
    struct vault_place place = event_place(seq);
    struct err err = {0};
    struct buf out;

    buf_init(&out, 0);
    buf_put_cstr(&out, "before");
    assert_int_equal(vault_open(vault, &place, stored, &out, &err), expected != NULL);
    buf_put_char(&out, '\0');
    assert_string_equal(out.data + 6, expected ? expected : "");
    assert_string_equal(err.reason, reason ? reason : "");
    buf_done(&out);
}

static void test_vectors(void **state)
{
    static const char *const table[][2] = {
        {"", "00445001026b31e7c769d4ac361f50fcd5098855914ad8e9a51f9b17ae0009debb5ccf"},
        {"hello, world",
         "00445001026b31171da44ee091eaa195296b7cb501c78574a3061db788fe6c9664468e5eaf"
         "514898153a15dddfd3d1"},
    };
    struct vault *vault = open_vault("k1:" KEY);
    struct vault_place place = event_place(7);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[200];
        struct buf out;

        buf_init(&out, 0);
        assert_true(vault_seal(vault, &place, str_from(table[i][0]), &out));
        hex(buf_str(&out), text);
        assert_string_equal(text, table[i][1]);
        assert_true(vault_is_sealed(buf_str(&out)) && vault_is_current(vault, buf_str(&out)));
        assert_true(out.length - strlen(table[i][0]) <= VAULT_OVERHEAD_MAX);
        check_open(vault, 7, buf_str(&out), table[i][0], NULL);
        check_open(vault, 8, buf_str(&out), NULL, "DATA_DAMAGED");
        buf_done(&out);
    }
    vault_free(vault);
}

static void test_hashes(void **state)
{
    unsigned char hash[VAULT_HASH_BYTES], secret[VAULT_HASH_BYTES];
    struct vault *vault = open_vault("k1:" KEY ",k2:" OTHER), *none = open_vault("");
    const char *id = NULL;
    char text[80];

    (void)state;
    assert_true(vault_hash(vault, STR_LITERAL("+12015550100"), hash, &id));
    assert_string_equal(id, "k1");
    hex((struct str){(char *)hash, sizeof(hash)}, text);
    assert_string_equal(text, "9177dee842f3e382712da7eaf56f46a5d5947b665988903dc357813d91f43dfd");
    for (int i = 0; i < VAULT_HASH_BYTES; i++)
        secret[i] = (unsigned char)i;
    assert_true(vault_hash_with(secret, STR_LITERAL("+12015550100"), hash));
    hex((struct str){(char *)hash, sizeof(hash)}, text);
    assert_string_equal(text, "6f8baa3a7d39b3a0c42b04c8e0fcf39a87626a6ad4620c29039f0227eba2d4b5");
    assert_false(vault_hash(none, STR_LITERAL("x"), hash, &id));
    vault_free(vault);
    vault_free(none);
}

/* Every byte changed, every length cut, every bit of the place: refused, and nothing comes out. */
static void test_damage(void **state)
{
    struct vault *vault = open_vault("k1:" KEY);
    struct vault_place place = event_place(7);
    struct buf sealed;

    (void)state;
    buf_init(&sealed, 0);
    assert_true(vault_seal(vault, &place, STR_LITERAL("hello, world"), &sealed));
    for (size_t i = 0; i < sealed.length; i++) {
        char was = sealed.data[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            struct err err = {0};
            struct buf out;

            sealed.data[i] = (char)(was ^ (1 << bit));
            buf_init(&out, 0);
            bool opened = vault_open(vault, &place, buf_str(&sealed), &out, &err);

            /* The first three bytes say that it is sealed at all. */
            assert_int_equal(opened, i < 3);
            if (!opened) {
                assert_int_equal(out.length, 0);
                assert_true(!strcmp(err.reason, "DATA_DAMAGED") ||
                            !strcmp(err.reason, "DATA_KEY_MISSING"));
            }
            buf_done(&out);
        }
        sealed.data[i] = was;
    }
    for (size_t length = 3; length < sealed.length; length++)
        check_open(vault, 7, (struct str){sealed.data, length}, NULL, "DATA_DAMAGED");
    check_open(vault, 7, buf_str(&sealed), "hello, world", NULL);
    buf_done(&sealed);
    vault_free(vault);
}

static void test_rotation(void **state)
{
    struct vault *old = open_vault("k1:" KEY), *both = open_vault(" k2:" OTHER " , k1:" KEY),
                 *new = open_vault("k2:" OTHER), *none = open_vault(NULL),
                 *wrong = open_vault("k1:" OTHER);
    struct vault_place place = event_place(1);
    struct buf sealed, again;

    (void)state;
    buf_init(&sealed, 0);
    buf_init(&again, 0);
    assert_false(vault_seals(none) || vault_seals(NULL));
    assert_true(vault_seal(old, &place, STR_LITERAL("secret"), &sealed));
    assert_true(vault_seal(old, &place, STR_LITERAL("secret"), &again));
    assert_true(str_equal(buf_str(&sealed), buf_str(&again)));
    check_open(both, 1, buf_str(&sealed), "secret", NULL);
    check_open(new, 1, buf_str(&sealed), NULL, "DATA_KEY_MISSING");
    check_open(none, 1, buf_str(&sealed), NULL, "DATA_KEY_MISSING");
    check_open(NULL, 1, buf_str(&sealed), NULL, "DATA_KEY_MISSING");
    check_open(wrong, 1, buf_str(&sealed), NULL, "DATA_DAMAGED");
    assert_true(vault_is_current(old, buf_str(&sealed)));
    assert_false(vault_is_current(both, buf_str(&sealed)));
    assert_false(vault_is_current(none, buf_str(&sealed)));
    assert_true(vault_is_current(none, STR_LITERAL("plain")));
    assert_false(vault_is_current(old, STR_LITERAL("plain")));
    check_open(new, 1, STR_LITERAL("plain"), "plain", NULL);
    buf_reset(&again);
    assert_true(vault_seal(both, &place, STR_LITERAL("secret"), &again));
    check_open(new, 1, buf_str(&again), "secret", NULL);
    buf_done(&again);
    buf_done(&sealed);
    vault_free(old);
    vault_free(both);
    vault_free(new);
    vault_free(none);
    vault_free(wrong);
}

static void test_text(void **state)
{
    struct vault *vault = open_vault("k1:" KEY);
    struct vault_place place = event_place(1);
    struct err err = {0};
    struct buf sealed, plain;

    (void)state;
    buf_init(&sealed, 0);
    buf_init(&plain, 0);
    assert_true(vault_seal_text(vault, &place, STR_LITERAL("{\"a\":1}"), &sealed));
    for (size_t i = 0; i < sealed.length; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                               sealed.data[i]));
    assert_true(vault_is_sealed_text(buf_str(&sealed)));
    assert_true(vault_is_current_text(vault, buf_str(&sealed)));
    assert_false(vault_is_sealed_text(STR_LITERAL("{\"a\":1}")));
    assert_false(vault_is_current_text(vault, STR_LITERAL("{\"a\":1}")));
    assert_true(vault_open_text(vault, &place, buf_str(&sealed), &plain, &err));
    assert_true(str_equal_cstr(buf_str(&plain), "{\"a\":1}"));
    sealed.data[sealed.length - 1] = '*';
    assert_false(vault_open_text(vault, &place, buf_str(&sealed), &plain, &err));
    assert_string_equal(err.reason, "DATA_DAMAGED");
    buf_done(&plain);
    buf_done(&sealed);
    vault_free(vault);
}

/* Parts cannot run into each other, and a long one is cut where it says. */
static void test_places(void **state)
{
    struct vault_place a, b;
    char long_text[200];

    (void)state;
    vault_place_init(&a, "ab");
    vault_place_text(&a, STR_LITERAL("c"));
    vault_place_init(&b, "a");
    vault_place_text(&b, STR_LITERAL("bc"));
    assert_true(a.length == b.length && memcmp(a.bytes, b.bytes, a.length) != 0);
    memset(long_text, 'x', sizeof(long_text));
    for (int i = 0; i < 5; i++)
        vault_place_text(&a, (struct str){long_text, sizeof(long_text)});
    assert_int_equal(a.length, sizeof(a.bytes));
}

static void test_wrong_keys(void **state)
{
    static const char *const table[][2] = {
        {"nothing", "ID:KEY"},
        {":" KEY, "ID:KEY"},
        {"a/b:" KEY, "ID:KEY"},
        {"abcdefghijklmnopqrstuvwxyz0123456:" KEY, "ID:KEY"},
        {"a:", "\"a\" is not 32 bytes"},
        {"a:" KEY "00", "\"a\" is not 32 bytes"},
        {"a:zz", "\"a\" is not 32 bytes"},
        {"a:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9=", "\"a\" is not 32 bytes"},
        {"a:" KEY ",a:" OTHER, "given twice"},
        {"a:" KEY ",b", "data key 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct err err = {0};

        assert_null(vault_new(table[i][0], NULL, &err));
        assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, table[i][1]));
        assert_null(strstr(err.message, "000102"));
    }
}

static void test_file(void **state)
{
    char path[] = "/tmp/dialplane-keys-XXXXXX";
    int file = mkstemp(path);
    static const char text[] = "# two keys\n\nnew:" OTHER "  # since May\n old:" KEY "\n";
    struct err err = {0};
    struct vault_place place = event_place(1);
    struct buf sealed;

    (void)state;
    assert_true(file >= 0 && write(file, text, sizeof(text) - 1) == sizeof(text) - 1);
    close(file);
    struct vault *vault = vault_new(NULL, path, &err), *old = open_vault("old:" KEY);

    unlink(path);
    assert_non_null(vault);
    buf_init(&sealed, 0);
    assert_true(vault_seal(old, &place, STR_LITERAL("x"), &sealed));
    check_open(vault, 1, buf_str(&sealed), "x", NULL);
    assert_false(vault_is_current(vault, buf_str(&sealed)));
    assert_null(vault_new(NULL, path, &err));
    assert_non_null(strstr(err.message, "cannot be read"));
    buf_done(&sealed);
    vault_free(vault);
    vault_free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),    cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_text),       cmocka_unit_test(test_places),
        cmocka_unit_test(test_wrong_keys), cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
