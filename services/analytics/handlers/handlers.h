/* handlers: one file an RPC; main.c has the table. */
#ifndef DIALPLANE_ANALYTICS_HANDLERS_H
#define DIALPLANE_ANALYTICS_HANDLERS_H

#include "base/err.h"
#include "rpc/rpc.h"

void check_report_call_events(const void *request, struct violations *violations);
void report_call_event_batch(struct rpc_call *call, const void *request);
void report_call_events_on_message(struct rpc_call *call, const void *message);
void report_call_events_on_end(struct rpc_call *call);
void report_call_events_on_gone(struct rpc_call *call);
void check_list_calls(const void *request, struct violations *violations);
void list_calls(struct rpc_call *call, const void *request);
void check_export_calls(const void *request, struct violations *violations);
void export_calls(struct rpc_call *call, const void *request);
void get_call(struct rpc_call *call, const void *request);
void get_call_metrics(struct rpc_call *call, const void *request);
void check_get_metrics(const void *request, struct violations *violations);
void get_metrics(struct rpc_call *call, const void *request);
void check_get_metrics_time_series(const void *request, struct violations *violations);
void get_metrics_time_series(struct rpc_call *call, const void *request);
void list_prices(struct rpc_call *call, const void *request);
void check_set_prices(const void *request, struct violations *violations);
void set_prices(struct rpc_call *call, const void *request);
void delete_prices(struct rpc_call *call, const void *request);
void check_re_rate_calls(const void *request, struct violations *violations);
void re_rate_calls(struct rpc_call *call, const void *request);
void watch_call(struct rpc_call *call, const void *request);
void check_watch_live(const void *request, struct violations *violations);
void watch_live(struct rpc_call *call, const void *request);
void create_ws_ticket(struct rpc_call *call, const void *request);

#endif
