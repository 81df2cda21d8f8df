#include "live/watched.h"

#include "base/time.h"

#include <stdlib.h>
#include <string.h>

static int64_t to_us(const Google__Protobuf__Timestamp *timestamp)
{
    return timestamp->seconds * TIME_US_PER_SECOND + timestamp->nanos / 1000;
}

static struct watched_event *ring_at(struct watched *watched, size_t index)
{
    return &watched->ring[(watched->ring_first + index) % WATCHED_RING_EVENTS];
}

static void ring_drop_first(struct watched *watched)
{
    struct watched_event *first = ring_at(watched, 0);
    watched->ring_bytes -= first->length;
    free(first->data);
    watched->ring_first = (watched->ring_first + 1) % WATCHED_RING_EVENTS;
    watched->ring_count--;
}

static bool ring_add(struct watched *watched, uint64_t seq, struct str bytes)
{
    char *data = malloc(bytes.length ? bytes.length : 1);
    if (!data)
        return false;
    memcpy(data, bytes.data, bytes.length);
    while (watched->ring_count == WATCHED_RING_EVENTS ||
           (watched->ring_count > 0 && watched->ring_bytes + bytes.length > WATCHED_RING_BYTES))
        ring_drop_first(watched);
    *ring_at(watched, watched->ring_count) =
        (struct watched_event){.seq = seq, .data = data, .length = bytes.length};
    watched->ring_count++;
    watched->ring_bytes += bytes.length;
    return true;
}

void watched_done(struct watched *watched)
{
    while (watched->ring_count > 0)
        ring_drop_first(watched);
    figures_done(&watched->figures);
    free(watched->call_id);
    free(watched->company_id);
    free(watched->skillbase_id);
    free(watched->campaign_id);
    free(watched->phone_number);
    free(watched->outcome);
    free(watched->outcome_reason);
    memset(watched, 0, sizeof(*watched));
}

static bool set_text(char **text, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return false;
    free(*text);
    *text = copy;
    return true;
}

static bool apply_finished(struct watched *watched, const Dialplane__V1__CallFinished *finished,
                           int64_t at_us)
{
    watched->status = finished->status;
    watched->ended_us = at_us > watched->started_us ? at_us : watched->started_us;
    watched->livekit_ms =
        finished->_livekit_duration_sec_case ? finished->livekit_duration_sec : -1;
    watched->has_sentiment = finished->_sentiment_score_case != 0;
    watched->sentiment = finished->sentiment_score;
    watched->has_confidence = finished->_outcome_confidence_case != 0;
    watched->confidence = finished->outcome_confidence;
    if (finished->_outcome_case && !set_text(&watched->outcome, finished->outcome))
        return false;
    return !finished->_outcome_reason_case ||
           set_text(&watched->outcome_reason, finished->outcome_reason);
}

bool watched_apply(struct watched *watched, const Dialplane__V1__CallEvent *event, struct str bytes)
{
    int64_t at_us = to_us(event->occurred_at);
    if (at_us > watched->last_event_us)
        watched->last_event_us = at_us;
    bool ok = true;
    switch (event->event_case) {
    case DIALPLANE__V1__CALL_EVENT__EVENT_TURN:
        ok = figures_add_turn(&watched->figures, event->turn);
        break;
    case DIALPLANE__V1__CALL_EVENT__EVENT_STATUS:
        watched->status = event->status->status;
        if (event->status->_outcome_case)
            ok = set_text(&watched->outcome, event->status->outcome);
        break;
    case DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED:
        ok = apply_finished(watched, event->finished, at_us);
        break;
    default:
        break;
    }
    if (!ok || !ring_add(watched, event->seq, bytes))
        return false;
    watched->last_seq = event->seq;
    return true;
}

struct str watched_event(const struct watched *watched, uint64_t seq)
{
    if (watched->ring_count == 0)
        return (struct str){NULL, 0};
    uint64_t first = watched->ring[watched->ring_first].seq;
    if (seq < first || seq >= first + watched->ring_count)
        return (struct str){NULL, 0};
    const struct watched_event *event =
        &watched->ring[(watched->ring_first + (size_t)(seq - first)) % WATCHED_RING_EVENTS];
    return (struct str){event->data, event->length};
}

bool watched_metrics(const struct watched *watched, const struct prices *prices,
                     Google__Protobuf__Timestamp *at, Dialplane__V1__CallMetrics *ret_metrics)
{
    *ret_metrics = (Dialplane__V1__CallMetrics)DIALPLANE__V1__CALL_METRICS__INIT;
    struct usage usage = watched->figures.usage;
    int64_t until_us = watched_has_ended(watched) ? watched->ended_us : watched->last_event_us;
    usage.livekit_ms = watched_has_ended(watched) && watched->livekit_ms >= 0 ? watched->livekit_ms
                       : until_us > watched->started_us ? (until_us - watched->started_us) / 1000
                                                        : 0;
    struct costs costs;
    if (!costs_compute(watched->has_prices ? &watched->prices : prices, &usage, &costs, NULL) ||
        !figures_fill(&watched->figures, ret_metrics))
        return false;
    ret_metrics->call_id = watched->call_id;
    ret_metrics->livekit_duration_sec = usage.livekit_ms;
    ret_metrics->cost_stt = costs.stt;
    ret_metrics->cost_llm = costs.llm;
    ret_metrics->cost_tts = costs.tts;
    ret_metrics->cost_livekit = costs.livekit;
    ret_metrics->cost_total = costs.total;
    if (watched->outcome) {
        ret_metrics->_outcome_case = DIALPLANE__V1__CALL_METRICS___OUTCOME_OUTCOME;
        ret_metrics->outcome = watched->outcome;
    }
    if (watched->has_sentiment) {
        ret_metrics->_sentiment_score_case =
            DIALPLANE__V1__CALL_METRICS___SENTIMENT_SCORE_SENTIMENT_SCORE;
        ret_metrics->sentiment_score = watched->sentiment;
    }
    if (watched->has_confidence) {
        ret_metrics->_outcome_confidence_case =
            DIALPLANE__V1__CALL_METRICS___OUTCOME_CONFIDENCE_OUTCOME_CONFIDENCE;
        ret_metrics->outcome_confidence = watched->confidence;
    }
    if (watched->outcome_reason) {
        ret_metrics->_outcome_reason_case =
            DIALPLANE__V1__CALL_METRICS___OUTCOME_REASON_OUTCOME_REASON;
        ret_metrics->outcome_reason = watched->outcome_reason;
    }
    if (watched_has_ended(watched)) {
        *at = (Google__Protobuf__Timestamp)GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        at->seconds = watched->ended_us / TIME_US_PER_SECOND;
        at->nanos = (int32_t)(watched->ended_us % TIME_US_PER_SECOND) * 1000;
        ret_metrics->created_at = at;
    }
    return true;
}
