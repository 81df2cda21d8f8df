/* The groups of unit/rpc. */
#ifndef DIALPLANE_TESTS_RPC_TEST_RPC_H
#define DIALPLANE_TESTS_RPC_TEST_RPC_H

int run_details_tests(void);
int run_defaults_tests(void);
int run_table_tests(void);

#endif
