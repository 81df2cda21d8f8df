/* exposure: where a process may listen. One rule for all processes, over three things: who can
 * reach the address, whether callers are asked who they are, and whether what passes is encrypted.
 */
#ifndef DIALPLANE_APP_EXPOSURE_H
#define DIALPLANE_APP_EXPOSURE_H

#include "base/err.h"

#include <stdbool.h>

struct exposure {
    /* What is listened on: "HOST:PORT", "[V6]:PORT", "unix:PATH", or "fd:N" for a socket that was
     * given to us. */
    const char *address;
    bool authenticates; /* false: everybody who reaches it is the platform's administrator */
    bool is_encrypted;
    bool allow_insecure; /* plain text on addresses that are not local is meant */
};

/* False with err, one sentence that says what to give instead. Without authentication only local
 * addresses will do, whatever else is set; in plain text others need allow_insecure. */
bool exposure_allow(const struct exposure *exposure, struct err *err);

/* True when nobody outside this machine can reach the address: a unix socket, a loopback address,
 * or the name "localhost" where the system takes it for one. May read /etc/hosts. */
bool exposure_is_local(const char *address);

/* --auth of every process: "token" or "off", and there is no default. NULL when the text is one of
 * them; else the sentence that says what to give. */
const char *exposure_auth_problem(const char *auth);
bool exposure_auth_is_on(const char *auth);

#endif
