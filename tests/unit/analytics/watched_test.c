/* A watched call without sockets: what events make of it, its ring, and the messages to watchers.
 */
#include "live/messages.h"
#include "live/watched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct prices prices = {.tts_thousand_characters = INT64_C(15000000000)};

static struct watched *new_watched(void)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    watched->ended_us = -1;
    watched->livekit_ms = -1;
    watched->status = DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE;
    watched->call_id = strdup("018d3c5a-0000-7000-8000-000000000000");
    watched->company_id = strdup("018d3c5a-0000-7000-8000-000000000001");
    return watched;
}

static void free_watched(struct watched *watched)
{
    watched_done(watched);
    free(watched);
}

/* Applies an event and keeps its bytes when asked to. */
static void apply(struct watched *watched, Dialplane__V1__CallEvent *event, int64_t seconds,
                  struct buf *bytes)
{
    Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    struct buf own;
    buf_init(&own, 0);
    if (!bytes)
        bytes = &own;
    buf_reset(bytes);
    at.seconds = seconds;
    event->occurred_at = &at;
    size_t size = dialplane__v1__call_event__get_packed_size(event);
    bytes->length += dialplane__v1__call_event__pack(event, (uint8_t *)buf_reserve(bytes, size));
    assert_true(watched_apply(watched, event, buf_str(bytes)));
    buf_done(&own);
}

static void apply_turn(struct watched *watched, uint64_t seq, size_t content_length)
{
    Dialplane__V1__CallEvent event = DIALPLANE__V1__CALL_EVENT__INIT;
    Dialplane__V1__Turn turn = DIALPLANE__V1__TURN__INIT;
    char *content = calloc(1, content_length + 1);
    memset(content, 'x', content_length);
    turn.content = content;
    turn.turn_index = (int32_t)seq - 2;
    turn.tts_characters = 100;
    event.seq = seq;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_TURN;
    event.turn = &turn;
    apply(watched, &event, (int64_t)seq, NULL);
    free(content);
}

static uint64_t seq_of(struct str bytes)
{
    Dialplane__V1__CallEvent *event =
        dialplane__v1__call_event__unpack(NULL, bytes.length, (const uint8_t *)bytes.data);
    uint64_t seq = event->seq;
    dialplane__v1__call_event__free_unpacked(event, NULL);
    return seq;
}

static void test_ring(void **state)
{
    (void)state;
    struct watched *watched = new_watched();
    assert_null(watched_event(watched, 1).data);
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        apply_turn(watched, seq, 10);
        assert_true(watched->last_seq == seq);
        uint64_t first = seq > WATCHED_RING_EVENTS ? seq - WATCHED_RING_EVENTS + 1 : 1;
        assert_true(seq_of(watched_event(watched, first)) == first);
        assert_true(seq_of(watched_event(watched, seq)) == seq);
        assert_null(watched_event(watched, first - 1).data);
        assert_null(watched_event(watched, seq + 1).data);
    }
    assert_int_equal(watched->figures.turn_count, 1000);
    free_watched(watched);
}

static void test_ring_is_bounded_in_bytes(void **state)
{
    (void)state;
    struct watched *watched = new_watched();
    for (uint64_t seq = 1; seq <= 40; seq++)
        apply_turn(watched, seq, 60000);
    assert_true(watched->ring_bytes <= WATCHED_RING_BYTES);
    assert_true(watched->ring_count >= 10 && watched->ring_count < 20);
    assert_true(seq_of(watched_event(watched, 40)) == 40);
    /* One event larger than all: it alone is kept. */
    apply_turn(watched, 41, WATCHED_RING_BYTES + 1000);
    assert_int_equal(watched->ring_count, 1);
    assert_true(seq_of(watched_event(watched, 41)) == 41);
    apply_turn(watched, 42, 1);
    assert_true(seq_of(watched_event(watched, 42)) == 42);
    free_watched(watched);
}

static Dialplane__V1__WatchCallResponse *unpack(const struct buf *message)
{
    Dialplane__V1__WatchCallResponse *response = dialplane__v1__watch_call_response__unpack(
        NULL, message->length, (const uint8_t *)message->data);
    assert_non_null(response);
    return response;
}

