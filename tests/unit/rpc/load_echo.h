/* The schema of echo.proto, read from the file that protoc made. */
#ifndef DIALPLANE_TESTS_RPC_LOAD_ECHO_H
#define DIALPLANE_TESTS_RPC_LOAD_ECHO_H

#include "schema/schema.h"

/* NULL, with a line on stderr, when it cannot. The bytes are never freed: the schema points into
 * them. */
struct schema *load_echo(void);

#endif
