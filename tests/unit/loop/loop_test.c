/* The loop: turns, timers, signals, and letters from other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct trace {
    struct loop *loop;
    char text[64];
    size_t length;
    struct loop_timer *timer;
    int count;
};

static void note(struct trace *trace, char c)
{
    if (trace->length < sizeof(trace->text) - 1)
        trace->text[trace->length++] = c;
}

static void note_a(void *context)
{
    note(context, 'a');
}

static void note_b_and_stop(void *context)
{
    struct trace *trace = context;
    note(trace, 'b');
    loop_stop(trace->loop);
}

static void test_timers_fire_in_order_of_time_and_not_early(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_new(NULL)};
    const struct clock *clock = loop_clock(trace.loop);
    int64_t start_us = clock->monotonic_us(clock);
    loop_timer_start(trace.loop, 30000, note_b_and_stop, &trace);
    loop_timer_start(trace.loop, 10000, note_a, &trace);
    struct loop_timer *cancelled = loop_timer_start(trace.loop, 20000, note_a, &trace);
    loop_timer_cancel(cancelled);
    loop_timer_cancel(NULL);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "ab");
    assert_true(clock->monotonic_us(clock) - start_us >= 30000);
    /* One that never fires is freed with the loop. */
    loop_timer_start(trace.loop, 1000000000, note_a, &trace);
    loop_free(trace.loop);
}

static void on_tick(void *context)
{
    struct trace *trace = context;
    if (++trace->count < 3)
        return;
    loop_timer_cancel(trace->timer); /* from its own callback */
    loop_timer_start(trace->loop, 20000, note_b_and_stop, trace);
}

static void test_repeat_until_cancelled(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_new(NULL)};
    trace.timer = loop_timer_repeat(trace.loop, 2000, on_tick, &trace);
    loop_run(trace.loop);
    assert_int_equal(trace.count, 3);
    loop_free(trace.loop);
}

static void defer_more(void *context)
{
    struct trace *trace = context;
    note(trace, 'd');
    loop_defer(trace->loop, note_a, trace);
}

static void on_turn(void *context)
{
    struct trace *trace = context;
    loop_defer(trace->loop, defer_more, trace);
    loop_defer(trace->loop, note_b_and_stop, trace);
    note(trace, 't');
}

static void test_deferred_run_after_the_turn_in_order(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_new(NULL)};
    loop_timer_start(trace.loop, 0, on_turn, &trace);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "tdba");
    loop_free(trace.loop);
}

static void defer_forever(void *context)
{
    struct trace *trace = context;
    trace->count++;
    if (trace->count < 1000000 && !trace->length)
        loop_defer(trace->loop, defer_forever, trace);
}

static void test_a_call_that_defers_itself_does_not_starve_timers(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_new(NULL)};
    loop_timer_start(trace.loop, 5000, note_b_and_stop, &trace);
    loop_defer(trace.loop, defer_forever, &trace);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "b");
    loop_free(trace.loop);
}

static void test_deferred_before_free_still_runs(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_new(NULL)};
    loop_defer(trace.loop, defer_more, &trace);
    loop_free(trace.loop);
    assert_string_equal(trace.text, "da");
}

static void test_signal(void **state)
{
    (void)state;
    struct trace trace = {.loop = loop_new(NULL)};
    assert_true(loop_on_signal(trace.loop, SIGUSR1, note_b_and_stop, &trace));
    kill(getpid(), SIGUSR1);
    loop_run(trace.loop);
    assert_string_equal(trace.text, "b");
    loop_free(trace.loop);
}

/* Four posters, 25,000 letters each, counted and checked for order on the loop's thread. */
#define POSTERS 4
#define LETTERS 25000

struct mail {
    struct loop *loop;
    int next[POSTERS];
    int delivered;
    bool out_of_order;
};

struct numbered {
    struct loop_letter letter;
    struct mail *mail;
    int poster, number;
};

static void on_letter(struct loop_letter *letter)
{
    struct numbered *numbered = (struct numbered *)letter;
    struct mail *mail = numbered->mail;
    if (mail->next[numbered->poster]++ != numbered->number)
        mail->out_of_order = true;
    free(numbered);
    if (++mail->delivered == POSTERS * LETTERS)
        loop_stop(mail->loop);
}

struct poster {
    pthread_t thread;
    struct mail *mail;
    int index;
};

/* Now alone, now in a chain of five. */
static void *post_letters(void *context)
{
    struct poster *poster = context;
    struct loop_letter *newest = NULL, *oldest = NULL;
    for (int i = 0; i < LETTERS; i++) {
        struct numbered *numbered = malloc(sizeof(*numbered));
        *numbered = (struct numbered){{newest, on_letter}, poster->mail, poster->index, i};
        newest = &numbered->letter;
        if (!oldest)
            oldest = newest;
        if (i % 6 < 4 && i + 1 < LETTERS)
            continue;
        if (newest == oldest)
            loop_post(poster->mail->loop, newest);
        else
            loop_post_all(poster->mail->loop, newest, oldest);
        newest = oldest = NULL;
    }
    return NULL;
}

static void test_mailbox_from_four_threads(void **state)
{
    (void)state;
    struct mail mail = {.loop = loop_new(NULL)};
    struct poster posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i].mail = &mail;
        posters[i].index = i;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_letters, &posters[i]), 0);
    }
    loop_run(mail.loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    assert_int_equal(mail.delivered, POSTERS * LETTERS);
    assert_false(mail.out_of_order);
    loop_free(mail.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_fire_in_order_of_time_and_not_early),
        cmocka_unit_test(test_repeat_until_cancelled),
        cmocka_unit_test(test_deferred_run_after_the_turn_in_order),
        cmocka_unit_test(test_a_call_that_defers_itself_does_not_starve_timers),
        cmocka_unit_test(test_deferred_before_free_still_runs),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_mailbox_from_four_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
