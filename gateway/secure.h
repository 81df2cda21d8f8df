/* secure: TLS of the gateway as it is set: towards clients, and towards the services. */
#ifndef GATEWAY_SECURE_H
#define GATEWAY_SECURE_H

#include "app/app.h"
#include "gateway/net/tls.h"

struct secure_settings {
    const char *certificate, *key, *client_ca, *minimum, *redirect_listen;
    const char *services_ca, *services_certificate, *services_key, *services_name;
    int64_t handshake_timeout_us, hsts_seconds;
};
#define SECURE_SETTINGS 11
void secure_settings(struct app_setting out[SECURE_SETTINGS], struct secure_settings *values);

struct secure {
    struct tls_context *server, *upstream; /* NULL: plain */
    struct tls_watch *watches[2];
};
/* Before the threads are made: contexts without content. */
bool secure_open(struct secure *secure, const struct secure_settings *settings, struct err *err);
/* Before the loops run: reads the files, and watches them on this loop. */
bool secure_watch(struct secure *secure, const struct secure_settings *settings, struct loop *loop,
                  struct err *err);
/* Before that loop is freed. */
void secure_unwatch(struct secure *secure);
/* After the threads. */
void secure_close(struct secure *secure);

#endif
