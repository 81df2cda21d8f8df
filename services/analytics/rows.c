#include "rows.h"

#include "domain/prices.h"

#include "base/buf.h"
#include "base/wire.h"

/* Numbers of CallMetrics' cost fields: stt, llm, tts, livekit, total follow each other. */
#define FIRST_COST_FIELD 31
#define COST_FIELDS 5

void prices_param(struct pg_params *params, const struct prices *prices)
{
    const int64_t all[] = {prices->stt_minute, prices->llm_million_input_tokens,
                           prices->llm_million_output_tokens, prices->tts_thousand_characters,
                           prices->livekit_minute};
    pg_param_int64_array(params, all, sizeof(all) / sizeof(*all));
}

struct str figures_with_costs(struct arena *arena, const struct pg_result *row, int column)
{
    struct buf out;
    struct str figures = {NULL, 0};
    if (pg_is_null(row, 0, column))
        return figures;
    buf_init(&out, 0);
    buf_put_str(&out, pg_str(row, 0, column));
    /* Of a field that occurs twice the last one holds; zero is written, too. */
    for (int i = 0; i < COST_FIELDS; i++) {
        wire_put_tag(&out, (uint32_t)(FIRST_COST_FIELD + i), 0);
        wire_put_varint(&out, (uint64_t)pg_int64(row, 0, column + 1 + i));
    }
    struct str bytes = buf_str(&out);
    char *copy = out.failed ? NULL : arena_memdup(arena, bytes.data, bytes.length);
    if (copy)
        figures = (struct str){copy, bytes.length};
    buf_done(&out);
    return figures;
}
