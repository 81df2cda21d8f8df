/* link: what protocol code (h1, h2, websocket) sees of its connection: bytes out, "call me again",
 * how to end. No socket here, so that each protocol can be tested and fuzzed with bytes alone. */
#ifndef GATEWAY_HTTP_LINK_H
#define GATEWAY_HTTP_LINK_H

#include "gateway/http/core.h"
#include "gateway/net/outq.h"

struct protocol;

/* What the connection is waiting for from its peer: which time limit runs. */
enum http_wait {
    HTTP_WAIT_NOTHING,
    HTTP_WAIT_REQUEST,          /* keep_alive_us */
    HTTP_WAIT_HANDSHAKE,        /* the connection's own: handshake_timeout_us, from its beginning */
    HTTP_WAIT_HEADER,           /* header_timeout_us, from its first byte */
    HTTP_WAIT_BODY,             /* body_idle_us, from its last byte */
    HTTP_WAIT_ANSWER_AFTER_EOF, /* the peer sent all and then ended its side: the answer has one
                                   second */
    HTTP_WAIT_PONG,             /* websocket_ping_us */
    HTTP_WAIT_CLOSE,            /* two seconds for the closing handshake of a WebSocket */
    HTTP_WAIT_UPLOAD_END, /* HTTP/2: a second for a peer to stop a body that was answered unread */
    HTTP_WAIT_PEER_CHECK, /* the connection's own: a request is answered, unread input waits: is the
                             peer still there? */
    HTTP_WAIT_COUNT
};

enum http_ending {
    HTTP_STAYS_OPEN,
    HTTP_ENDS,        /* close when the output is out */
    HTTP_ENDS_LINGER, /* the same, but let the peer read it although it may still be sending */
    HTTP_ENDS_RESET,  /* cut now */
};

struct link {
    struct http_core *core;
    struct outq *out;
    char *peer;
    struct net_address address; /* of the peer; all 0: it has none */
    struct protocol *protocol;
    struct protocol *successor; /* takes over when the current call has returned */
    enum http_ending ending;
    bool secure;     /* through TLS */
    bool peer_ended; /* it will send nothing more; input may still be unread */
    /* Exchanges whose answer is complete but not yet sent, in order. */
    struct exchange *finishing_first, *finishing_last;
    unsigned finishing_count;
    /* Run the protocol and write at the end of this turn. */
    void (*wake)(struct link *link);
};

/* One debug line for a request that never reached the handler. */
void http_log_refused(const struct link *link, unsigned status, const char *detail,
                      const char *request_id);

struct protocol_ops {
    /* Bytes from the peer: gives how many were taken; the rest is offered again after the next
     * run() or on_sent(). */
    size_t (*feed)(struct protocol *protocol, const char *data, size_t length);
    /* After wake(): deliver what has become possible, produce output. */
    void (*run)(struct protocol *protocol);
    /* Output went out. */
    void (*on_sent)(struct protocol *protocol);
    void (*on_eof)(struct protocol *protocol);
    /* The limit of waits_for() has passed. */
    void (*on_timeout)(struct protocol *protocol);
    /* True: bytes wait for a peer that takes none (beyond link->out); for the write limit. */
    bool (*is_blocked)(const struct protocol *protocol);
    bool (*wants_input)(const struct protocol *protocol);
    enum http_wait (*waits_for)(const struct protocol *protocol);
    /* Finish what is under way and begin nothing new. */
    /* Asks the peer to go, and lets it come with what is on its way; then drain(). May be NULL. */
    void (*announce)(struct protocol *protocol);
    void (*drain)(struct protocol *protocol);
    /* The connection is away: all exchanges and sockets end now. */
    void (*gone)(struct protocol *protocol);
    void (*free)(struct protocol *protocol);
};

struct protocol {
    const struct protocol_ops *ops;
    struct link *link;
    unsigned heads_begun; /* counts, so that each head gets its own time limit */
};

#endif
