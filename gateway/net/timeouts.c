#include "gateway/net/timeouts.h"

#include <stddef.h>

void timeout_list_init(struct timeout_list *list, int64_t length_us)
{
    list->head.previous = &list->head;
    list->head.next = &list->head;
    list->head.list = list;
    list->head.due_us = 0;
    list->length_us = length_us;
}

void timeout_disarm(struct timeout *timeout)
{
    if (timeout->list) {
        timeout->previous->next = timeout->next;
        timeout->next->previous = timeout->previous;
        timeout->list = NULL;
    }
}

void timeout_arm(struct timeout_list *list, struct timeout *timeout, int64_t now_us)
{
    timeout_disarm(timeout);
    timeout->due_us = now_us + list->length_us;
    timeout->previous = list->head.previous;
    timeout->next = &list->head;
    timeout->previous->next = timeout;
    list->head.previous = timeout;
    timeout->list = list;
}

struct timeout *timeout_take_due(struct timeout_list *list, int64_t now_us)
{
    struct timeout *first = list->head.next;
    if (first == &list->head || first->due_us > now_us) {
        return NULL;
    }
    timeout_disarm(first);
    return first;
}

struct timeout *timeout_oldest(const struct timeout_list *list)
{
    return list->head.next == &list->head ? NULL : list->head.next;
}
