/* tls: certificates and keys from files: read, checked, and read again when they change. What is
 * made of them is the caller's: OpenSSL's contexts in the gateway, core's credentials in the
 * services. */
#ifndef DIALPLANE_TLS_TLS_H
#define DIALPLANE_TLS_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

#define TLS_PAIRS_MAX 16
#define TLS_NAME_SIZE 128

/* What is set. Empty texts count as NULL. */
struct tls_paths {
    const char *certificates; /* PEM files, a comma list; in each the leaf comes first, then those
                                 that lead to the CA; NULL: none */
    const char *keys;         /* as many, in the same order; without a passphrase */
    const char *ca;           /* PEM file of those whose signatures are believed; NULL: none */
};
bool tls_paths_any(const struct tls_paths *paths);

struct tls_pair {
    char *chain, *key;        /* PEM */
    char name[TLS_NAME_SIZE]; /* the first name that the certificate is for; fit for a label */
    int64_t expires_us;       /* Unix time */
};

/* The files' content, checked: each key belongs to its certificate. */
struct tls_material {
    struct tls_pair pairs[TLS_PAIRS_MAX];
    unsigned pair_count;
    char *ca; /* PEM; NULL: none */
};
/* False: err names the file and what is wrong with it. A certificate that has expired is not
 * refused here: pair.expires_us says it. */
bool tls_material_load(const struct tls_paths *paths, struct tls_material *ret_material,
                       struct err *err);
void tls_material_done(struct tls_material *material); /* wipes the keys */

/* Looks at the files every two seconds and at SIGHUP, on the loop's thread. */
struct tls_watch;
/* Loads them and calls use(); false of it, or files that cannot be used: NULL with err. Later, when
 * a file has changed, the same: what cannot be used, and a certificate that has expired, is logged
 * and counted, and what was in use stays. use() may keep nothing of the material. label is for logs
 * and metrics: "server", "upstream". */
struct tls_watch *tls_watch_new(struct loop *loop, const char *label, const struct tls_paths *paths,
                                bool (*use)(const struct tls_material *material, void *context,
                                            struct err *err),
                                void *context, struct err *err);
void tls_watch_free(struct tls_watch *watch); /* before the loop; NULL is allowed */

/* Days left of each certificate, and reloads. watches may hold NULLs: the families are there all the
 * same. */
void tls_metrics(struct buf *out, struct tls_watch *const *watches, unsigned count);

#endif
