/* rpc/handover: telling ThreadSanitizer what it cannot see. libgrpc is not instrumented: that what
 * is given to core in one thread is complete before another thread gets it back is true, but not
 * known to it. In every other build these are nothing. */
#ifndef DIALPLANE_RPC_HANDOVER_H
#define DIALPLANE_RPC_HANDOVER_H

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#endif

/* Right before core is given `tag`. */
static inline void handover_release(void *tag)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_release(tag);
#else
    (void)tag;
#endif
}

/* Right after core has given it back. */
static inline void handover_acquire(void *tag)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(tag);
#else
    (void)tag;
#endif
}

#endif
