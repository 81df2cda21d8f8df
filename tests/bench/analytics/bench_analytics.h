/* bench_analytics: what its two halves share: the calls that both store. */
#ifndef BENCH_ANALYTICS_H
#define BENCH_ANALYTICS_H

#include <stddef.h>
#include <stdint.h>

/* Rows that one call is: its place, the call, its figures, and its events. */
#define ROWS_OF_CALL(turns) ((long)(turns) + 5)
#define TURN_TEXT                                                                                  \
    "Thank you for waiting. I can offer you an appointment on Tuesday at ten or on Thursday at "   \
    "four, which of the two would suit you better?"

struct load {
    double seconds;
    unsigned workers, turns;
    const char *company;
    uint64_t seed;
};

double now_s(void);
/* A UUIDv7 of now with random bits from *random. */
void make_id(uint64_t *random, char out[37]);

/* Inserts rows of calls by libpq alone until the time is over, many calls a transaction and one
 * INSERT a table; rows a second. */
double insert_rows(const struct load *load, const char *url);

#endif
