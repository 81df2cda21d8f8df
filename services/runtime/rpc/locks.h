/* rpc/locks: how the locks inside core behave. */
#ifndef DIALPLANE_RPC_LOCKS_H
#define DIALPLANE_RPC_LOCKS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Before grpc_init(): core's locks do without abseil's search for deadlocks. */
void rpc_locks_be_quick(void);

#ifdef __cplusplus
}
#endif

#endif
