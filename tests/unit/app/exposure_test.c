/* Where a process may listen, and what a refusal says in WWW-Authenticate. */
#include "app/challenge.h"
#include "app/exposure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_local_addresses(void **state)
{
    static const char *const local[] = {"127.0.0.1:80", "127.1.2.3:0", "[::1]:80", "unix:/run/x",
                                        "unix:relative"};
    static const char *const others[] = {"0.0.0.0:80",
                                         "[::]:80",
                                         "10.0.0.1:80",
                                         "128.0.0.1:80",
                                         "127.0.0.1.example.com:80",
                                         "example.com:80",
                                         "",
                                         ":80",
                                         "127.0.0.1",
                                         "::1",
                                         "[::1]",
                                         "[::ffff:10.0.0.1]:80",
                                         "fd:",
                                         "fd:x",
                                         "fd:-1",
                                         "fd:65000",
                                         "fd:99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if (!exposure_is_local(local[i]))
            fail_msg("%s is local", local[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (exposure_is_local(others[i]))
            fail_msg("%s is not local", others[i]);
}

static bool allowed(const char *address, bool authenticates, bool is_encrypted, bool allow_insecure)
{
    const struct exposure exposure = {address, authenticates, is_encrypted, allow_insecure};
    struct err err = {0};
    bool good = exposure_allow(&exposure, &err);

    assert_int_equal(good, !err_is_set(&err));
    return good;
}

static void test_every_combination(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        bool authenticates = bits & 1, is_encrypted = bits & 2, allow_insecure = bits & 4;
        assert_true(allowed("127.0.0.1:80", authenticates, is_encrypted, allow_insecure));
        assert_true(allowed("unix:/run/x", authenticates, is_encrypted, allow_insecure));
        assert_int_equal(allowed("0.0.0.0:80", authenticates, is_encrypted, allow_insecure),
                         authenticates && (is_encrypted || allow_insecure));
    }
}

static void test_auth_has_no_default(void **state)
{
    (void)state;
    assert_non_null(exposure_auth_problem(NULL));
    assert_non_null(exposure_auth_problem(""));
    assert_non_null(exposure_auth_problem("on"));
    assert_non_null(exposure_auth_problem("Token"));
    assert_null(exposure_auth_problem("token"));
    assert_null(exposure_auth_problem("off"));
    assert_true(exposure_auth_is_on("token"));
    assert_false(exposure_auth_is_on("off"));
    assert_false(exposure_auth_is_on(NULL));
}

static const char *challenge(enum err_code code, const char *reason, const char *message)
{
    static char out[CHALLENGE_SIZE];
    struct err err = {0};

    err_set(&err, code, reason, "%s", message);
    return challenge_format(&err, out) ? out : NULL;
}

static void test_challenges(void **state)
{
    char message[512];
    (void)state;
    assert_string_equal(challenge(ERR_UNAUTHENTICATED, REASON_TOKEN_MISSING, "say who you are"),
                        "Bearer realm=\"dialplane\"");
    assert_string_equal(
        challenge(ERR_UNAUTHENTICATED, "TOKEN_EXPIRED", "it is \"over\"\\ \n\xc3\xa9"),
        "Bearer realm=\"dialplane\", error=\"invalid_token\", "
        "error_description=\"it is 'over'' \"");
    assert_string_equal(challenge(ERR_PERMISSION_DENIED, "ROLE_NOT_ALLOWED", "no"),
                        "Bearer realm=\"dialplane\", error=\"insufficient_scope\", "
                        "error_description=\"no\"");
    assert_string_equal(challenge(ERR_INVALID_ARGUMENT, REASON_CREDENTIALS_IN_URL, "no"),
                        "Bearer realm=\"dialplane\", error=\"invalid_request\", "
                        "error_description=\"no\"");
    assert_null(challenge(ERR_INVALID_ARGUMENT, NULL, "no"));
    assert_null(challenge(ERR_PERMISSION_DENIED, "ORIGIN_NOT_ALLOWED", "no"));
    assert_null(challenge(ERR_NOT_FOUND, NULL, "no"));
    /* However long the message is, the value ends as it should. */
    memset(message, 'x', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    const char *text = challenge(ERR_UNAUTHENTICATED, "TOKEN_EXPIRED", message);
    assert_true(strlen(text) < CHALLENGE_SIZE && text[strlen(text) - 1] == '"');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_addresses),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_auth_has_no_default),
        cmocka_unit_test(test_challenges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
