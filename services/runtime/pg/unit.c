/* Units: the queues they wait in, and the one place where each of them is answered. */
#include "pg/internal.h"

#include "base/log.h"

#include <stdlib.h>

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        log_event(LOG_LEVEL_ERROR, "out_of_memory", log_text("what", "pg"));
        abort();
    }
    return memory;
}

void unit_queue_push(struct unit_queue *queue, struct unit *unit)
{
    unit->next = NULL;
    if (queue->last)
        queue->last->next = unit;
    else
        queue->first = unit;
    queue->last = unit;
    queue->count++;
}

void unit_queue_push_front(struct unit_queue *queue, struct unit *unit)
{
    unit->next = queue->first;
    queue->first = unit;
    if (!queue->last)
        queue->last = unit;
    queue->count++;
}

void unit_queue_remove(struct unit_queue *queue, struct unit *before, struct unit *unit)
{
    if (before)
        before->next = unit->next;
    else
        queue->first = unit->next;
    if (queue->last == unit)
        queue->last = before;
    unit->next = NULL;
    queue->count--;
}

struct unit *unit_queue_pop(struct unit_queue *queue)
{
    struct unit *unit = queue->first;
    if (unit)
        unit_queue_remove(queue, NULL, unit);
    return unit;
}

void unit_queue_append(struct unit_queue *queue, struct unit_queue *from)
{
    if (!from->first)
        return;
    if (queue->last)
        queue->last->next = from->first;
    else
        queue->first = from->first;
    queue->last = from->last;
    queue->count += from->count;
    *from = (struct unit_queue){0};
}

void unit_queue_prepend(struct unit_queue *queue, struct unit_queue *from)
{
    struct unit_queue rest = *queue;
    *queue = *from;
    *from = (struct unit_queue){0};
    unit_queue_append(queue, &rest);
}

struct unit *unit_new(enum unit_kind kind, const struct pg_owner *owner,
                      const struct pg_statement *statement, const struct pg_params *params,
                      pg_callback *callback, void *context)
{
    size_t count = params ? (size_t)params->count : 0;
    /* Reads do not say who it is that reads: nothing would note it down, and neighbours of one
     * company share what is said. Sessions have said it. */
    bool with_details = kind == UNIT_WRITE;
    /* One block: the unit, its three arrays, the widest first, and who asks. */
    size_t size = sizeof(struct unit) + count * (sizeof(char *) + 2 * sizeof(int));
    size_t identity_bytes = owner ? identity_size(&owner->identity, with_details) : 0;
    struct unit *unit = xcalloc(1, size + identity_bytes);
    unit->kind = kind;
    if (owner) {
        unit->owner = *owner;
        identity_copy(&unit->owner.identity, &owner->identity, with_details, (char *)unit + size);
    }
    unit->statement = statement;
    unit->callback = callback;
    unit->context = context;
    if (count) {
        unit->count = params->count;
        unit->values = (const char **)(unit + 1);
        unit->lengths = (int *)(unit->values + count);
        unit->formats = unit->lengths + count;
        memcpy(unit->values, params->values, count * sizeof(*unit->values));
        memcpy(unit->lengths, params->lengths, count * sizeof(*unit->lengths));
        memcpy(unit->formats, params->formats, count * sizeof(*unit->formats));
    }
    return unit;
}

static void unit_free(struct unit *unit)
{
    PQclear(unit->result);
    free(unit->refusal);
    free(unit);
}

bool owner_is_over(const struct pg_owner *owner, int64_t now_us, struct err *err)
{
    if (owner->is_dead && owner->is_dead(owner->owner)) {
        err_set(err, ERR_CANCELLED, NULL, "the request was cancelled");
        return true;
    }
    if (owner->deadline_us && owner->deadline_us <= now_us) {
        err_set(err, ERR_DEADLINE_EXCEEDED, NULL, "the deadline has passed");
        return true;
    }
    return false;
}

bool unit_is_over(const struct unit *unit, int64_t now_us, struct err *err)
{
    return owner_is_over(&unit->owner, now_us, err);
}

void unit_finish_result(struct unit *unit, const PGresult *result)
{
    struct pg_outcome outcome;
    memset(&outcome, 0, sizeof(outcome));
    struct pg_result view = {result, unit->statement ? unit->statement->name : "copy"};
    if (result_is_error(result))
        outcome_from_error(unit, result, &outcome);
    else
        outcome.result = &view;
    account_finished(unit, result);
    unit->callback(unit->context, &outcome);
    unit_free(unit);
}

void unit_finish_error(struct unit *unit, const struct err *err)
{
    struct pg_outcome outcome;
    memset(&outcome, 0, sizeof(outcome));
    outcome.err = *err;
    account_finished(unit, NULL);
    unit->callback(unit->context, &outcome);
    unit_free(unit);
}

static void on_refusal(void *context)
{
    struct unit *unit = context;
    struct err err = *unit->refusal;
    unit_finish_error(unit, &err);
}

void unit_refuse_later(struct loop *loop, struct unit *unit, const struct err *err)
{
    unit->refusal = xcalloc(1, sizeof(*unit->refusal));
    *unit->refusal = *err;
    loop_defer(loop, on_refusal, unit);
}
