/* The configuration file on disk, and the commands that change it. A file that holds a token must
 * be its owner's alone; what is written takes the place of the old in one step. */
#include "cli.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* $XDG_CONFIG_HOME/dialplane/config, else ~/.config/dialplane/config. */
static const char *find_path(struct arena *arena)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (base && base[0] == '/')
        return arena_printf(arena, "%s/dialplane/config", base);
    return arena_printf(arena, "%s/.config/dialplane/config", home && home[0] ? home : "");
}

static bool bad_file(const struct cli *cli, struct failure *failure, const char *why)
{
    return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%.250s: %s", cli->config_path,
                   why);
}

/* The text; empty when there is no file. */
static bool load_text(struct cli *cli, struct str *ret_text, struct stat *ret_status,
                      struct failure *failure)
{
    *ret_text = (struct str){"", 0};
    if (!(cli->config_path = find_path(cli->arena)))
        return err_set(&failure->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    if (stat(cli->config_path, ret_status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return true;
        return bad_file(cli, failure, strerror(errno));
    }
    if (!S_ISREG(ret_status->st_mode))
        return bad_file(cli, failure, "is not a file");
    return read_file(cli, cli->config_path, ret_text, failure);
}

bool config_file_load(struct cli *cli, struct failure *failure)
{
    struct str text;
    struct stat status = {.st_mode = 0};
    struct err err = {0};
    if (!load_text(cli, &text, &status, failure))
        return false;
    if (!config_parse(text, cli->arena, &cli->config, &err))
        return bad_file(cli, failure, err.message);
    if (config_has_token(&cli->config) && (status.st_mode & (S_IRWXG | S_IRWXO)))
        return bad_file(cli, failure, "holds a token, and others may read it: chmod 600 it");
    return true;
}

/* Makes the folders above the file. */
static bool make_folders(const char *path)
{
    char folder[4096];
    if ((size_t)snprintf(folder, sizeof(folder), "%s", path) >= sizeof(folder))
        return false;
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return true;
}

static bool write_all(int file, struct str text)
{
    while (text.length) {
        ssize_t count = write(file, text.data, text.length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        text.data += count;
        text.length -= (size_t)count;
    }
    return fsync(file) == 0;
}

static bool save_text(struct cli *cli, struct str text, struct failure *failure)
{
    const char *path = cli->config_path;
    char *resolved = realpath(path, NULL); /* a link stays one */
    char *fresh =
        arena_printf(cli->arena, "%s.%ld.new", resolved ? resolved : path, (long)getpid());
    bool ok = fresh && make_folders(fresh);
    int file = ok ? open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    ok = file >= 0 && write_all(file, text);
    if (file >= 0 && close(file) != 0)
        ok = false;
    if (ok && rename(fresh, resolved ? resolved : path) != 0)
        ok = false;
    int error = errno;
    if (!ok && file >= 0)
        unlink(fresh);
    free(resolved);
    return ok || bad_file(cli, failure, strerror(error));
}

/* Changes one setting in the file; what comes out must be readable again. */
static int edit(struct cli *cli, const char *profile, const char *key, const char *value)
{
    struct failure failure;
    struct str text;
    struct stat status;
    struct buf changed;
    struct err err = {0};
    failure_init(&failure, cli->arena);
    buf_init(&changed, CONFIG_SIZE_LIMIT);
    bool ok = load_text(cli, &text, &status, &failure);
    if (ok) {
        config_edit(text, profile, key, value, &changed);
        struct config after;
        if (changed.failed)
            ok = bad_file(cli, &failure, "would be larger than 64 KB");
        else if (!config_parse(buf_str(&changed), cli->arena, &after, &err))
            ok = bad_file(cli, &failure, err.message);
        else
            ok = save_text(cli, buf_str(&changed), &failure);
    }
    buf_done(&changed);
    return ok ? EXIT_OK : failure_tell(cli, NULL, &failure);
}

static int refuse(const struct cli *cli, const char *what)
{
    struct failure failure;
    failure_init(&failure, cli->arena);
    err_set(&failure.err, ERR_INVALID_ARGUMENT, "USAGE", "%s", what);
    return failure_tell(cli, NULL, &failure);
}

static int find_key(const char *name)
{
    for (int i = 0; i < CONFIG_KEY_COUNT; i++)
        if (strcmp(config_key_names[i], name) == 0)
            return i;
    return -1;
}

/* Whether the value is one that a later run will accept; NULL: it is, else why not. */
static const char *check_value(int key, const char *value, char *reason, size_t reason_size)
{
    struct addresses addresses;
    struct err err = {0};
    int64_t timeout_us;
    if (!config_value_is_valid(value))
        return "the value must be 1 to 4096 bytes of text without control characters";
    if (key == CONFIG_SERVER && !addresses_parse(value, &addresses, &err)) {
        snprintf(reason, reason_size, "%s", err.message);
        return reason;
    }
    if (key == CONFIG_TIMEOUT &&
        !parse_duration(value, TIME_US_PER_SECOND / 10, 24 * 3600 * TIME_US_PER_SECOND, &timeout_us,
                        reason, reason_size))
        return reason;
    return NULL;
}

int run_config_set(struct cli *cli, const struct invocation *invocation)
{
    const char *key = invocation->positionals[0], *value = invocation->positionals[1];
    int which = find_key(key);
    char line[4200], reason[400];
    if (which < 0)
        return refuse(cli, "the settings of a profile are server, token and timeout");
    if (!config_name_is_valid(cli->profile))
        return refuse(cli, "a profile's name must be 1 to 64 letters, digits, \"-\", \"_\" or "
                           "\".\"");
    if (strcmp(value, "-") == 0) {
        if (!fgets(line, sizeof(line), stdin))
            return refuse(cli, "standard input holds no value");
        line[strcspn(line, "\r\n")] = '\0';
        value = line;
    }
    const char *wrong = check_value(which, value, reason, sizeof(reason));
    if (wrong)
        return refuse(cli, wrong);
    return edit(cli, cli->profile, key, value);
}

int run_config_unset(struct cli *cli, const struct invocation *invocation)
{
    const char *key = invocation->positionals[0];
    if (find_key(key) < 0)
        return refuse(cli, "the settings of a profile are server, token and timeout");
    if (!config_find(&cli->config, cli->profile))
        return refuse(cli, "there is no such profile");
    return edit(cli, cli->profile, key, NULL);
}

int run_config_use(struct cli *cli, const struct invocation *invocation)
{
    const char *profile = invocation->positionals[0];
    if (!config_find(&cli->config, profile))
        return refuse(cli, "there is no such profile");
    return edit(cli, NULL, "profile", profile);
}

int run_config_path(struct cli *cli, const struct invocation *invocation)
{
    (void)invocation;
    printf("%s\n", cli->config_path);
    return EXIT_OK;
}

/* Tokens are never shown, only that there is one. */
static const char *shown_value(const struct config_profile *profile, enum config_key key)
{
    const char *value = profile->values[key];
    return key == CONFIG_TOKEN ? (value ? "set" : "") : value ? value : "";
}

static void put_json_profiles(const struct cli *cli, struct buf *out)
{
    buf_put_cstr(out, "{\"profile\":");
    buf_put_json_string(out, str_from(cli->profile));
    buf_put_cstr(out, ",\"profiles\":[");
    for (size_t i = 0; i < cli->config.profile_count; i++) {
        const struct config_profile *profile = &cli->config.profiles[i];
        buf_put_cstr(out, i ? ",{\"name\":" : "{\"name\":");
        buf_put_json_string(out, str_from(profile->name));
        for (int k = 0; k < CONFIG_KEY_COUNT; k++) {
            buf_printf(out, ",\"%s\":", k == CONFIG_TOKEN ? "has_token" : config_key_names[k]);
            if (k == CONFIG_TOKEN)
                buf_put_cstr(out, profile->values[k] ? "true" : "false");
            else if (profile->values[k])
                buf_put_json_string(out, str_from(profile->values[k]));
            else
                buf_put_cstr(out, "null");
        }
        buf_put_char(out, '}');
    }
    buf_put_cstr(out, "]}\n");
}

int run_config_show(struct cli *cli, const struct invocation *invocation)
{
    static const struct table_column columns[] = {{"", false, false, 0},
                                                  {"PROFILE", false, false, 0},
                                                  {"SERVER", false, true, 0},
                                                  {"TOKEN", false, false, 0},
                                                  {"TIMEOUT", false, false, 0}};
    struct buf out;
    (void)invocation;
    buf_init(&out, 0);
    if (cli->json) {
        put_json_profiles(cli, &out);
    } else if (cli->config.profile_count == 0) {
        buf_printf(&out, "No profiles in %s.\n", cli->config_path);
    } else {
        struct table *table = table_new(columns, 5);
        for (size_t i = 0; table && i < cli->config.profile_count; i++) {
            const struct config_profile *profile = &cli->config.profiles[i];
            bool in_use = strcmp(profile->name, cli->profile) == 0;
            table_add(table, str_from(in_use ? "*" : ""), NULL);
            table_add(table, str_from(profile->name), NULL);
            for (int k = 0; k < CONFIG_KEY_COUNT; k++)
                table_add(table, str_from(shown_value(profile, (enum config_key)k)), NULL);
        }
        if (table)
            table_print(table, terminal_width(STDOUT_FILENO), cli->styled, &out);
        else
            out.failed = true;
        table_free(table);
    }
    bool ok = !out.failed;
    output_put(&out, stdout);
    buf_done(&out);
    return ok ? EXIT_OK : EXIT_FAILED;
}
