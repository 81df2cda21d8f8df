#include "gateway/call/stats.h"

#include <stdlib.h>

const unsigned stats_status_codes[STATS_STATUSES] = {
    200, 101, 201, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409,
    412, 413, 415, 426, 429, 431, 499, 500, 501, 502, 503, 504, 0,
};

const int64_t stats_bucket_us[STATS_BUCKETS - 1] = {
    500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 5000000, 30000000,
};

bool stats_init(struct stats *stats, size_t route_count)
{
    *stats = (struct stats){.route_count = route_count + 2};
    stats->routes = calloc(stats->route_count, sizeof(*stats->routes));
    return stats->routes != NULL;
}

void stats_done(struct stats *stats)
{
    free(stats->routes);
    stats->routes = NULL;
}

void stats_count(struct stats *stats, size_t route, unsigned status, int64_t duration_us,
                 uint64_t bytes)
{
    struct stats_route *figures = &stats->routes[route];
    size_t code = 0, bucket = 0;

    while (code + 1 < STATS_STATUSES && stats_status_codes[code] != status)
        code++;
    while (bucket + 1 < STATS_BUCKETS && duration_us > stats_bucket_us[bucket])
        bucket++;
    figures->by_status[code]++;
    figures->buckets[bucket]++;
    figures->duration_us += (uint64_t)duration_us;
    stats->bytes_sent += bytes;
}

void stats_add(struct stats *sum, const struct stats *stats)
{
    for (size_t i = 0; i < sum->route_count && i < stats->route_count; i++) {
        for (size_t j = 0; j < STATS_STATUSES; j++)
            sum->routes[i].by_status[j] += stats->routes[i].by_status[j];
        for (size_t j = 0; j < STATS_BUCKETS; j++)
            sum->routes[i].buckets[j] += stats->routes[i].buckets[j];
        sum->routes[i].duration_us += stats->routes[i].duration_us;
    }
    sum->bytes_sent += stats->bytes_sent;
    sum->in_flight += stats->in_flight;
    sum->live_streams += stats->live_streams;
    sum->live_watchers += stats->live_watchers;
    sum->live_events += stats->live_events;
    sum->live_cut += stats->live_cut;
    sum->live_behind += stats->live_behind;
    sum->live_resumed += stats->live_resumed;
    for (size_t i = 0; i < RATE_SLOTS; i++) {
        sum->rate_limited[0][i] += stats->rate_limited[0][i];
        sum->rate_limited[1][i] += stats->rate_limited[1][i];
    }
}
