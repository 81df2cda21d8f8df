/* dialplane-token: makes a local key pair, and prints tokens signed with it. */
#include "app/app.h"
#include "token/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Written beside and renamed. */
static bool write_token(const char *token, const char *path, struct err *err)
{
    char beside[4096];

    if ((size_t)snprintf(beside, sizeof(beside), "%s.new", path) >= sizeof(beside))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the path %s is too long", path);
    unlink(beside);
    int descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    bool good = file && fprintf(file, "%s\n", token) > 0;

    if (file)
        good = fclose(file) == 0 && good;
    if (good && rename(beside, path) == 0)
        return true;
    err_set(err, ERR_INTERNAL, NULL, "%s: %s", path, strerror(errno));
    unlink(beside);
    return false;
}

/* out_path NULL: to standard output. */
static bool print_token(const char *key_path, struct issue *issue, const char *out_path,
                        struct err *err)
{
    EVP_PKEY *key = key_pair_read(key_path, err);

    issue->now_us = clock_system()->wall_us(clock_system());
    char *token = key ? issue_token(key, issue, err) : NULL;
    EVP_PKEY_free(key);
    bool good = token && (out_path ? write_token(token, out_path, err) : puts(token) >= 0);
    free(token);
    return good;
}

struct options {
    const char *key_path, *set_path, *out_path;
    bool make;
    struct issue issue;
};

static void configure(int argc, char **argv, struct options *options)
{
    const struct app_setting settings[] = {
        {.name = "key",
         .kind = APP_TEXT,
         .own = true,
         .default_text = "token-key.pem",
         .ret_value = &options->key_path,
         .help = "file with the private key"},
        {.name = "keys",
         .kind = APP_TEXT,
         .own = true,
         .default_text = "token-keys.json",
         .ret_value = &options->set_path,
         .help = "file with the JWK set that services are given as --auth-keys"},
        {.name = "make-key",
         .kind = APP_BOOL,
         .own = true,
         .default_text = "false",
         .ret_value = &options->make,
         .help = "make both files where they are missing, and no token"},
        {.name = "role",
         .kind = APP_TEXT,
         .own = true,
         .default_text = "platform",
         .ret_value = &options->issue.roles,
         .help = "platform, admin, manager, viewer or agent, or a comma list"},
        {.name = "company",
         .kind = APP_TEXT,
         .own = true,
         .ret_value = &options->issue.company_id,
         .help = "id of the company that the token is for; every role but platform needs it"},
        {.name = "grants",
         .kind = APP_TEXT,
         .own = true,
         .ret_value = &options->issue.grants,
         .help = "what it allows besides its roles: phones (a viewer sees whole phone numbers)"},
        {.name = "subject",
         .kind = APP_TEXT,
         .own = true,
         .default_text = "local",
         .ret_value = &options->issue.subject,
         .help = "who it is for, for the logs of who did what"},
        {.name = "issuer",
         .kind = APP_TEXT,
         .own = true,
         .default_text = "dialplane",
         .ret_value = &options->issue.issuer,
         .help = "what services expect as --auth-issuer"},
        {.name = "audience",
         .kind = APP_TEXT,
         .own = true,
         .default_text = "dialplane",
         .ret_value = &options->issue.audience,
         .help = "what services expect as --auth-audience"},
        {.name = "expires",
         .kind = APP_DURATION,
         .own = true,
         .default_text = "12h",
         .minimum = TIME_US_PER_SECOND,
         .maximum = 366 * 24 * 3600 * TIME_US_PER_SECOND,
         .ret_value = &options->issue.lifetime_us,
         .help = "how long it is good, 1s to 366 days"},
        {.name = "out",
         .kind = APP_TEXT,
         .own = true,
         .ret_value = &options->out_path,
         .help = "file to write the token to, readable by its owner alone, at once or not at all: "
                 "who reads it never sees half of it"},
    };
    app_configure("dialplane-token", "Makes a key pair for tokens, and tokens.", settings,
                  sizeof(settings) / sizeof(settings[0]), argc, argv);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct err err = {0};

    configure(argc, argv, &options);
    if (options.make ? key_pair_make(options.key_path, options.set_path, &err)
                     : print_token(options.key_path, &options.issue, options.out_path, &err))
        return 0;
    fprintf(stderr, "dialplane-token: %s\n", err.message);
    return 1;
}
