/* timeouts: time limits of many connections without a heap: all entries of one list have the same
 * length, so that a list in arming order is a list in due order; arming and disarming are O(1) and
 * allocate nothing. */
#ifndef GATEWAY_NET_TIMEOUTS_H
#define GATEWAY_NET_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded; zero-initialised is disarmed. */
struct timeout {
    struct timeout *previous, *next;
    int64_t due_us;
    struct timeout_list *list; /* NULL: not armed */
};

struct timeout_list {
    struct timeout head; /* a ring */
    int64_t length_us;
};

void timeout_list_init(struct timeout_list *list, int64_t length_us);
/* Moves it to the end if it was armed, in this list or in another. */
void timeout_arm(struct timeout_list *list, struct timeout *timeout, int64_t now_us);
void timeout_disarm(struct timeout *timeout);
/* The one that was armed longest ago, still armed; NULL: none. */
struct timeout *timeout_oldest(const struct timeout_list *list);
/* The first that is due, disarmed; NULL: none. */
struct timeout *timeout_take_due(struct timeout_list *list, int64_t now_us);

#endif
