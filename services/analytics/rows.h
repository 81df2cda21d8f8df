/* rows: what several files make of rows and parameters. */
#ifndef DIALPLANE_ANALYTICS_ROWS_H
#define DIALPLANE_ANALYTICS_ROWS_H

#include "base/arena.h"
#include "base/str.h"
#include "pg/pg.h"

struct prices;

/* The five prices as a bigint[], in the order of the columns of price_lists. */
void prices_param(struct pg_params *params, const struct prices *prices);
/* A stored CallMetrics with the costs of its columns: `column` has the message, the five after it
 * stt, llm, tts, livekit and total. Serialized, in the arena; data NULL when that is exhausted or
 * the column is NULL. */
struct str figures_with_costs(struct arena *arena, const struct pg_result *row, int column);

#endif
