#include "domain/figures.h"

#include <stdlib.h>
#include <string.h>

void figures_done(struct figures *figures)
{
    for (size_t i = 0; i < FIGURE_LATENCIES; i++)
        free(figures->latencies[i].values);
    memset(figures, 0, sizeof(*figures));
}

static bool series_add(struct series *series, double value)
{
    if (series->count == series->capacity) {
        size_t capacity = series->capacity ? series->capacity * 2 : 16;
        double *values = realloc(series->values, capacity * sizeof(*values));
        if (!values)
            return false;
        series->values = values;
        series->capacity = capacity;
    }
    if (series->count == 0 || value < series->least)
        series->least = value;
    if (series->count == 0 || value > series->greatest)
        series->greatest = value;
    series->sum += value;
    series->values[series->count++] = value;
    return true;
}

bool figures_add_turn(struct figures *figures, const Dialplane__V1__Turn *turn)
{
    struct series *latencies = figures->latencies;
    if (turn->_ttfb_stt_case && !series_add(&latencies[FIGURE_TTFB_STT], turn->ttfb_stt))
        return false;
    if (turn->_latency_llm_case && !series_add(&latencies[FIGURE_LATENCY_LLM], turn->latency_llm))
        return false;
    if (turn->_ttfb_tts_case && !series_add(&latencies[FIGURE_TTFB_TTS], turn->ttfb_tts))
        return false;
    if (turn->_eou_latency_case && !series_add(&latencies[FIGURE_EOU_LATENCY], turn->eou_latency))
        return false;
    figures->usage.stt_ms += turn->stt_duration_sec;
    figures->usage.llm_input_tokens += turn->llm_input_tokens;
    figures->usage.llm_output_tokens += turn->llm_output_tokens;
    figures->usage.tts_characters += turn->tts_characters;
    figures->turn_count++;
    figures->interruption_count += turn->interrupted != 0;
    return true;
}

double figures_interruption_rate(const struct figures *figures)
{
    return figures->turn_count ? (double)figures->interruption_count / figures->turn_count : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ceil(percent × count ÷ 100), from 1. */
static double nearest_rank(const double *sorted, size_t count, size_t percent)
{
    return sorted[(percent * count + 99) / 100 - 1];
}

struct summary {
    double mean, least, greatest, p50, p95, p99;
};

static bool summarise(const struct series *series, struct summary *ret_summary)
{
    double *sorted = malloc(series->count * sizeof(*sorted));
    if (!sorted)
        return false;
    memcpy(sorted, series->values, series->count * sizeof(*sorted));
    qsort(sorted, series->count, sizeof(*sorted), compare_doubles);
    *ret_summary = (struct summary){
        .mean = series->sum / (double)series->count,
        .least = series->least,
        .greatest = series->greatest,
        .p50 = nearest_rank(sorted, series->count, 50),
        .p95 = nearest_rank(sorted, series->count, 95),
        .p99 = nearest_rank(sorted, series->count, 99),
    };
    free(sorted);
    return true;
}

/* One optional field of the generated message: the member and the case that says it is there. */
#define SET(message, NAME, member, value)                                                          \
    do {                                                                                           \
        (message)->_##member##_case = DIALPLANE__V1__CALL_METRICS___##NAME##_##NAME;               \
        (message)->member = (value);                                                               \
    } while (0)
#define SET_SUMMARY(message, NAME, member, summary)                                                \
    do {                                                                                           \
        SET(message, AVG_##NAME, avg_##member, (summary).mean);                                    \
        SET(message, MIN_##NAME, min_##member, (summary).least);                                   \
        SET(message, MAX_##NAME, max_##member, (summary).greatest);                                \
        SET(message, P50_##NAME, p50_##member, (summary).p50);                                     \
        SET(message, P95_##NAME, p95_##member, (summary).p95);                                     \
        SET(message, P99_##NAME, p99_##member, (summary).p99);                                     \
    } while (0)

bool figures_fill(const struct figures *figures, Dialplane__V1__CallMetrics *metrics)
{
    struct summary summary[FIGURE_LATENCIES];
    for (size_t i = 0; i < FIGURE_LATENCIES; i++)
        if (figures->latencies[i].count && !summarise(&figures->latencies[i], &summary[i]))
            return false;
    if (figures->latencies[FIGURE_TTFB_STT].count)
        SET_SUMMARY(metrics, TTFB_STT, ttfb_stt, summary[FIGURE_TTFB_STT]);
    if (figures->latencies[FIGURE_LATENCY_LLM].count)
        SET_SUMMARY(metrics, LATENCY_LLM, latency_llm, summary[FIGURE_LATENCY_LLM]);
    if (figures->latencies[FIGURE_TTFB_TTS].count)
        SET_SUMMARY(metrics, TTFB_TTS, ttfb_tts, summary[FIGURE_TTFB_TTS]);
    if (figures->latencies[FIGURE_EOU_LATENCY].count)
        SET_SUMMARY(metrics, EOU_LATENCY, eou_latency, summary[FIGURE_EOU_LATENCY]);
    metrics->stt_duration_sec = figures->usage.stt_ms;
    metrics->llm_input_tokens = figures->usage.llm_input_tokens;
    metrics->llm_output_tokens = figures->usage.llm_output_tokens;
    metrics->tts_characters = figures->usage.tts_characters;
    metrics->livekit_duration_sec = figures->usage.livekit_ms;
    metrics->turn_count = figures->turn_count;
    metrics->interruption_count = figures->interruption_count;
    metrics->interruption_rate = figures_interruption_rate(figures);
    return true;
}
