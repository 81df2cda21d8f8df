#include "domain/batch_check.h"

#include <inttypes.h>
#include <stdio.h>

static void check_order(const Dialplane__V1__ReportCallEventsRequest *request, size_t i,
                        const char *path, struct violations *violations)
{
    char field[64];
    const Dialplane__V1__CallEvent *event = request->events[i];
    snprintf(field, sizeof(field), "%s.seq", path);
    if (i > 0 && request->events[i - 1]->seq < UINT64_MAX &&
        event->seq != request->events[i - 1]->seq + 1)
        violations_add(violations, field,
                       "must be %" PRIu64 ", one more than the event before, got %" PRIu64,
                       request->events[i - 1]->seq + 1, event->seq);
}

/* A date before all calls is a clock that was never set. */
static void check_time(const Dialplane__V1__CallEvent *event, const char *path,
                       struct violations *violations)
{
    char field[64];
    if (!event->occurred_at || event->occurred_at->seconds >= 0)
        return;
    snprintf(field, sizeof(field), "%s.occurred_at", path);
    violations_add(violations, field, "must not be before 1970");
}

static void check_kind(const Dialplane__V1__ReportCallEventsRequest *request, size_t i,
                       const char *path, struct violations *violations)
{
    char field[80];
    const Dialplane__V1__CallEvent *event = request->events[i];
    switch (event->event_case) {
    case DIALPLANE__V1__CALL_EVENT__EVENT_STARTED:
        snprintf(field, sizeof(field), "%s.started", path);
        if (event->seq > 1)
            violations_add(violations, field, "a call starts with seq 1 only, got %" PRIu64,
                           event->seq);
        break;
    case DIALPLANE__V1__CALL_EVENT__EVENT_TURN:
        break;
    case DIALPLANE__V1__CALL_EVENT__EVENT_STATUS:
        snprintf(field, sizeof(field), "%s.status.status", path);
        if (event->status->status > DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE)
            violations_add(violations, field,
                           "must be active: a call ends with a `finished` event");
        break;
    case DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED:
        snprintf(field, sizeof(field), "%s.finished.status", path);
        if (event->finished->status == DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE)
            violations_add(violations, field,
                           "must be one of completed, failed, transferred; got active");
        if (i + 1 < request->n_events) {
            snprintf(field, sizeof(field), "events[%zu]", i + 1);
            violations_add(violations, field, "nothing comes after the end of a call");
        }
        break;
    case DIALPLANE__V1__CALL_EVENT__EVENT__NOT_SET:
    default:
        violations_add(violations, path,
                       "must say what happened: one of started, turn, status, finished");
        return;
    }
    if (event->seq == 1 && event->event_case != DIALPLANE__V1__CALL_EVENT__EVENT_STARTED)
        violations_add(violations, path, "the first event of a call must be `started`");
}

void batch_check(const Dialplane__V1__ReportCallEventsRequest *request,
                 struct violations *violations)
{
    for (size_t i = 0; i < request->n_events; i++) {
        char path[48];
        snprintf(path, sizeof(path), "events[%zu]", i);
        check_order(request, i, path, violations);
        check_time(request->events[i], path, violations);
        check_kind(request, i, path, violations);
    }
}
