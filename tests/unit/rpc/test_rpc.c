/* The pure parts of rpc: what a status carries, what defaults fill in, what tables are refused. The
 * rest is test_server.py's. */
#include "test_rpc.h"

int main(void)
{
    return run_details_tests() + run_defaults_tests() + run_table_tests();
}
