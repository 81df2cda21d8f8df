#include "live/metrics.h"

#include "live/live.h"
#include "live/scopes.h"

#include "app/app.h"
#include "bus/bus.h"

static void one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, NULL, value);
}

void collect_live(struct buf *out, const struct analytics_service *service)
{
    struct scopes_stats scopes;
    struct bus_stats bus;
    scopes_stats(service->scopes, &scopes);
    bus_stats(live_bus(service->live), &bus);
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
