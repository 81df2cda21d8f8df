/* Tokens against the key set, from a file or a source. A changed set forgets all tokens that were
 * found good, so that a key that was taken out ends what it had signed. */
#include "auth/internal.h"

#include "base/log.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <xxhash.h>

/* How often the file is looked at, at most; a new key is known this soon. */
#define RELOAD_US (2 * TIME_US_PER_SECOND)

struct auth {
    const struct clock *clock;
    struct auth_options options;
    char *path, *issuer, *audience; /* path NULL: the keys come from the source */
    struct key_set keys;
    struct timespec changed; /* of the file */
    off_t file_size;
    ino_t inode;
    int64_t looked_us;
    struct auth_key_source source; /* fetch NULL: there is a file */
    int64_t asked_us, fetched_us;  /* of the source: tried, and last had */
    bool fetching;
    uint64_t text_hash;             /* of what was fetched */
    struct auth_check_list waiters; /* for what is being fetched */
    struct auth_store store;
    struct facts *facts; /* NULL: there is no store */
    struct verified *verified;
    uint64_t seed; /* so that nobody can choose names that meet in a table */
    struct auth_stats stats;
};

static bool has_changed(struct auth *auth)
{
    struct stat now;

    if (stat(auth->path, &now) != 0)
        return false; /* being replaced: what is known stays */
    bool changed = now.st_mtim.tv_sec != auth->changed.tv_sec ||
                   now.st_mtim.tv_nsec != auth->changed.tv_nsec || now.st_size != auth->file_size ||
                   now.st_ino != auth->inode;
    auth->changed = now.st_mtim;
    auth->file_size = now.st_size;
    auth->inode = now.st_ino;
    return changed;
}

/* A set that cannot be read leaves the old one in force, with a warning: half a file must not lock
 * everybody out. */
static void reload(struct auth *auth)
{
    int64_t now = auth->clock->monotonic_us(auth->clock);
    struct key_set fresh;
    struct err err = {0};

    if (now - auth->looked_us < RELOAD_US)
        return;
    auth->looked_us = now;
    if (!has_changed(auth))
        return;
    if (!key_set_load(auth->path, auth->options.allow_hs256, &fresh, &err)) {
        auth->stats.key_reload_failures++;
        log_event(LOG_LEVEL_WARN, "key_set_refused", log_text("reason", err.message));
        return;
    }
    key_set_done(&auth->keys);
    auth->keys = fresh;
    auth->stats.key_reloads++;
    verified_clear(auth->verified);
    log_event(LOG_LEVEL_INFO, "key_set_loaded", log_int("keys", auth->keys.count));
}

static bool take_text(struct auth *auth, struct str text, struct err *err)
{
    struct key_set fresh;

    if (!key_set_parse(text.data, text.length, auth->options.allow_hs256, &fresh, err))
        return false;
    key_set_done(&auth->keys);
    auth->keys = fresh;
    auth->text_hash = XXH3_64bits_withSeed(text.data, text.length, auth->seed);
    verified_clear(auth->verified);
    return true;
}

static bool first_keys(struct auth *auth, struct err *err)
{
    auth->looked_us = auth->asked_us = auth->fetched_us = auth->clock->monotonic_us(auth->clock);
    if (!auth->path)
        return take_text(auth, auth->options.key_set_text, err);
    has_changed(auth);
    return key_set_load(auth->path, auth->options.allow_hs256, &auth->keys, err);
}

/* False: short of memory. */
static bool prepare(struct auth *auth, const struct auth_options *options)
{
    struct entropy entropy;

    entropy_init_system(&entropy);
    auth->seed = entropy_uint64(&entropy);
    TAILQ_INIT(&auth->waiters);
    auth->options = *options;
    auth->path = options->key_set_path ? strdup(options->key_set_path) : NULL;
    auth->issuer = strdup(options->issuer);
    auth->audience = strdup(options->audience);
    auth->options.issuer = auth->issuer;
    auth->options.audience = auth->audience;
    if (options->source)
        auth->source = *options->source;
    auth->verified = verified_new(options->cache_slots);
    if (options->store) {
        auth->store = *options->store;
        auth->facts = facts_new(auth->clock, options->store, options->cache_slots,
                                options->recheck_us, auth->seed);
    }
    return (auth->path || !options->key_set_path) && auth->issuer && auth->audience &&
           auth->verified && (auth->facts || !options->store);
}

struct auth *auth_new(const struct clock *clock, const struct auth_options *options,
                      struct err *err)
{
    struct auth *auth = calloc(1, sizeof(*auth));

    if (auth)
        auth->clock = clock;
    if (!auth || !prepare(auth, options)) {
        auth_free(auth);
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "not enough memory for the table of tokens");
        return NULL;
    }
    if (first_keys(auth, err))
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    verified_free(auth->verified);
    key_set_done(&auth->keys);
    facts_free(auth->facts);
    free(auth->path);
    free(auth->issuer);
    free(auth->audience);
    free(auth);
}

