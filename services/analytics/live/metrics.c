#include "live/metrics.h"

#include "live/live.h"
#include "live/scopes.h"

#include "analytics_sql.h"
#include "app/app.h"
#include "bus/bus.h"
#include "service/database_metrics.h"

#include <stdio.h>

#define ACTIVE_DAYS 1

static void one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, NULL, value);
}

static void write_active(const struct pg_result *rows, struct arena *arena, struct buf *out)
{
    (void)arena;
    one(out, "dialplane_calls_active", "gauge",
        "Calls under way that began today or yesterday, UTC. The same at every instance.",
        pg_rows(rows) ? (double)pg_int64(rows, 0, 0) : 0);
}

struct database_metrics *active_calls_new(struct loop *loop, struct pg_pool *pool)
{
    return database_metrics_new(loop, pool, &sql_count_active_calls, ACTIVE_DAYS, write_active);
}

static void write_removal(const struct pg_result *rows, struct arena *arena, struct buf *out)
{
    (void)arena;
    one(out, "dialplane_companies_to_remove", "gauge",
        "Deleted companies of which something is left. The same at every instance.",
        pg_rows(rows) ? (double)pg_int64(rows, 0, 0) : 0);
    one(out, "dialplane_calls_to_remove", "gauge",
        "Calls of deleted companies that are left. The same at every instance.",
        pg_rows(rows) ? (double)pg_int64(rows, 0, 1) : 0);
}

struct database_metrics *calls_to_remove_new(struct loop *loop, struct pg_pool *pool)
{
    return database_metrics_new(loop, pool, &sql_count_calls_to_remove, 0, write_removal);
}

static void collect_ends(struct buf *out, const struct live_stats *stats)
{
    char labels[40];
    metrics_family(out, "dialplane_calls_ended_total", "counter",
                   "Calls whose end this instance has stored, by outcome; words of agents that the "
                   "contract does not name are \"other\".");
    for (size_t i = 0; i < LIVE_OUTCOMES; i++) {
        snprintf(labels, sizeof(labels), "outcome=\"%s\"", live_outcomes[i]);
        metrics_sample(out, "dialplane_calls_ended_total", labels, (double)stats->ended[i]);
    }
}

void collect_live(struct buf *out, const struct analytics_service *service)
{
    struct scopes_stats scopes;
    struct bus_stats bus;
    struct live_stats live;
    scopes_stats(service->scopes, &scopes);
    bus_stats(live_bus(service->live), &bus);
    live_stats(service->live, &live);
    database_metrics_collect(service->active_calls, out);
    database_metrics_collect(service->calls_to_remove, out);
    collect_ends(out, &live);
    one(out, "dialplane_live_scopes", "gauge",
        "Companies, campaigns and skillbases whose live figures are watched.", scopes.scopes);
    one(out, "dialplane_live_scope_watchers", "gauge", "Streams of live figures.", scopes.watchers);
    one(out, "dialplane_live_figures_total", "counter", "Live figures computed.",
        (double)scopes.computed);
    one(out, "dialplane_live_figures_late_total", "counter",
        "Live figures that were not there in time.", (double)scopes.late);
    one(out, "dialplane_bus_configured", "gauge", "1 when there is a --redis-url.", bus.configured);
    one(out, "dialplane_bus_up", "gauge",
        "1 while events of other instances come through Redis, 0 while they are found by polling.",
        bus.up);
    one(out, "dialplane_bus_channels", "gauge", "Channels that are listened to.", bus.channels);
    one(out, "dialplane_bus_published_total", "counter", "Messages published.",
        (double)bus.published);
    one(out, "dialplane_bus_received_total", "counter", "Messages of other instances.",
        (double)bus.received);
    one(out, "dialplane_bus_dropped_total", "counter",
        "Messages that could not be published; the table has them.", (double)bus.dropped);
    one(out, "dialplane_bus_reconnects_total", "counter", "Times that Redis came back.",
        (double)bus.reconnects);
}
