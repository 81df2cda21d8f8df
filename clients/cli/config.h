/* config: the text of the configuration file: profiles with the server to speak to. Pure; files are
 * config_file's.
 *
 *     # which profile is meant when none is named
 *     profile = production
 *
 *     [production]
 *     server = dialplane.example.com:8000
 *     token = …
 *     timeout = 10s
 *
 * One setting a line, `#` begins a comment line; a value ends with its line. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CONFIG_SIZE_LIMIT 65536
#define CONFIG_PROFILES_MAX 64

enum config_key { CONFIG_SERVER, CONFIG_TOKEN, CONFIG_TIMEOUT, CONFIG_KEY_COUNT };
/* "server", "token", "timeout"; and what each is, for people. */
extern const char *const config_key_names[CONFIG_KEY_COUNT];
extern const char *const config_key_help[CONFIG_KEY_COUNT];

struct config_profile {
    const char *name;
    const char *values[CONFIG_KEY_COUNT]; /* NULL: not set */
};

struct config {
    const char *profile; /* the one that is meant; NULL: not said */
    struct config_profile profiles[CONFIG_PROFILES_MAX];
    size_t profile_count;
};

/* Texts live in the arena. False: err names the line ("line 3: …"); no value is ever in it, for it
 * may be a token. */
bool config_parse(struct str text, struct arena *arena, struct config *ret_config, struct err *err);
const struct config_profile *config_find(const struct config *config, const char *name);
/* True when any profile has a token: then nobody else may read the file. */
bool config_has_token(const struct config *config);

/* 1 to 64 letters, digits, "-", "_" and ".". */
bool config_name_is_valid(const char *name);
/* Without control characters or blanks at its ends, 1 to 4096 bytes of UTF-8. */
bool config_value_is_valid(const char *value);

/* Appends text, a well-formed file, with one setting changed (value NULL: taken away); comments and
 * the order of lines stay. profile NULL: the setting above all profiles. */
void config_edit(struct str text, const char *profile, const char *key, const char *value,
                 struct buf *out);

#endif
