/* conversation: what happens in one simulated call, planned ahead from a seed. Pure: the same seed
 * gives the same call. */
#ifndef AGENT_CONVERSATION_H
#define AGENT_CONVERSATION_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONVERSATION_TURN_LIMIT 40

/* Numbers as in dialplane.v1.Disposition. */
enum plan_disposition {
    PLAN_ANSWERED = 1,
    PLAN_NO_ANSWER,
    PLAN_BUSY,
    PLAN_VOICEMAIL,
    PLAN_DECLINED,
    PLAN_INVALID_NUMBER,
    PLAN_OPT_OUT,
    PLAN_CARRIER_ERROR,
};

struct plan_turn {
    int64_t wait_ms; /* from the end of the turn before to the end of this one */
    bool by_agent;
    const char *content;
    size_t state_index; /* of the flow; counts on past its end are for the caller to fold */
    /* Milliseconds; only turns of the agent have the latencies of the pipeline. */
    double ttfb_stt, latency_llm, ttfb_tts, eou_latency;
    int64_t stt_ms;
    int64_t llm_input_tokens, llm_output_tokens, tts_characters;
    bool interrupted;
};

struct call_plan {
    enum plan_disposition disposition;
    int64_t ring_ms;     /* until the line is answered or the attempt has failed */
    bool transferred;    /* ends by handing over to a person */
    const char *outcome; /* for reports: "success", "no_answer", … */
    const char *reason;  /* for people */
    double confidence;   /* 0..1 */
    double sentiment;    /* -1..1 */
    size_t turn_count;   /* 0 unless answered */
    struct plan_turn turns[CONVERSATION_TURN_LIMIT];
};

/* Plans a call. russian: the language of what is said. Of 100 calls about 58 are answered, 16 not,
 * 8 busy, 10 reach a machine; 7 % of the turns are interrupted; latencies are log-normal around
 * what such pipelines take (STT 120 ms, LLM 350 ms, TTS 140 ms). */
void conversation_plan(struct entropy *entropy, bool russian, struct call_plan *ret_plan);

#endif
