#include "app/exposure.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
    return address->sa_family == AF_UNIX;
}

static bool is_local_socket(const char *number)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char *end;
    long fd = strtol(number, &end, 10);

    return end != number && !*end && fd >= 0 && fd < 65536 &&
           getsockname((int)fd, (struct sockaddr *)&address, &length) == 0 &&
           is_loopback((struct sockaddr *)&address);
}

/* "localhost" is a name like any other: it counts for what the system says it is, and other names
 * are not asked for at all (what they are may change while we listen). */
static bool is_local_host(const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;

    if (strcmp(host, "localhost") != 0)
        hints.ai_flags = AI_NUMERICHOST;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    bool local = found != NULL;
    for (struct addrinfo *one = found; one; one = one->ai_next)
        local &= is_loopback(one->ai_addr);
    freeaddrinfo(found);
    return local;
}

bool exposure_is_local(const char *address)
{
    const char *colon = strrchr(address, ':');
    char host[256];

    if (strncmp(address, "unix:", 5) == 0)
        return true;
    if (strncmp(address, "fd:", 3) == 0)
        return is_local_socket(address + 3);
    if (!colon)
        return false;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    if (!length || length >= sizeof(host))
        return false;
    memcpy(host, address, length);
    host[length] = '\0';
    return is_local_host(host);
}

bool exposure_allow(const struct exposure *exposure, struct err *err)
{
    if (exposure_is_local(exposure->address))
        return true;
    if (!exposure->authenticates)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "will not listen on %s with --auth off: everybody who reaches it would be "
                       "the administrator. Give --auth token, or listen on loopback or a unix "
                       "socket; --allow-insecure does not change this",
                       exposure->address);
    if (!exposure->is_encrypted && !exposure->allow_insecure)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "will not listen on %s in plain text: tokens and conversations could be "
                       "read on their way. Listen on loopback or a unix socket, or give "
                       "--allow-insecure if the network between is yours alone",
                       exposure->address);
    return true;
}

bool exposure_auth_is_on(const char *auth)
{
    return auth && strcmp(auth, "token") == 0;
}

const char *exposure_auth_problem(const char *auth)
{
    if (!auth || !auth[0])
        return "say who may call: --auth token (callers show a signed token; services need "
               "--auth-keys, and `dialplane-token --make-key` makes a key where there is none), "
               "or --auth off (nobody is asked; on loopback and unix sockets only)";
    if (strcmp(auth, "off") != 0 && strcmp(auth, "token") != 0)
        return "--auth is \"token\" or \"off\"";
    return NULL;
}
