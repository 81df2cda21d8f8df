/* The rules of analytics: prices, figures, order of events, periods. */
#include "domain/batch_check.h"
#include "domain/figures.h"
#include "domain/period.h"
#include "domain/prices.h"

#include "base/arena.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Prices ---- */

static struct prices default_prices(void)
{
    struct prices prices;
    assert_true(price_parse("0.0043", &prices.stt_minute));
    assert_true(price_parse("0.05", &prices.llm_million_input_tokens));
    assert_true(price_parse("0.08", &prices.llm_million_output_tokens));
    assert_true(price_parse("0.015", &prices.tts_thousand_characters));
    assert_true(price_parse("0.004", &prices.livekit_minute));
    return prices;
}

static void test_price_texts(void **state)
{
    (void)state;
    int64_t price = -1;
    assert_true(price_parse("0", &price));
    assert_int_equal(price, 0);
    assert_true(price_parse("0.000000000001", &price));
    assert_int_equal(price, 1);
    assert_true(price_parse("1000", &price));
    assert_int_equal(price, INT64_C(1000000000000000));
    static const char *const wrong[] = {"",      "x",    "-0.1", "1000.1", "0.0000000000001",
                                        "1e400", "1,50", "NaN",  "0x10"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_false(price_parse(wrong[i], &price));
}

static void test_costs(void **state)
{
    (void)state;
    static const struct {
        struct usage usage;
        struct costs costs;
    } cases[] = {
        {{0}, {0}},
        {{.stt_ms = 60000, .livekit_ms = 60000}, {.stt = 4300, .livekit = 4000, .total = 8300}},
        {{.llm_input_tokens = 1000000, .llm_output_tokens = 1000000, .tts_characters = 1000},
         {.llm = 130000, .tts = 15000, .total = 145000}},
        /* half up, once: 0.45 → 0, 0.5 → 1, 1.45 → 1, 1.5 → 2; and after adding input and output */
        {{.llm_input_tokens = 9}, {0}},
        {{.llm_input_tokens = 10}, {.llm = 1, .total = 1}},
        {{.llm_input_tokens = 29}, {.llm = 1, .total = 1}},
        {{.llm_input_tokens = 30}, {.llm = 2, .total = 2}},
        {{.llm_input_tokens = 2, .llm_output_tokens = 5}, {.llm = 1, .total = 1}},
        /* 6 ms: 0.43; 7 ms: 0.5016…; 7.5 ms of LiveKit would be 0.5 */
        {{.stt_ms = 6}, {0}},
        {{.stt_ms = 7}, {.stt = 1, .total = 1}},
        {{.livekit_ms = 7}, {0}},
        {{.livekit_ms = 8}, {.livekit = 1, .total = 1}},
    };
    struct prices prices = default_prices();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct costs costs;
        assert_true(costs_compute(&prices, &cases[i].usage, &costs, NULL));
        assert_memory_equal(&costs, &cases[i].costs, sizeof(costs));
    }
}

static void test_costs_beyond_this_world(void **state)
{
    (void)state;
    struct prices prices = {.tts_thousand_characters = INT64_C(1000000000000000)};
    /* 10^16 characters at 1000 dollars a thousand: 10^16 dollars do not fit micro-dollars. */
    struct usage usage = {.tts_characters = INT64_C(10000000000000000)};
    struct costs costs;
    struct err err = {0};
    assert_false(costs_compute(&prices, &usage, &costs, &err));
    assert_int_equal(err.code, ERR_OUT_OF_RANGE);
    usage.tts_characters = 0;
    prices.llm_million_input_tokens = prices.tts_thousand_characters;
    usage.llm_input_tokens = INT64_C(2000000) * 1000000000; /* 2 000 000 turns of the most tokens */
    assert_true(costs_compute(&prices, &usage, &costs, &err));
    assert_true(costs.llm == INT64_C(2000000000000000000));
}

/* ---- Figures against a computation that takes nothing for granted ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The least value that at least `percent` percent of all do not exceed, by counting. */
static double naive_percentile(const double *values, size_t count, size_t percent)
{
    double found = INFINITY;
    for (size_t i = 0; i < count; i++) {
        size_t not_above = 0;
        for (size_t j = 0; j < count; j++)
            not_above += values[j] <= values[i];
        if (not_above * 100 >= percent * count && values[i] < found)
            found = values[i];
    }
    return found;
}

