/* The pure parts of rpc: what a status carries, and what defaults fill in. The rest is
 * test_server.py's. */
#include "test_rpc.h"

int main(void)
{
    int failed = run_details_tests();
    return failed + run_defaults_tests();
}
