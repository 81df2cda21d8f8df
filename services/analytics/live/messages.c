#include "live/messages.h"

#include "base/time.h"
#include "base/wire.h"

#include <protobuf-c/protobuf-c.h>

/* Fields of WatchCallResponse. */
enum { RESPONSE_SEQ = 1, RESPONSE_TURN = 3, RESPONSE_STATUS = 5 };
/* Fields of CallEvent. */
enum { EVENT_SEQ = 1, EVENT_TURN = 4, EVENT_STATUS = 5, EVENT_FINISHED = 6 };
/* Fields of CallFinished and of CallStatusChange. */
enum { FINISHED_STATUS = 1, FINISHED_OUTCOME = 2, FINISHED_REASON = 4 };
enum { CHANGE_STATUS = 1, CHANGE_OUTCOME = 2, CHANGE_REASON = 3 };

static bool pack(const ProtobufCMessage *message, struct buf *out)
{
    buf_reset(out);
    size_t size = protobuf_c_message_get_packed_size(message);
    char *data = buf_reserve(out, size);
    if (!data)
        return false;
    out->length += protobuf_c_message_pack(message, (uint8_t *)data);
    return true;
}

static Google__Protobuf__Timestamp timestamp(int64_t us)
{
    Google__Protobuf__Timestamp timestamp = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    timestamp.seconds = us / TIME_US_PER_SECOND;
    timestamp.nanos = (int32_t)(us % TIME_US_PER_SECOND) * 1000;
    return timestamp;
}

bool message_init(const struct watched *watched, const struct prices *prices, uint64_t after_seq,
                  struct buf *out)
{
    Google__Protobuf__Timestamp started_at = timestamp(watched->started_us), ended_at, computed_at;
    Dialplane__V1__CallMetrics metrics;
    Dialplane__V1__CallSnapshot snapshot = DIALPLANE__V1__CALL_SNAPSHOT__INIT;
    if (!watched_metrics(watched, prices, &computed_at, &metrics))
        return false;
    snapshot.call_id = watched->call_id;
    snapshot.status = watched->status;
    snapshot.started_at = &started_at;
    if (watched_has_ended(watched)) {
        ended_at = timestamp(watched->ended_us);
        snapshot.ended_at = &ended_at;
    }
    snapshot.company_id = watched->company_id;
    if (watched->skillbase_id) {
        snapshot._skillbase_id_case = DIALPLANE__V1__CALL_SNAPSHOT___SKILLBASE_ID_SKILLBASE_ID;
        snapshot.skillbase_id = watched->skillbase_id;
    }
    if (watched->skillbase_version) {
        snapshot._skillbase_version_case =
            DIALPLANE__V1__CALL_SNAPSHOT___SKILLBASE_VERSION_SKILLBASE_VERSION;
        snapshot.skillbase_version = watched->skillbase_version;
    }
    if (watched->campaign_id) {
        snapshot._campaign_id_case = DIALPLANE__V1__CALL_SNAPSHOT___CAMPAIGN_ID_CAMPAIGN_ID;
        snapshot.campaign_id = watched->campaign_id;
    }
    if (watched->phone_number) {
        snapshot._phone_number_case = DIALPLANE__V1__CALL_SNAPSHOT___PHONE_NUMBER_PHONE_NUMBER;
        snapshot.phone_number = watched->phone_number;
    }
    if (watched->outcome) {
        snapshot._outcome_case = DIALPLANE__V1__CALL_SNAPSHOT___OUTCOME_OUTCOME;
        snapshot.outcome = watched->outcome;
    }
    snapshot.turn_count = watched->figures.turn_count;
    snapshot.last_seq = watched->last_seq;
    snapshot.metrics = &metrics;
    Dialplane__V1__WatchCallResponse response = DIALPLANE__V1__WATCH_CALL_RESPONSE__INIT;
    response.seq = after_seq;
    response.event_case = DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_INIT;
    response.init = &snapshot;
    return pack(&response.base, out);
}

bool message_metrics(const struct watched *watched, const struct prices *prices, uint64_t seq,
                     struct buf *out)
{
    Google__Protobuf__Timestamp computed_at;
    Dialplane__V1__CallMetrics metrics;
    if (!watched_metrics(watched, prices, &computed_at, &metrics))
        return false;
    Dialplane__V1__WatchCallResponse response = DIALPLANE__V1__WATCH_CALL_RESPONSE__INIT;
    response.seq = seq;
    response.event_case = DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_METRICS;
    response.metrics = &metrics;
    return pack(&response.base, out);
}

/* The end of a call as the last change of status. */
static bool put_finished(struct str finished, struct buf *out)
{
    struct buf change;
    buf_init(&change, 0);
    struct wire_reader reader;
    wire_reader_init(&reader, finished);
    while (wire_reader_next(&reader)) {
        if (reader.number == FINISHED_STATUS) {
            wire_put_tag(&change, CHANGE_STATUS, 0);
            wire_put_varint(&change, reader.integer);
        } else if (reader.number == FINISHED_OUTCOME) {
            wire_put_bytes(&change, CHANGE_OUTCOME, reader.bytes);
        } else if (reader.number == FINISHED_REASON) {
            wire_put_bytes(&change, CHANGE_REASON, reader.bytes);
        }
    }
    wire_put_bytes(out, RESPONSE_STATUS, buf_str(&change));
    bool ok = !change.failed && !reader.malformed;
    buf_done(&change);
    return ok;
}

bool message_event(struct str event, struct buf *out)
{
    struct wire_reader reader;
    uint64_t seq = 0;
    struct str body = {NULL, 0};
    uint32_t kind = 0;
    wire_reader_init(&reader, event);
    while (wire_reader_next(&reader)) {
        if (reader.number == EVENT_SEQ) {
            seq = reader.integer;
        } else if (reader.number >= EVENT_TURN && reader.number <= EVENT_FINISHED) {
            kind = reader.number;
            body = reader.bytes;
        }
    }
    buf_reset(out);
    if (reader.malformed)
        return false;
    if (kind == 0)
        return true;
    wire_put_tag(out, RESPONSE_SEQ, 0);
    wire_put_varint(out, seq);
    if (kind == EVENT_TURN)
        wire_put_bytes(out, RESPONSE_TURN, body);
    else if (kind == EVENT_STATUS)
        wire_put_bytes(out, RESPONSE_STATUS, body);
    else if (!put_finished(body, out))
        return false;
    return !out->failed;
}
