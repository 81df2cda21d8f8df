/* Sessions: bytes in and out of one socket.
 *
 * A record that the kernel had no room for is kept by OpenSSL, which wants the same bytes offered
 * again: they stay at the head of the queue, pinned, until it has taken them. What was received
 * beyond a full buffer waits in OpenSSL as well, where no poll sees it: tls_has_more(). */
#include "gateway/net/tls_internal.h"

#include "gateway/net/outq.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define HANDSHAKE_RECORD 0x16
#define PIECES_MAX 64

struct tls_session {
    SSL *ssl;
    struct tls_generation *generation;
    int fd;
    enum tls_state state;
    bool is_server, begun, wants_write, has_more, finished;
};

static struct tls_session *new_session(struct tls_context *context, int fd)
{
    struct tls_generation *generation = tls_context_newest(context);
    struct tls_session *session = generation ? calloc(1, sizeof(*session)) : NULL;
    if (!session) {
        tls_generation_unref(generation);
        return NULL;
    }
    session->generation = generation;
    session->fd = fd;
    session->ssl = SSL_new(generation->pairs[0].context);
    if (!session->ssl || SSL_set_fd(session->ssl, fd) != 1) {
        tls_session_free(session);
        return NULL;
    }
    return session;
}

struct tls_session *tls_session_new_server(struct tls_context *context, int fd)
{
    struct tls_session *session = new_session(context, fd);
    if (session) {
        session->is_server = true;
        SSL_set_accept_state(session->ssl);
    }
    return session;
}

struct tls_session *tls_session_new_client(struct tls_context *context, int fd, const char *host)
{
    const char *expected = tls_context_expected_name(context);
    struct tls_session *session = new_session(context, fd);
    X509_VERIFY_PARAM *parameters;
    if (!session) {
        return NULL;
    }
    if (!expected) {
        expected = host;
    }
    SSL_set_connect_state(session->ssl);
    parameters = SSL_get0_param(session->ssl);
    /* An address is looked for among the certificate's addresses, and is no name for SNI. */
    if (X509_VERIFY_PARAM_set1_ip_asc(parameters, expected) != 1 &&
        (SSL_set1_host(session->ssl, expected) != 1 ||
         SSL_set_tlsext_host_name(session->ssl, expected) != 1)) {
        tls_session_free(session);
        session = NULL;
    }
    ERR_clear_error();
    return session;
}

void tls_session_free(struct tls_session *session)
{
    if (!session) {
        return;
    }
    SSL_free(session->ssl);
    tls_generation_unref(session->generation);
    free(session);
}

enum tls_state tls_state(const struct tls_session *session)
{
    return session->state;
}

bool tls_wants_write(const struct tls_session *session)
{
    return session->wants_write;
}

bool tls_has_more(const struct tls_session *session)
{
    return session->has_more || session->wants_write;
}

/* After a call of OpenSSL's that did not succeed: 0 for the peer's end, -1 with errno. */
static ssize_t explain(struct tls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        session->wants_write = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        session->state = TLS_BROKEN;
        if (!errno || errno == EAGAIN) {
            errno = ECONNRESET;
        }
        return -1;
    default:
        session->state = TLS_BROKEN;
        errno = EPROTO;
        return -1;
    }
}

/* Is it TLS at all? 1: yes, or at least no HTTP. */
static ssize_t look_at_first_byte(struct tls_session *session)
{
    unsigned char first = 0;
    ssize_t got;
    do {
        got = recv(session->fd, &first, 1, MSG_PEEK);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return got;
    }
    session->begun = true;
    if (first >= 'A' && first <= 'Z' && first != HANDSHAKE_RECORD) {
        session->state = TLS_PLAINTEXT;
        errno = EAGAIN;
        return -1;
    }
    return 1;
}

/* 1: done. */
static ssize_t shake_hands(struct tls_session *session)
{
    int result;
    if (session->is_server && !session->begun) {
        ssize_t looked = look_at_first_byte(session);
        if (looked <= 0) {
            return looked;
        }
    }
    session->wants_write = false;
    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(session->ssl);
    if (result == 1) {
        session->state = TLS_SECURED;
        return 1;
    }
    return explain(session, result);
}

enum tls_step tls_shake_hands(struct tls_session *session)
{
    ssize_t done = shake_hands(session);
    if (done > 0) {
        return TLS_STEP_DONE;
    }
    if (done == 0 || errno != EAGAIN) {
        return TLS_STEP_FAILED;
    }
    return session->wants_write ? TLS_STEP_WRITE : TLS_STEP_READ;
}

