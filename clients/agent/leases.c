#include "agent/leases.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Heartbeat's own limit on calls, from the .proto. */
#define CALLS_PER_HEARTBEAT 1000

struct leases {
    struct dialplane_client *dispatch;
    const char *worker_id;
    unsigned interval_ms;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t stopping;
    bool is_stopping;
    struct lease *first;
};

void leases_add(struct leases *leases, struct lease *lease)
{
    pthread_mutex_lock(&leases->lock);
    lease->next = leases->first;
    leases->first = lease;
    pthread_mutex_unlock(&leases->lock);
}

void leases_remove(struct leases *leases, struct lease *lease)
{
    pthread_mutex_lock(&leases->lock);
    for (struct lease **link = &leases->first; *link; link = &(*link)->next) {
        if (*link == lease) {
            *link = lease->next;
            break;
        }
    }
    pthread_mutex_unlock(&leases->lock);
}

/* Copies out what is held, so that no call is made under the lock. */
static size_t copy_held(struct leases *leases, Dialplane__V1__HeldCall *held, char (*call_ids)[37])
{
    size_t count = 0;
    pthread_mutex_lock(&leases->lock);
    for (struct lease *lease = leases->first; lease && count < CALLS_PER_HEARTBEAT;
         lease = lease->next) {
        if (lease->is_lost)
            continue;
        memcpy(call_ids[count], lease->call_id, sizeof(lease->call_id));
        held[count] = (Dialplane__V1__HeldCall)DIALPLANE__V1__HELD_CALL__INIT;
        held[count].call_id = call_ids[count];
        held[count].fence = lease->fence;
        count++;
    }
    pthread_mutex_unlock(&leases->lock);
    return count;
}

static void apply(struct leases *leases, const Dialplane__V1__LeaseResult *result)
{
    pthread_mutex_lock(&leases->lock);
    for (struct lease *lease = leases->first; lease; lease = lease->next) {
        if (strcmp(lease->call_id, result->call_id) != 0)
            continue;
        if (result->state == DIALPLANE__V1__LEASE_STATE__LEASE_STATE_LOST)
            lease->is_lost = true;
        else if (result->state == DIALPLANE__V1__LEASE_STATE__LEASE_STATE_END)
            lease->should_end = true;
    }
    pthread_mutex_unlock(&leases->lock);
}

static void beat(struct leases *leases, Dialplane__V1__HeldCall *held, char (*call_ids)[37],
                 Dialplane__V1__HeldCall **pointers)
{
    size_t count = copy_held(leases, held, call_ids);
    if (count == 0)
        return;
    Dialplane__V1__HeartbeatRequest request = DIALPLANE__V1__HEARTBEAT_REQUEST__INIT;
    request.worker_id = (char *)leases->worker_id;
    for (size_t i = 0; i < count; i++)
        pointers[i] = &held[i];
    request.n_calls = count;
    request.calls = pointers;
    Dialplane__V1__HeartbeatResponse *response;
    struct dialplane_error error;
    if (!dialplane_heartbeat(leases->dispatch, &request, leases->interval_ms, &response, &error)) {
        log_event(LOG_LEVEL_WARN, "heartbeat_failed",
                  log_text("code", dialplane_code_name(error.code)),
                  log_text("message", error.message));
        return;
    }
    for (size_t i = 0; i < response->n_results; i++)
        apply(leases, response->results[i]);
    dialplane_free(response);
}

static void *run(void *context)
{
    struct leases *leases = context;
    Dialplane__V1__HeldCall *held = calloc(CALLS_PER_HEARTBEAT, sizeof(*held));
    char(*call_ids)[37] = calloc(CALLS_PER_HEARTBEAT, sizeof(*call_ids));
    Dialplane__V1__HeldCall **pointers = calloc(CALLS_PER_HEARTBEAT, sizeof(*pointers));
    if (!held || !call_ids || !pointers) {
        log_event(LOG_LEVEL_ERROR, "no_memory", log_text("what", "heartbeats"));
        abort();
    }
    pthread_mutex_lock(&leases->lock);
    while (!leases->is_stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += leases->interval_ms / 1000;
        until.tv_nsec += (long)(leases->interval_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        int waited = pthread_cond_timedwait(&leases->stopping, &leases->lock, &until);
        if (leases->is_stopping || waited != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&leases->lock);
        beat(leases, held, call_ids, pointers);
        pthread_mutex_lock(&leases->lock);
    }
    pthread_mutex_unlock(&leases->lock);
    free(held);
    free(call_ids);
    free(pointers);
    return NULL;
}

struct leases *leases_start(struct dialplane_client *dispatch, const char *worker_id,
                            unsigned interval_ms)
{
    struct leases *leases = calloc(1, sizeof(*leases));
    if (!leases)
        return NULL;
    leases->dispatch = dispatch;
    leases->worker_id = worker_id;
    leases->interval_ms = interval_ms;
    pthread_mutex_init(&leases->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&leases->stopping, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&leases->thread, NULL, run, leases) != 0) {
        free(leases);
        return NULL;
    }
    return leases;
}

void leases_stop(struct leases *leases)
{
    pthread_mutex_lock(&leases->lock);
    leases->is_stopping = true;
    pthread_cond_signal(&leases->stopping);
    pthread_mutex_unlock(&leases->lock);
    pthread_join(leases->thread, NULL);
    pthread_mutex_destroy(&leases->lock);
    pthread_cond_destroy(&leases->stopping);
    free(leases);
}
