/* internal: what the files of upstream/ share. */
#ifndef GATEWAY_UPSTREAM_INTERNAL_H
#define GATEWAY_UPSTREAM_INTERNAL_H

#include "base/buf.h"
#include "gateway/http/h2_memory.h"
#include "gateway/upstream/upstream.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ENDPOINTS_MAX 64
#define BACKOFF_FIRST_US (100 * INT64_C(1000))
#define BACKOFF_LAST_US (200 * INT64_C(1000)) /* attempts are made only while somebody asks */
#define PING_TIMEOUT_US (5 * TIME_US_PER_SECOND)
#define STREAM_ID_LAST (INT32_C(1) << 30)
#define SEND_LOW_WATER (64 * 1024)

struct channel;
TAILQ_HEAD(call_list, upstream_call);
TAILQ_HEAD(channel_list, channel);

/* One address of the service. */
struct endpoint {
    struct sockaddr_storage address;
    socklen_t address_length;
    char text[128];      /* for the log */
    char authority[128]; /* :authority */
    char host[256];      /* as it was given, for its certificate */
    struct channel_list connections;
    unsigned connection_count; /* those that take calls, or will */
    int64_t backoff_us;        /* 0: the last attempt was fine */
    int64_t not_before_us;
    bool gone;   /* DNS no longer names it */
    bool unwell; /* said so, and has not taken it back */
    bool seen;   /* scratch of a DNS answer */
};

struct resolver;

struct upstream {
    struct loop *loop;
    char *name;
    struct upstream_options options;
    struct endpoint *endpoints[ENDPOINTS_MAX];
    unsigned endpoint_count;
    struct resolver *resolver; /* NULL: numeric addresses only */
    struct call_list calls;    /* all: waiting and under way */
    struct call_list pending;  /* waiting for a connection */
    unsigned pending_count;
    struct call_list free_calls;
    unsigned free_count;
    struct loop_timer *tick;  /* while there are calls: deadlines, pings, connect timeouts */
    struct call_list failing; /* ends with `failure` after this turn */
    bool failing_scheduled;
    bool closing;
    struct upstream_stats stats;
    struct h2_memory memory; /* of all its sessions */
};

struct channel {
    struct upstream *upstream;
    struct endpoint *endpoint;
    TAILQ_ENTRY(channel) link;
    int fd;
    struct tls_session *tls; /* NULL: plain */
    struct event readable, writable;
    nghttp2_session *session;
    /* SECURING: the TLS handshake is under way. GREETING: connected, but how many calls it takes
     * at once is not known before its SETTINGS. */
    enum { CONNECTING, SECURING, GREETING, READY, DRAINING, DEAD } state;
    struct call_list calls;
    unsigned call_count;
    struct buf output;
    size_t output_sent;
    bool flush_scheduled;
    bool heard;                  /* anything at all, so far */
    bool unwell;                 /* its process says that it does not serve */
    struct upstream_call *watch; /* of its health; in no list and no figure */
    bool writable_waiting;       /* some call's on_writable is due */
    int64_t connect_deadline_us;
    int64_t heard_us;     /* last bytes from the peer */
    int64_t ping_sent_us; /* 0: none is out */
    int64_t ping_idle_us;
};

struct upstream_call {
    struct upstream *upstream;
    struct channel *connection; /* NULL: waiting, or ended */
    TAILQ_ENTRY(upstream_call) all_link;
    TAILQ_ENTRY(upstream_call)
    link; /* in connection->calls, upstream->pending, ->failing or ->free_calls */
    const struct upstream_handler *handler;
    void *context;
    struct upstream_request request;
    char request_id[132];
    char traceparent[60];
    char client_address[48];
    struct trace_span span;
    int32_t stream_id;
    int64_t deadline_us; /* 0: none */
    int64_t queued_us;   /* since when it has waited for a connection */
    /* going out */
    size_t sent;    /* of prefix and message */
    struct buf out; /* streaming: framed messages */
    bool is_watch;  /* see channel.watch */
    bool half_closed, blocked, writable, headers_sent, deferred;
    uint8_t retries;
    /* coming in */
    uint8_t prefix[5];
    unsigned prefix_length;
    uint32_t message_size;
    struct buf in;
    bool has_reply, headers_seen, finished, busy, status_seen, paused;
    size_t withheld; /* of the stream's window, while paused */
    unsigned http_status;
    unsigned grpc_status;
    uint32_t retry_after;
    struct buf message, details; /* grpc-message, grpc-status-details-bin as they came */
    struct err failure;
};

/* backend.c */
int64_t upstream_now(const struct upstream *upstream);
/* Finds the call a connection, opens one, lets it wait, or fails it after this turn. */
void upstream_dispatch(struct upstream_call *call);
void upstream_dispatch_pending(struct upstream *upstream);
/* A connection came to nothing: what waits goes elsewhere or fails. */
void upstream_on_connect_failed(struct upstream *upstream);
void upstream_fail_later(struct upstream_call *call, enum err_code code, const char *reason,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Tries addresses at once that an outage has put off: the others go away. */
void upstream_hurry(struct upstream *upstream);

/* health.c */
/* After the SETTINGS. True: calls should wait for the first word, since the last one was bad. */
bool health_watch(struct channel *connection);
/* The connection is gone. */
void health_forget(struct channel *connection);

/* resolve.c */
/* Parses the list; numeric addresses become endpoints at once, names are looked up. */
bool resolve_init(struct upstream *upstream, const char *addresses, struct err *err);
/* Asks DNS again when that is due. True while a first answer is awaited. */
bool resolve_refresh(struct upstream *upstream, bool urgently);
void resolve_done(struct upstream *upstream);

/* channel.c */
struct channel *channel_open(struct endpoint *endpoint, struct upstream *upstream);
bool channel_takes_calls(const struct channel *connection);
void channel_start_call(struct channel *connection, struct upstream_call *call);
/* Its SETTINGS have come. */
void channel_greeted(struct channel *connection);
/* From now on it takes calls. */
void channel_become_ready(struct channel *connection);
void channel_schedule_flush(struct channel *connection);
/* The peer is lost: its calls end or are retried. */
void channel_fail(struct channel *connection, const char *why);
/* No new calls; ends when the last has. */
void channel_drain(struct channel *connection);
void channel_tick(struct channel *connection, int64_t now_us);
void channel_ping(struct channel *connection);
/* At upstream_free(): at once. */
void channel_destroy(struct channel *connection);

/* session.c */
bool session_open(struct channel *connection);
/* Gives the stream's id, or a negative number. */
int32_t session_submit(struct channel *connection, struct upstream_call *call);

/* call.c */
struct upstream_call *call_new(struct upstream *upstream);
/* As upstream_call_start() begins: everything but its place. */
void call_init(struct upstream_call *call, struct upstream *upstream,
               const struct upstream_request *request, const struct upstream_handler *handler,
               void *context);
void call_feed(struct upstream_call *call, struct str data);
/* The stream has closed in order: judges by what was seen. */
void call_on_stream_close(struct upstream_call *call, uint32_t error_code);
void call_finish(struct upstream_call *call, const struct err *status);
void call_fail(struct upstream_call *call, enum err_code code, const char *reason,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Retries what the service cannot have seen; false: it may have, or this was the second time. */
bool call_retry(struct upstream_call *call);
void call_unlink(struct upstream_call *call);
void call_recycle(struct upstream_call *call);
void call_free(struct upstream_call *call);
long call_read_output(struct upstream_call *call, uint8_t *out, size_t size, bool *ret_end);

#endif