static void test_status_and_end(void **state)
{
    (void)state;
    struct watched *watched = new_watched();
    struct buf message, bytes;
    buf_init(&message, 0);
    buf_init(&bytes, 0);

    Dialplane__V1__CallEvent event = DIALPLANE__V1__CALL_EVENT__INIT;
    Dialplane__V1__CallStarted start = DIALPLANE__V1__CALL_STARTED__INIT;
    event.seq = 1;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STARTED;
    event.started = &start;
    apply(watched, &event, 0, &bytes);
    /* The start is what `init` says: nothing of its own is sent. */
    assert_true(message_event(buf_str(&bytes), &message));
    assert_int_equal(message.length, 0);

    Dialplane__V1__CallStatusChange change = DIALPLANE__V1__CALL_STATUS_CHANGE__INIT;
    change.status = DIALPLANE__V1__CALL_STATUS__CALL_STATUS_ACTIVE;
    change._outcome_case = DIALPLANE__V1__CALL_STATUS_CHANGE___OUTCOME_OUTCOME;
    change.outcome = (char *)"voicemail";
    event.seq = 2;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STATUS;
    event.status = &change;
    apply(watched, &event, 1, &bytes);
    assert_false(watched_has_ended(watched));
    assert_true(message_event(buf_str(&bytes), &message));
    Dialplane__V1__WatchCallResponse *response = unpack(&message);
    assert_true(response->seq == 2);
    assert_int_equal(response->event_case, DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_STATUS);
    assert_string_equal(response->status->outcome, "voicemail");
    dialplane__v1__watch_call_response__free_unpacked(response, NULL);

    apply_turn(watched, 3, 5);
    assert_true(message_metrics(watched, &prices, 3, &message));
    response = unpack(&message);
    assert_int_equal(response->metrics->turn_count, 1);
    assert_true(response->metrics->cost_tts == 1500 && response->metrics->cost_total == 1500);
    assert_true(response->metrics->livekit_duration_sec == 3000); /* until the newest event */
    assert_null(response->metrics->created_at);
    dialplane__v1__watch_call_response__free_unpacked(response, NULL);

    Dialplane__V1__CallFinished finish = DIALPLANE__V1__CALL_FINISHED__INIT;
    finish.status = DIALPLANE__V1__CALL_STATUS__CALL_STATUS_TRANSFERRED;
    finish._outcome_reason_case = DIALPLANE__V1__CALL_FINISHED___OUTCOME_REASON_OUTCOME_REASON;
    finish.outcome_reason = (char *)"to a person";
    event.seq = 4;
    event.event_case = DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
    event.finished = &finish;
    apply(watched, &event, 10, &bytes);
    assert_true(watched_has_ended(watched));
    assert_true(message_event(buf_str(&bytes), &message));
    response = unpack(&message);
    assert_true(response->seq == 4);
    assert_int_equal(response->status->status, DIALPLANE__V1__CALL_STATUS__CALL_STATUS_TRANSFERRED);
    assert_string_equal(response->status->reason, "to a person");
    dialplane__v1__watch_call_response__free_unpacked(response, NULL);

    assert_true(message_init(watched, &prices, 2, &message));
    response = unpack(&message);
    assert_true(response->seq == 2); /* what the watcher asked to be after */
    assert_true(response->init->last_seq == 4 && response->init->turn_count == 1);
    assert_true(response->init->ended_at->seconds == 10);
    /* An outcome that was said before the end stays when the end says none. */
    assert_string_equal(response->init->outcome, "voicemail");
    assert_string_equal(response->init->metrics->outcome, "voicemail");
    dialplane__v1__watch_call_response__free_unpacked(response, NULL);
    buf_done(&message);
    buf_done(&bytes);
    free_watched(watched);
}

static void test_bytes_that_are_no_event(void **state)
{
    (void)state;
    struct buf message;
    buf_init(&message, 0);
    assert_false(message_event((struct str){"\x22\xff", 2}, &message));
    buf_done(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_ring_is_bounded_in_bytes),
        cmocka_unit_test(test_status_and_end),
        cmocka_unit_test(test_bytes_that_are_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
