/* key_fetch: a JWK set from a URL, with libcurl, on a thread of its own while it is under way. At
 * most 256 KB and 5 seconds; no redirects; https, or http on the loopback interface. */
#ifndef DIALPLANE_AUTH_KEY_FETCH_H
#define DIALPLANE_AUTH_KEY_FETCH_H

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"

#include <stdbool.h>

/* Whether a text is meant as a URL and not as a file. */
bool key_fetch_is_url(const char *text);
/* False, err INVALID_ARGUMENT: why it cannot be fetched from. */
bool key_fetch_check(const char *url, struct err *err);

/* Now, on this thread. ca_file NULL: the system's certificates. False: err says why. `out` is empty
 * and holds at least 256 KB. */
bool key_fetch_now(const char *url, const char *ca_file, struct buf *out, struct err *err);

struct key_fetch;
/* Both texts are borrowed. text NULL data with err: it could not be fetched. */
struct key_fetch *key_fetch_new(struct loop *loop, const char *url, const char *ca_file,
                                void (*done)(void *context, struct str text, const struct err *err),
                                void *context);
/* One at a time; done follows on the loop, never before this returns. */
void key_fetch_start(struct key_fetch *fetch);
/* Ends what is under way, within about a second, without a word; before loop_free(). */
void key_fetch_free(struct key_fetch *fetch);

#endif
