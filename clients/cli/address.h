/* address: where the three services are, from one word. */
#ifndef CLI_ADDRESS_H
#define CLI_ADDRESS_H

#include "base/err.h"

#include <stdbool.h>

enum backend { BACKEND_SKILLBASE, BACKEND_CAMPAIGN, BACKEND_ANALYTICS, BACKEND_COUNT };
#define ADDRESS_SIZE 256

/* gRPC targets. */
struct addresses {
    char target[BACKEND_COUNT][ADDRESS_SIZE];
};

/* "skillbase" …: as dialplane.service.backend of the .proto files. */
extern const char *const backend_names[BACKEND_COUNT];

/* Three forms:
 *   HOST:PORT     as ./dev up lays them out: the gateway's address; the services have the three
 * ports after it, in the order skillbase, campaign, analytics. http:// before it is allowed, so
 * that the platform's address can be pasted. unix:FOLDER   FOLDER/skillbase.sock,
 * FOLDER/campaign.sock, FOLDER/analytics.sock skillbase=TARGET,campaign=TARGET,analytics=TARGET
 * each by itself, in any order False: err says what would be right. */
bool addresses_parse(const char *text, struct addresses *ret_addresses, struct err *err);
/* True for unix sockets and loopback addresses: what is sent there does not leave the machine. */
bool address_is_local(const char *target);

#endif
