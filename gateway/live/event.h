/* event: one message of a server stream as the bytes that go out: WebSocket frame, server-sent
 * event, line of JSON. Each is made once, when first wanted, and shared by all who watch. */
#ifndef GATEWAY_LIVE_EVENT_H
#define GATEWAY_LIVE_EVENT_H

#include "base/buf.h"
#include "base/err.h"
#include "gateway/live/hub.h"
#include "schema/schema.h"

struct live_event {
    uint64_t seq;
    bool has_seq;
    const char *type;                        /* the member of the tagged union; NULL: none */
    struct shared_bytes *frames[LIVE_FORMS]; /* LIVE_LINES is always there */
    size_t bytes;                            /* of all of them */
};

/* scratch is reset and used inside. NULL with err: not such a message, or out of memory. */
struct live_event *live_event_new(const struct schema *schema, const struct schema_message *message,
                                  struct str wire, struct buf *scratch, struct err *err);
void live_event_free(struct live_event *event);
/* Borrowed; NULL: out of memory. What it costs is added to *total. */
struct shared_bytes *live_event_frame(struct live_event *event, enum live_form form,
                                      struct buf *scratch, size_t *total);

#endif
