#include "made.h"

#include "tls/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* after those above */
#include <cmocka.h>

static char folder[] = "/tmp/dialplane-tls.XXXXXX";
static char paths[8][64];

static const char *at(unsigned slot, const char *name)
{
    snprintf(paths[slot], sizeof(paths[slot]), "%s/%s", folder, name);
    return paths[slot];
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    make_pair(at(0, "a.pem"), at(1, "a.key"), "a.test", 86400);
    make_pair(at(0, "b.pem"), at(1, "b.key"), NULL, -60);
    FILE *file = fopen(at(0, "empty"), "w");
    fclose(file);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a.pem", "a.key", "b.pem", "b.key", "empty"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(at(0, names[i]));
    return rmdir(folder);
}

static void refused(const char *certificates, const char *keys, const char *ca, const char *why)
{
    struct tls_paths set = {certificates, keys, ca};
    struct tls_material material;
    struct err err = {0};

    assert_false(tls_material_load(&set, &material, &err));
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
}

static void test_what_is_read(void **state)
{
    char lists[2][200];
    struct tls_paths set = {lists[0], lists[1], at(0, "a.pem")};
    struct tls_material material;
    struct err err = {0};
    (void)state;

    snprintf(lists[0], sizeof(lists[0]), "%s, %s", at(2, "a.pem"), at(3, "b.pem"));
    snprintf(lists[1], sizeof(lists[1]), " %s,%s ", at(2, "a.key"), at(3, "b.key"));
    assert_true(tls_material_load(&set, &material, &err));
    assert_int_equal(material.pair_count, 2);
    assert_string_equal(material.pairs[0].name, "a.test");
    assert_string_equal(material.pairs[1].name, "common__name_"); /* fit for a label */
    int64_t left = material.pairs[0].expires_us / TIME_US_PER_SECOND - time(NULL);
    assert_in_range(left, 86400 - 120, 86400);
    assert_true(material.pairs[1].expires_us / TIME_US_PER_SECOND < time(NULL));
    assert_non_null(strstr(material.pairs[0].chain, "BEGIN CERTIFICATE"));
    assert_non_null(strstr(material.pairs[0].key, "PRIVATE KEY"));
    assert_non_null(material.ca);
    tls_material_done(&material);

    set = (struct tls_paths){"", NULL, at(0, "b.pem")};
    assert_true(tls_paths_any(&set));
    assert_true(tls_material_load(&set, &material, &err));
    assert_int_equal(material.pair_count, 0);
    tls_material_done(&material);
    set = (struct tls_paths){"", "", ""};
    assert_false(tls_paths_any(&set));
}

static void test_what_is_refused(void **state)
{
    char twice[200];
    (void)state;

    refused(at(0, "a.pem"), at(1, "b.key"), NULL, "is not that of the certificate");
    refused(at(0, "a.key"), at(1, "a.key"), NULL, "holds no certificate");
    refused(at(0, "a.pem"), at(1, "a.pem"), NULL, "holds no private key");
    refused(at(0, "a.pem"), at(1, "empty"), NULL, "holds no private key");
    refused(at(0, "empty"), at(1, "a.key"), NULL, "holds no certificate");
    refused(at(0, "a.pem"), NULL, NULL, "one key file for each");
    refused(NULL, at(1, "a.key"), NULL, "one key file for each");
    refused(at(0, "nowhere"), at(1, "a.key"), NULL, "cannot be read");
    refused(folder, at(1, "a.key"), NULL, "cannot be read");
    refused(NULL, NULL, at(0, "a.key"), "holds no certificate");
    refused(NULL, NULL, at(0, "nowhere"), "cannot be read");
    snprintf(twice, sizeof(twice), "%s,,%s", at(0, "a.pem"), at(1, "a.pem"));
    refused(twice, at(2, "a.key"), NULL, "empty or too long");
    char *many = calloc(1, 4096), *keys = calloc(1, 4096);
    for (int i = 0; i <= TLS_PAIRS_MAX; i++) {
        strcat(strcat(many, at(0, "a.pem")), ",");
        strcat(strcat(keys, at(0, "a.key")), ",");
    }
    refused(many, keys, NULL, "more than 16");
    free(many);
    free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
