#include "domain/prices.h"

#include "base/decimal.h"
#include "base/str.h"

#define PRICE_PLACES 12
#define PRICE_LIMIT INT64_C(1000000000000000) /* 1000 dollars */

bool price_parse(const char *text, int64_t *ret_price)
{
    int64_t price;
    if (!decimal_parse(str_from(text), PRICE_PLACES, &price) || price < 0 || price > PRICE_LIMIT)
        return false;
    *ret_price = price;
    return true;
}

/* round-half-up((amount × price + amount2 × price2) ÷ units) from 10^-12 dollars to micro-dollars,
 * in 128 bits. Amounts stay under 10^16 and prices under 10^15, so the sum stays under 2 × 10^31
 * and cannot pass 2^127. */
static bool cost_of(int64_t amount, int64_t price, int64_t amount2, int64_t price2, int64_t units,
                    int64_t *ret_micros)
{
    __extension__ typedef __int128 wide;
    wide divisor = (wide)units * 1000000;
    wide sum = (wide)amount * price + (wide)amount2 * price2;
    wide rounded = (sum + divisor / 2) / divisor;
    if (rounded > INT64_MAX)
        return false;
    *ret_micros = (int64_t)rounded;
    return true;
}

bool costs_compute(const struct prices *prices, const struct usage *usage, struct costs *ret_costs,
                   struct err *err)
{
    const int64_t minute_ms = 60000;
    struct costs costs;
    if (!cost_of(usage->stt_ms, prices->stt_minute, 0, 0, minute_ms, &costs.stt) ||
        !cost_of(usage->llm_input_tokens, prices->llm_million_input_tokens,
                 usage->llm_output_tokens, prices->llm_million_output_tokens, 1000000,
                 &costs.llm) ||
        !cost_of(usage->tts_characters, prices->tts_thousand_characters, 0, 0, 1000, &costs.tts) ||
        !cost_of(usage->livekit_ms, prices->livekit_minute, 0, 0, minute_ms, &costs.livekit) ||
        __builtin_add_overflow(costs.stt, costs.llm, &costs.total) ||
        __builtin_add_overflow(costs.total, costs.tts, &costs.total) ||
        __builtin_add_overflow(costs.total, costs.livekit, &costs.total))
        return err_set(err, ERR_OUT_OF_RANGE, "COST_OUT_OF_RANGE",
                       "the cost of the call is larger than can be stored");
    *ret_costs = costs;
    return true;
}