ssize_t tls_receive(struct tls_session *session, void *out, size_t size)
{
    size_t total = 0;
    if (session->state == TLS_HANDSHAKE) {
        ssize_t done = shake_hands(session);
        if (done <= 0) {
            return done;
        }
    }
    if (session->state != TLS_SECURED) {
        errno = session->state == TLS_PLAINTEXT ? EAGAIN : EPROTO;
        return -1;
    }
    session->wants_write = false;
    session->has_more = false;
    do {
        size_t got = 0;
        int result;
        ERR_clear_error();
        errno = 0;
        result = SSL_read_ex(session->ssl, (char *)out + total, size - total, &got);
        if (result != 1) {
            ssize_t why;
            if (total > 0 && SSL_get_error(session->ssl, 0) == SSL_ERROR_WANT_READ) {
                return (ssize_t)total;
            }
            why = explain(session, 0);
            if (total == 0) {
                return why;
            }
            /* First what has come; then the end of it, or the error again. */
            session->has_more = true;
            return (ssize_t)total;
        }
        total += got;
    } while (total < size && SSL_has_pending(session->ssl));
    session->has_more = SSL_has_pending(session->ssl) == 1 ||
                        (SSL_get_shutdown(session->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    return (ssize_t)total;
}

ssize_t tls_send(struct tls_session *session, const void *data, size_t length)
{
    size_t sent = 0;
    if (session->state != TLS_SECURED) {
        errno = session->state == TLS_HANDSHAKE ? EAGAIN : EPROTO;
        return -1;
    }
    ERR_clear_error();
    errno = 0;
    if (SSL_write_ex(session->ssl, data, length, &sent) == 1) {
        return (ssize_t)sent;
    }
    switch (SSL_get_error(session->ssl, 0)) {
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_SYSCALL:
        session->state = TLS_BROKEN;
        errno = errno && errno != EAGAIN ? errno : EPIPE;
        return -1;
    default: /* without renegotiation there is nothing to read before one may write */
        session->state = TLS_BROKEN;
        errno = EPROTO;
        return -1;
    }
}

ssize_t tls_send_queue(struct tls_session *session, struct outq *queue, char *scratch)
{
    struct iovec pieces[PIECES_MAX];
    int count = outq_peek(queue, pieces, PIECES_MAX), i;
    size_t length = 0;
    const char *data = scratch;
    ssize_t sent;
    if (count == 0) {
        return 0;
    }
    if (count == 1 || pieces[0].iov_len >= TLS_RECORD_BYTES) {
        data = pieces[0].iov_base;
        length = pieces[0].iov_len < TLS_RECORD_BYTES ? pieces[0].iov_len : TLS_RECORD_BYTES;
    } else {
        for (i = 0; i < count && length < TLS_RECORD_BYTES; i++) {
            size_t take = pieces[i].iov_len;
            if (take > TLS_RECORD_BYTES - length) {
                take = TLS_RECORD_BYTES - length;
            }
            memcpy(scratch + length, pieces[i].iov_base, take);
            length += take;
        }
    }
    sent = tls_send(session, data, length);
    /* A later offer may be longer, never shorter, and begins with the same bytes. */
    if (sent < 0 && errno == EAGAIN) {
        queue->pinned = queue->pinned > length ? queue->pinned : length;
    } else {
        queue->pinned = 0;
    }
    return sent;
}

void tls_finish(struct tls_session *session)
{
    if (session->state != TLS_SECURED || session->finished) {
        return;
    }
    session->finished = true;
    ERR_clear_error();
    SSL_shutdown(session->ssl);
    ERR_clear_error();
}

bool tls_is_h2(const struct tls_session *session)
{
    const unsigned char *name;
    unsigned length;
    SSL_get0_alpn_selected(session->ssl, &name, &length);
    return length == 2 && memcmp(name, "h2", 2) == 0;
}

bool tls_is_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

const char *tls_failure(const struct tls_session *session)
{
    long verified = SSL_get_verify_result(session->ssl);
    unsigned long error = ERR_peek_last_error();
    const char *reason = error ? ERR_reason_error_string(error) : NULL;
    if (verified != X509_V_OK) {
        return X509_verify_cert_error_string(verified);
    }
    return reason ? reason : "the peer went away";
}
