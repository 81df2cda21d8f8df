/* redirect: a plain HTTP port that only says where the same is under https. */
#ifndef GATEWAY_REDIRECT_H
#define GATEWAY_REDIRECT_H

#include "gateway/http/server.h"

struct redirect {
    struct exchange_handler handler;
    struct http_server *server; /* NULL: there is none */
    int https_port;
};

/* Listens at once; answers 308 with the host that was asked for, at https_port. */
bool redirect_start(struct redirect *redirect, struct loop *loop, const char *address,
                    int https_port, const struct http_limits *limits, struct err *err);
/* Takes no more; what is there may end. */
void redirect_stop(struct redirect *redirect);
/* Before the loop is freed. */
void redirect_free(struct redirect *redirect);

#endif