bool principal_copy(const struct principal *from, struct arena *arena,
                    struct principal *ret_principal, struct err *err)
{
    *ret_principal = *from;
    ret_principal->subject = arena_strndup(arena, from->subject, strlen(from->subject));
    if (from->company_id)
        ret_principal->company_id =
            arena_strndup(arena, from->company_id, strlen(from->company_id));
    return (ret_principal->subject && !from->company_id == !ret_principal->company_id) ||
           err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
}

bool auth_verify_token(struct auth *auth, struct str text, struct arena *arena,
                       struct principal *ret_principal, struct err *err)
{
    int64_t now = auth->clock->wall_us(auth->clock);
    int64_t leeway = auth->options.leeway_us;
    const struct token *known;
    struct token token;

    if (auth->path)
        reload(auth);
    known = verified_find(auth->verified, text);
    if (known) {
        auth->stats.remembered++;
        return token_is_current(known, now, leeway, err) &&
               principal_copy(&known->principal, arena, ret_principal, err);
    }
    if (!token_verify(&auth->keys, &auth->options, text, arena, &token, err))
        return false;
    auth->stats.verified++;
    if (!token_is_current(&token, now, leeway, err))
        return false;
    verified_keep(auth->verified, text, &token);
    *ret_principal = token.principal;
    return true;
}

/* ---- Keys from a URL ---- */

static void fetch(struct auth *auth)
{
    auth->fetching = true;
    auth->asked_us = auth->clock->monotonic_us(auth->clock);
    auth->source.fetch(auth->source.context);
}

bool auth_keys_are_coming(struct auth *auth)
{
    int64_t now = auth->clock->monotonic_us(auth->clock);

    if (!auth->source.fetch)
        return false;
    if (!auth->fetching && now - auth->asked_us >= auth->options.source_retry_us)
        fetch(auth);
    return auth->fetching;
}

void auth_keys_await(struct auth *auth, struct auth_check *check)
{
    TAILQ_INSERT_TAIL(&auth->waiters, check, link);
}

/* The set as it is: what has been verified stays so, and nothing is parsed. */
static bool is_known_text(const struct auth *auth, struct str text)
{
    return auth->text_hash == XXH3_64bits_withSeed(text.data, text.length, auth->seed);
}

void auth_keys_fetched(struct auth *auth, struct str text, const struct err *err)
{
    struct auth_check_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
    struct auth_check *check;
    struct err why = {0};
    bool good = text.data != NULL;

    auth->fetching = false;
    if (good && !is_known_text(auth, text)) {
        good = take_text(auth, text, &why);
        if (good) {
            auth->stats.key_reloads++;
            log_event(LOG_LEVEL_INFO, "key_set_loaded", log_int("keys", auth->keys.count));
        }
        err = &why;
    }
    if (good) {
        auth->fetched_us = auth->clock->monotonic_us(auth->clock);
    } else {
        auth->stats.key_reload_failures++;
        log_event(LOG_LEVEL_WARN, "key_set_refused", log_text("reason", err->message),
                  log_text("consequence", "the last good one stays in force"));
    }
    TAILQ_CONCAT(&waiters, &auth->waiters, link);
    while ((check = TAILQ_FIRST(&waiters))) {
        TAILQ_REMOVE(&waiters, check, link);
        auth_check_keys_came(check);
    }
}

void auth_tick(struct auth *auth)
{
    int64_t now = auth->clock->monotonic_us(auth->clock);

    if (auth->facts)
        facts_tick(auth->facts);
    if (auth->source.fetch && !auth->fetching &&
        now - auth->fetched_us >= auth->options.source_refresh_us &&
        now - auth->asked_us >= auth->options.source_retry_us)
        fetch(auth);
}

/* ---- For check.c ---- */

struct facts *auth_facts(struct auth *auth)
{
    return auth->facts;
}

const struct clock *auth_clock(const struct auth *auth)
{
    return auth->clock;
}

const struct auth_store *auth_store(const struct auth *auth)
{
    return auth->facts ? &auth->store : NULL;
}

void auth_count_refusal(struct auth *auth)
{
    auth->stats.refused++;
}

void auth_stats(const struct auth *auth, struct auth_stats *ret_stats)
{
    struct facts_stats facts = {0};

    *ret_stats = auth->stats;
    ret_stats->keys = auth->keys.count;
    if (auth->facts)
        facts_stats(auth->facts, &facts);
    ret_stats->lookups = facts.lookups;
    ret_stats->lookup_failures = facts.failures;
    ret_stats->recalled = facts.recalled;
    ret_stats->known = facts.count;
}
