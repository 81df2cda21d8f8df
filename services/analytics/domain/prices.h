/* prices: what usage costs. Exact: micro-dollars in int64, each component rounded once, half up.
 * Pure. */
#ifndef ANALYTICS_DOMAIN_PRICES_H
#define ANALYTICS_DOMAIN_PRICES_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Prices in millionths of a micro-dollar (10^-12 dollar) of the unit named, so that "0.0043" per
 * minute is exact. */
struct prices {
    int64_t stt_minute;                /* speech-to-text, one minute */
    int64_t llm_million_input_tokens;  /* language model, a million tokens read */
    int64_t llm_million_output_tokens; /* language model, a million tokens written */
    int64_t tts_thousand_characters;   /* text-to-speech, a thousand characters */
    int64_t livekit_minute;            /* media server, one minute */
};

/* What a call used. None is negative. */
struct usage {
    int64_t stt_ms, livekit_ms;
    int64_t llm_input_tokens, llm_output_tokens;
    int64_t tts_characters;
};

/* Micro-dollars. */
struct costs {
    int64_t stt, llm, tts, livekit, total;
};

/* A price in dollars, "0.0043": 0 to 1000, at most 12 decimals. */
bool price_parse(const char *text, int64_t *ret_price);
/* False (err OUT_OF_RANGE) when a component does not fit, which no call of this world reaches. */
bool costs_compute(const struct prices *prices, const struct usage *usage, struct costs *ret_costs,
                   struct err *err);

#endif
