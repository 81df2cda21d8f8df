/* prices: what the handlers of price lists share. */
#ifndef DIALPLANE_ANALYTICS_HANDLERS_PRICES_H
#define DIALPLANE_ANALYTICS_HANDLERS_PRICES_H

#include "analytics.h"

/* Lists of one company at most. */
#define PRICE_LISTS_LIMIT 1000

/* A row of list_prices.sql or set_prices.sql; NULL when the arena is exhausted. */
Dialplane__V1__PriceList *price_list_from_row(struct arena *arena, const struct pg_result *rows,
                                              int row);

#endif
