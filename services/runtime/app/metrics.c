/* Prometheus text exposition format 0.0.4. */
#include "app/app.h"

#include "app/trace.h"

#include <math.h>
#include <stdio.h>

const double duration_limits[DURATION_BUCKETS - 1] = {
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
};

/* Newlines and backslashes are escaped in HELP. */
static void put_help(struct buf *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\n')
            buf_put_cstr(out, "\\n");
        else if (*help == '\\')
            buf_put_cstr(out, "\\\\");
        else
            buf_put_char(out, *help);
    }
}

void metrics_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s ", name);
    put_help(out, help);
    buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_sample(struct buf *out, const char *name, const char *labels, double value)
{
    buf_put_cstr(out, name);
    if (labels && labels[0])
        buf_printf(out, "{%s}", labels);
    if (isnan(value))
        buf_put_cstr(out, " NaN\n");
    else if (isinf(value))
        buf_put_cstr(out, value > 0 ? " +Inf\n" : " -Inf\n");
    else if (fabs(value) < 1e15 && value >= floor(value) && value <= floor(value))
        buf_printf(out, " %lld\n", (long long)value);
    else
        buf_printf(out, " %.17g\n", value);
}

void metrics_one(struct buf *out, const char *name, const char *type, const char *help,
                 double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, NULL, value);
}

void metrics_histogram(struct buf *out, const char *name, const char *labels, const double *limits,
                       size_t limit_count, const uint64_t *buckets, double sum)
{
    const char *comma = labels && labels[0] ? "," : "";
    uint64_t count = 0;

    for (size_t i = 0; i <= limit_count; i++) {
        count += buckets[i];
        buf_printf(out, "%s_bucket{%s%sle=\"", name, labels ? labels : "", comma);
        if (i < limit_count)
            buf_printf(out, "%g", limits[i]);
        else
            buf_put_cstr(out, "+Inf");
        buf_printf(out, "\"} %llu\n", (unsigned long long)count);
    }
    const char *open = comma[0] ? "{" : "", *close = comma[0] ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %.17g\n", name, open, labels ? labels : "", close, sum);
    buf_printf(out, "%s_count%s%s%s %llu\n", name, open, labels ? labels : "", close,
               (unsigned long long)count);
}

void durations_add(struct durations *durations, int64_t us)
{
    size_t bucket = 0;

    while (bucket < DURATION_BUCKETS - 1 && (double)us > duration_limits[bucket] * 1e6)
        bucket++;
    durations->buckets[bucket]++;
    durations->total_us += us > 0 ? (uint64_t)us : 0;
}

void metrics_durations(struct buf *out, const char *name, const char *labels,
                       const struct durations *durations)
{
    metrics_histogram(out, name, labels, duration_limits, DURATION_BUCKETS - 1, durations->buckets,
                      (double)durations->total_us / 1e6);
}

void metrics_tracer(struct buf *out, const struct tracer_stats *stats)
{
    metrics_one(out, "dialplane_trace_spans_exported_total", "counter",
                "Spans that the collector has taken.", (double)stats->exported);
    metrics_one(out, "dialplane_trace_spans_dropped_total", "counter",
                "Spans lost: the queue was full, or the collector away for too long.",
                (double)stats->dropped);
    metrics_one(out, "dialplane_trace_batches_total", "counter", "Batches of spans sent.",
                (double)stats->batches);
    metrics_one(out, "dialplane_trace_failures_total", "counter",
                "Batches that the collector did not take.", (double)stats->failures);
    metrics_one(out, "dialplane_trace_queue_bytes", "gauge", "Spans that wait to be sent.",
                (double)stats->waiting_bytes);
}
