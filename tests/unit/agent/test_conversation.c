#include "agent/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct call_plan plan_of(uint64_t seed)
{
    struct entropy entropy;
    entropy_init_seeded(&entropy, seed);
    struct call_plan plan;
    conversation_plan(&entropy, true, &plan);
    return plan;
}

static void same_seed_same_call(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct call_plan a = plan_of(seed), b = plan_of(seed);
        assert_int_equal(a.disposition, b.disposition);
        assert_int_equal(a.turn_count, b.turn_count);
        for (size_t i = 0; i < a.turn_count; i++) {
            assert_string_equal(a.turns[i].content, b.turns[i].content);
            assert_true(a.turns[i].eou_latency == b.turns[i].eou_latency);
        }
    }
}

static void every_plan_is_believable(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct call_plan plan = plan_of(seed);
        assert_in_range(plan.disposition, PLAN_ANSWERED, PLAN_CARRIER_ERROR);
        assert_non_null(plan.outcome);
        assert_non_null(plan.reason);
        assert_true(plan.ring_ms >= 800 && plan.ring_ms <= 30000);
        assert_true(plan.confidence >= 0 && plan.confidence <= 1);
        assert_true(plan.sentiment >= -1 && plan.sentiment <= 1);
        if (plan.disposition != PLAN_ANSWERED) {
            assert_int_equal(plan.turn_count, 0);
            continue;
        }
        assert_in_range(plan.turn_count, 3, CONVERSATION_TURN_LIMIT);
        for (size_t i = 0; i < plan.turn_count; i++) {
            const struct plan_turn *turn = &plan.turns[i];
            assert_true(turn->by_agent == (i % 2 == 0));
            assert_true(turn->wait_ms > 0 && turn->wait_ms < 600000);
            assert_true(turn->by_agent == (turn->eou_latency > 0));
            assert_true(turn->eou_latency <= 180000);
            assert_true(turn->by_agent == (turn->llm_output_tokens > 0));
            assert_true(turn->by_agent != (turn->stt_ms > 0));
        }
    }
}

static void shares_are_as_said(void **state)
{
    (void)state;
    int answered = 0, total = 20000;
    for (int seed = 0; seed < total; seed++)
        answered += plan_of((uint64_t)seed * 2654435761u).disposition == PLAN_ANSWERED;
    /* 58 %, give or take four standard deviations */
    assert_true(abs(answered - total * 58 / 100) < 4 * 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_call),
        cmocka_unit_test(every_plan_is_believable),
        cmocka_unit_test(shares_are_as_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
