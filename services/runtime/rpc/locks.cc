/* Debian builds abseil without NDEBUG, and so every lock that core takes is also looked up in a
 * graph that finds lock cycles. That is for those who write core; here it is a twentieth of a small
 * call's CPU, and the graph's own lock is one more that all threads share. */
#include "rpc/locks.h"

#include <absl/synchronization/mutex.h>

void rpc_locks_be_quick(void)
{
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}
