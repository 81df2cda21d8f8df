/* Where the server listens. Core says only "failed" and steals unix sockets that are in use, so
 * both are looked at here. */
#include "rpc/internal.h"

#include "app/exposure.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESS_LIMIT 400

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Splits "host:port", "[v6]:port". False when it is neither. */
static bool split(const char *listen, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || !colon[1] || strlen(colon + 1) >= port_size)
        return false;
    uint64_t number; /* core would take 99999 for 34463 */
    if (!str_parse_uint64(str_from(colon + 1), &number) || number > 65535)
        return false;
    size_t length = (size_t)(colon - listen);
    if (length >= 2 && listen[0] == '[' && listen[length - 1] == ']') {
        listen++;
        length -= 2;
    }
    if (length == 0 || length >= host_size)
        return false;
    memcpy(host, listen, length);
    host[length] = '\0';
    strcpy(port, colon + 1);
    return true;
}

/* Core unlinks whatever is at the path; if somebody answers there, it is theirs. */
static bool check_unix(const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "the socket path %s is too long", path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, ERR_INTERNAL, NULL, "cannot make a socket: %s", strerror(errno));
    bool in_use = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    if (in_use)
        return err_set(err, ERR_FAILED_PRECONDITION, NULL,
                       "cannot listen on unix:%s: another process does", path);
    return true;
}

/* After core has failed: tries the same to learn why. */
static const char *explain(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure)
        return gai_strerror(failure);
    const char *reason = "the address cannot be bound";
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0)
            reason = strerror(errno);
        close(fd);
    }
    freeaddrinfo(found);
    return reason;
}

static bool listen_at(struct rpc_server *server, const char *listen, struct err *err)
{
    char host[256] = "", port[8] = "";
    bool is_unix = starts_with(listen, "unix:");
    if (is_unix) {
        const char *path = listen + strlen("unix:");
        if (starts_with(path, "//"))
            path += 2;
        if (!check_unix(path, err))
            return false;
    } else {
        if (!split(listen, host, sizeof(host), port, sizeof(port)))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "cannot listen on %s: expected HOST:PORT or unix:PATH", listen);
    }
    struct rpc_secure *secure = is_unix ? NULL : server->options.secure;
    const struct exposure exposure = {
        .address = listen,
        .authenticates = server->options.auth != NULL,
        .is_encrypted = secure != NULL,
        .allow_insecure = server->options.allow_insecure,
    };
    if (!exposure_allow(&exposure, err))
        return false;
    grpc_server_credentials *credentials =
        secure ? rpc_secure_credentials(secure) : grpc_insecure_server_credentials_create();
    if (!credentials)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "out of memory");
    int port_bound = grpc_server_add_http2_port(server->core, listen, credentials);
    grpc_server_credentials_release(credentials);
    if (port_bound == 0)
        return err_set(err, ERR_FAILED_PRECONDITION, NULL, "cannot listen on %s: %s", listen,
                       is_unix ? "the path cannot be bound" : explain(host, port));
    if (server->port == 0)
        server->port = port_bound;
    return true;
}

bool rpc_listen(struct rpc_server *server, struct err *err)
{
    const char *at = server->options.listen;
    char one[ADDRESS_LIMIT];
    for (;;) {
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof(one))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "cannot listen on %s: expected HOST:PORT or unix:PATH, or a comma list",
                           server->options.listen);
        memcpy(one, at, length);
        one[length] = '\0';
        if (!listen_at(server, one, err))
            return false;
        if (!at[length])
            return true;
        at += length + 1;
    }
}
