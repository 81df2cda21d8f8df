#include "handlers/handlers.h"
#include "report.h"

#include "domain/batch_check.h"

void check_report_call_events(const void *request, struct violations *violations)
{
    batch_check(request, violations);
}

static void on_stored(struct rpc_call *call, const struct report_outcome *outcome,
                      const struct err *err);

void report_call_event_batch(struct rpc_call *call, const void *request)
{
    report_store(call, request, on_stored);
}

static void on_stored(struct rpc_call *call, const struct report_outcome *outcome,
                      const struct err *err)
{
    if (err) {
        rpc_fail(call, err);
        return;
    }
    Dialplane__V1__ReportCallEventsResponse response =
        DIALPLANE__V1__REPORT_CALL_EVENTS_RESPONSE__INIT;
    response.accepted = outcome->accepted;
    response.duplicates = outcome->duplicates;
    response.last_seq = outcome->last_seq;
    rpc_reply(call, &response.base);
}