static void check_figures(uint64_t seed, int turns)
{
    struct figures figures = {0};
    double values[300];
    size_t count = 0;
    int64_t characters = 0;
    int interrupted = 0;
    double sum = 0, least = INFINITY, greatest = -INFINITY;
    for (int i = 0; i < turns; i++) {
        Dialplane__V1__Turn turn = DIALPLANE__V1__TURN__INIT;
        turn.interrupted = next_random(&seed) % 4 == 0;
        interrupted += turn.interrupted != 0;
        turn.tts_characters = (int64_t)(next_random(&seed) % 500);
        characters += turn.tts_characters;
        if (next_random(&seed) % 3) {
            turn._eou_latency_case = DIALPLANE__V1__TURN___EOU_LATENCY_EOU_LATENCY;
            turn.eou_latency = (double)(next_random(&seed) % 2000) / 8; /* exact in binary */
            values[count++] = turn.eou_latency;
            sum += turn.eou_latency;
            least = turn.eou_latency < least ? turn.eou_latency : least;
            greatest = turn.eou_latency > greatest ? turn.eou_latency : greatest;
        }
        assert_true(figures_add_turn(&figures, &turn));
    }
    Dialplane__V1__CallMetrics metrics = DIALPLANE__V1__CALL_METRICS__INIT;
    assert_true(figures_fill(&figures, &metrics));
    assert_int_equal(metrics.turn_count, turns);
    assert_int_equal(metrics.interruption_count, interrupted);
    assert_true(metrics.interruption_rate == (turns ? (double)interrupted / turns : 0));
    assert_true(metrics.tts_characters == characters);
    assert_int_equal(metrics._avg_ttfb_stt_case, 0);
    assert_int_equal(metrics._p99_latency_llm_case, 0);
    assert_int_equal(metrics._avg_eou_latency_case != 0, count > 0);
    if (count) {
        assert_true(metrics.avg_eou_latency == sum / (double)count);
        assert_true(metrics.min_eou_latency == least && metrics.max_eou_latency == greatest);
        assert_true(metrics.p50_eou_latency == naive_percentile(values, count, 50));
        assert_true(metrics.p95_eou_latency == naive_percentile(values, count, 95));
        assert_true(metrics.p99_eou_latency == naive_percentile(values, count, 99));
    }
    figures_done(&figures);
}

static void test_figures(void **state)
{
    (void)state;
    for (int turns = 0; turns < 30; turns++)
        for (uint64_t seed = 1; seed <= 10; seed++)
            check_figures(seed * 7919, turns);
    for (uint64_t seed = 1; seed <= 5; seed++)
        check_figures(seed, 300);
}

/* ---- Order and kinds of events ---- */

enum kind { STARTED, TURN, STATUS, FINISHED, NOTHING };

struct event_text {
    uint64_t seq;
    enum kind kind;
    Dialplane__V1__CallStatus status;
    int64_t seconds;
};

