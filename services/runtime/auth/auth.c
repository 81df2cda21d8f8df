/* Tokens that have been verified are remembered, in a bounded table, by all their bytes; a changed
 * key set forgets them all, so that a key that was taken out ends what it had signed. */
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

struct slot {
    char *token; /* malloc; NULL: free */
    size_t length;
    struct arena *arena; /* of the claims' text */
    struct token claims;
};

struct auth {
    const struct clock *clock;
    struct auth_options options;
    char *path, *issuer, *audience;
    struct key_set keys;
    struct timespec changed; /* of the file */
    off_t file_size;
    ino_t inode;
    int64_t looked_us;
    struct slot *slots;
    uint64_t seed; /* so that nobody can choose tokens that push each other out */
    struct auth_stats stats;
};

static void forget(struct slot *slot)
{
    free(slot->token);
    arena_free(slot->arena);
    memset(slot, 0, sizeof(*slot));
}

static void forget_all(struct auth *auth)
{
    for (unsigned i = 0; i < auth->options.cache_slots; i++)
        forget(&auth->slots[i]);
}

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
    forget_all(auth);
    log_event(LOG_LEVEL_INFO, "key_set_loaded", log_int("keys", auth->keys.count));
}

struct auth *auth_new(const struct clock *clock, const struct auth_options *options,
                      struct err *err)
{
    struct auth *auth = calloc(1, sizeof(*auth));
    struct entropy entropy;

    if (!auth)
        goto no_memory;
    auth->clock = clock;
    auth->options = *options;
    auth->path = strdup(options->key_set_path);
    auth->issuer = strdup(options->issuer);
    auth->audience = strdup(options->audience);
    auth->options.issuer = auth->issuer;
    auth->options.audience = auth->audience;
    if (options->cache_slots)
        auth->slots = calloc(options->cache_slots, sizeof(*auth->slots));
    if (!auth->path || !auth->issuer || !auth->audience || (options->cache_slots && !auth->slots))
        goto no_memory;
    entropy_init_system(&entropy);
    auth->seed = entropy_uint64(&entropy);
    auth->looked_us = clock->monotonic_us(clock);
    has_changed(auth);
    if (!key_set_load(auth->path, options->allow_hs256, &auth->keys, err)) {
        auth_free(auth);
        return NULL;
    }
    return auth;

no_memory:
    auth_free(auth);
    err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "not enough memory for the table of tokens");
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    if (auth->slots)
        forget_all(auth);
    key_set_done(&auth->keys);
    free(auth->slots);
    free(auth->path);
    free(auth->issuer);
    free(auth->audience);
    free(auth);
}

/* RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1). */
static bool read_bearer(struct str header, struct str *ret_token, struct err *err)
{
    if (!header.length)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MISSING",
                       "say who you are: Authorization: Bearer <token>");
    if (header.length <= 7 || strncasecmp(header.data, "Bearer ", 7) != 0)
        return err_set(err, ERR_UNAUTHENTICATED, "TOKEN_MALFORMED",
                       "the authorization is not of the form: Bearer <token>");
    *ret_token = str_trim((struct str){header.data + 7, header.length - 7});
    return true;
}

static bool give(const struct token *token, struct arena *arena, struct principal *ret_principal,
                 struct err *err)
{
    const struct principal *from = &token->principal;

    *ret_principal = *from;
    ret_principal->subject = arena_strndup(arena, from->subject, strlen(from->subject));
    if (from->company_id)
        ret_principal->company_id =
            arena_strndup(arena, from->company_id, strlen(from->company_id));
    return (ret_principal->subject && !from->company_id == !ret_principal->company_id) ||
           err_set(err, ERR_RESOURCE_EXHAUSTED, REASON_TOO_LARGE, "out of memory");
}

/* Short of memory it is not remembered, which only costs time. */
static void remember(struct slot *slot, struct str text, const struct token *token)
{
    struct err err = {0};

    forget(slot);
    slot->arena = arena_new(8192);
    slot->token = malloc(text.length);
    slot->claims = *token;
    if (!slot->arena || !slot->token || !give(token, slot->arena, &slot->claims.principal, &err)) {
        forget(slot);
        return;
    }
    memcpy(slot->token, text.data, text.length);
    slot->length = text.length;
}

static bool verify(struct auth *auth, struct str text, struct arena *arena,
                   struct principal *ret_principal, struct err *err)
{
    int64_t now = auth->clock->wall_us(auth->clock);
    int64_t leeway = auth->options.leeway_us;
    struct slot *slot = NULL;
    struct token token;

    reload(auth);
    if (auth->options.cache_slots)
        slot = &auth->slots[XXH3_64bits_withSeed(text.data, text.length, auth->seed) %
                            auth->options.cache_slots];
    if (slot && slot->token && slot->length == text.length &&
        memcmp(slot->token, text.data, text.length) == 0) {
        auth->stats.remembered++;
        return token_is_current(&slot->claims, now, leeway, err) &&
               give(&slot->claims, arena, ret_principal, err);
    }
    if (!token_verify(&auth->keys, &auth->options, text, arena, &token, err))
        return false;
    auth->stats.verified++;
    if (!token_is_current(&token, now, leeway, err))
        return false;
    if (slot)
        remember(slot, text, &token);
    *ret_principal = token.principal;
    return true;
}

bool auth_verify(struct auth *auth, struct str header, struct arena *arena,
                 struct principal *ret_principal, struct err *err)
{
    struct str text;

    memset(ret_principal, 0, sizeof(*ret_principal));
    if (read_bearer(header, &text, err) && verify(auth, text, arena, ret_principal, err))
        return true;
    auth->stats.refused++;
    return false;
}

void auth_stats(const struct auth *auth, struct auth_stats *ret_stats)
{
    *ret_stats = auth->stats;
    ret_stats->keys = auth->keys.count;
}
