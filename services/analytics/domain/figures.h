/* figures: what a call's turns come to: means, extremes and percentiles of latencies, usage,
 * interruptions. Pure: add turns in order, ask at any time. */
#ifndef ANALYTICS_DOMAIN_FIGURES_H
#define ANALYTICS_DOMAIN_FIGURES_H

#include "domain/prices.h"

#include "dialplane/v1/analytics.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of one latency, in the order they came; grows with malloc. */
struct series {
    double *values;
    size_t count, capacity;
    double sum, least, greatest;
};

enum figure_latency {
    FIGURE_TTFB_STT,
    FIGURE_LATENCY_LLM,
    FIGURE_TTFB_TTS,
    FIGURE_EOU_LATENCY,
    FIGURE_LATENCIES,
};

/* Zero-initialised: no turns yet. */
struct figures {
    struct series latencies[FIGURE_LATENCIES];
    struct usage usage; /* livekit_ms is set by whoever knows the call's length */
    int32_t turn_count, interruption_count;
};

void figures_done(struct figures *figures);
/* Adds one turn; false when memory is short. A turn without a latency leaves that latency's figures
 * as they are. */
bool figures_add_turn(struct figures *figures, const Dialplane__V1__Turn *turn);
/* Fills latencies, usage, counts and rate of a message (initialised by the caller); costs are
 * costs_compute()'s. The percentiles are by nearest rank: the least value that at least p percent
 * of the values do not exceed. false when memory is short. */
bool figures_fill(const struct figures *figures, Dialplane__V1__CallMetrics *metrics);
/* interruptions ÷ turns; 0 without turns. */
double figures_interruption_rate(const struct figures *figures);

#endif