/* The violations of a batch as "field; field; ". */
static const char *check(const struct event_text *events, size_t count)
{
    static char text[400];
    static Dialplane__V1__CallEvent made[8];
    static Google__Protobuf__Timestamp times[8];
    static Dialplane__V1__CallStatusChange changes[8];
    static Dialplane__V1__CallFinished finishes[8];
    static Dialplane__V1__CallStarted start;
    static Dialplane__V1__Turn turn;
    Dialplane__V1__CallEvent *list[8];
    start = (Dialplane__V1__CallStarted)DIALPLANE__V1__CALL_STARTED__INIT;
    turn = (Dialplane__V1__Turn)DIALPLANE__V1__TURN__INIT;
    for (size_t i = 0; i < count; i++) {
        made[i] = (Dialplane__V1__CallEvent)DIALPLANE__V1__CALL_EVENT__INIT;
        times[i] = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        changes[i] = (Dialplane__V1__CallStatusChange)DIALPLANE__V1__CALL_STATUS_CHANGE__INIT;
        finishes[i] = (Dialplane__V1__CallFinished)DIALPLANE__V1__CALL_FINISHED__INIT;
        made[i].seq = events[i].seq;
        times[i].seconds = events[i].seconds;
        made[i].occurred_at = &times[i];
        changes[i].status = finishes[i].status = events[i].status;
        switch (events[i].kind) {
        case STARTED:
            made[i].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STARTED;
            made[i].started = &start;
            break;
        case TURN:
            made[i].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_TURN;
            made[i].turn = &turn;
            break;
        case STATUS:
            made[i].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STATUS;
            made[i].status = &changes[i];
            break;
        case FINISHED:
            made[i].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
            made[i].finished = &finishes[i];
            break;
        case NOTHING:
            break;
        }
        list[i] = &made[i];
    }
    Dialplane__V1__ReportCallEventsRequest request =
        DIALPLANE__V1__REPORT_CALL_EVENTS_REQUEST__INIT;
    request.events = list;
    request.n_events = count;
    struct arena *arena = arena_new(65536);
    struct violations violations;
    violations_init(&violations, arena, 20);
    batch_check(&request, &violations);
    text[0] = '\0';
    for (const struct violation *v = violations.first; v; v = v->next)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s; ", v->field);
    arena_free(arena);
    return text;
}

#define CHECK(expected, ...)                                                                       \
    do {                                                                                           \
        const struct event_text events[] = {__VA_ARGS__};                                          \
        assert_string_equal(check(events, sizeof(events) / sizeof(*events)), expected);            \
    } while (0)
#define ACTIVE DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE
#define COMPLETED DIALPLANE__V1__CALL_STATUS__CALL_STATUS_COMPLETED

static void test_batches(void **state)
{
    (void)state;
    CHECK("", {1, STARTED, 0, 0}, {2, TURN, 0, 0}, {3, STATUS, ACTIVE, 0},
          {4, FINISHED, COMPLETED, 0});
    CHECK("", {7, TURN, 0, 5});
    CHECK("events[0]; ", {1, TURN, 0, 0});
    CHECK("events[1].started; ", {1, STARTED, 0, 0}, {2, STARTED, 0, 0});
    CHECK("events[1].seq; ", {4, TURN, 0, 0}, {6, TURN, 0, 0});
    CHECK("events[1].seq; ", {4, TURN, 0, 0}, {4, TURN, 0, 0});
    CHECK("events[1].seq; events[1]; ", {4, TURN, 0, 0}, {1, TURN, 0, 0});
    CHECK("events[2]; ", {4, TURN, 0, 0}, {5, FINISHED, COMPLETED, 0}, {6, TURN, 0, 0});
    CHECK("events[0].finished.status; ", {4, FINISHED, ACTIVE, 0});
    CHECK("events[0].status.status; ", {4, STATUS, COMPLETED, 0});
    CHECK("events[0]; ", {4, NOTHING, 0, 0});
    CHECK("events[0].occurred_at; ", {4, TURN, 0, -1});
    /* Values that the rules of the .proto have refused already. */
    CHECK("", {0, TURN, 0, 0});
    CHECK("", {UINT64_MAX, TURN, 0, 0}, {5, TURN, 0, 0});
}

/* ---- Periods ---- */

static size_t check_period(const char *start, const char *end, const char *field)
{
    struct arena *arena = arena_new(4096);
    struct violations violations;
    violations_init(&violations, arena, 5);
    period_check(start, end, &violations);
    size_t count = violations.count;
    if (count)
        assert_string_equal(violations.first->field, field);
    arena_free(arena);
    return count;
}

static void test_periods(void **state)
{
    (void)state;
    assert_int_equal(check_period(NULL, NULL, ""), 0);
    assert_int_equal(check_period("2026-01-01", "", ""), 0);
    assert_int_equal(check_period("2026-01-01", "2026-01-01", ""), 0);
    assert_int_equal(check_period("2026-01-02", "2026-01-01", "end_date"), 1);
    assert_int_equal(check_period("2016-01-01", "2026-01-06", ""),
                     0); /* 3660 days, both included */
    assert_int_equal(check_period("2016-01-01", "2026-01-08", "start_date"), 1);
    assert_int_equal(check_period("nonsense", "2026-01-01", ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_price_texts),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_costs_beyond_this_world),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_periods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
