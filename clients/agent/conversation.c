#include "agent/conversation.h"

#include <math.h>
#include <string.h>

struct line {
    const char *russian, *english;
};

static const struct line agent_lines[] = {
    {"Здравствуйте! Это администратор салона. Вам удобно говорить?",
     "Hello! This is the salon's assistant. Is this a good time?"},
    {"Мы хотели бы напомнить о записи. Какая услуга вас интересует?",
     "I am calling about your booking. Which service would you like?"},
    {"Поняла. На какой день вас записать?", "I see. Which day would suit you?"},
    {"Есть свободное время в четверг в 15:00 и в пятницу в 11:30.",
     "There is a free slot on Thursday at 15:00 and on Friday at 11:30."},
    {"Хорошо, записала вас. Прийти лучше за десять минут.",
     "Done, I have put you down. Please come ten minutes early."},
    {"Могу ли я ещё чем-нибудь помочь?", "Is there anything else I can do for you?"},
    {"Спасибо за разговор, хорошего дня!", "Thank you for your time. Have a good day!"},
};
static const struct line user_lines[] = {
    {"Да, слушаю вас.", "Yes, go ahead."},
    {"Стрижка и укладка, пожалуйста.", "A haircut and styling, please."},
    {"А сколько это стоит?", "And how much is it?"},
    {"Лучше в четверг после обеда.", "Thursday afternoon would be better."},
    {"Хорошо, подходит.", "All right, that works."},
    {"Нет, спасибо, это всё.", "No, thank you, that is all."},
    {"Подождите, я посмотрю в календаре.", "Hold on, let me look at my calendar."},
};

/* Box and Muller 1958: a normal deviate from two uniform ones. */
static double normal(struct entropy *entropy)
{
    double u = 1.0 - entropy_unit(entropy);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * entropy_unit(entropy));
}

static double log_normal_ms(struct entropy *entropy, double median_ms, double sigma)
{
    double value = median_ms * exp(sigma * normal(entropy));
    return round(fmin(value, 60000.0) * 10.0) / 10.0;
}

static int64_t between(struct entropy *entropy, int64_t low, int64_t high)
{
    return low + (int64_t)(entropy_unit(entropy) * (double)(high - low + 1));
}

static bool chance(struct entropy *entropy, double probability)
{
    return entropy_unit(entropy) < probability;
}

static size_t code_points(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* What an attempt may come to, with its share of 100 calls. */
static const struct {
    enum plan_disposition disposition;
    double share;
    const char *outcome, *reason;
} dispositions[] = {
    {PLAN_ANSWERED, 58, NULL, NULL},
    {PLAN_NO_ANSWER, 16, "no_answer", "nobody answered"},
    {PLAN_VOICEMAIL, 10, "voicemail", "an answering machine picked up"},
    {PLAN_BUSY, 8, "busy", "the line was busy"},
    {PLAN_DECLINED, 3, "fail", "the call was declined"},
    {PLAN_CARRIER_ERROR, 3, "fail", "the carrier reported an error"},
    {PLAN_OPT_OUT, 1, "fail", "the person does not want to be called"},
    {PLAN_INVALID_NUMBER, 1, "fail", "the number does not exist"},
};

static size_t draw_disposition(struct entropy *entropy)
{
    double at = entropy_unit(entropy) * 100.0;
    for (size_t i = 0; i < sizeof(dispositions) / sizeof(*dispositions); i++) {
        at -= dispositions[i].share;
        if (at < 0)
            return i;
    }
    return 0;
}

static void plan_agent_turn(struct entropy *entropy, struct plan_turn *turn, size_t history_tokens)
{
    size_t characters = code_points(turn->content);
    turn->by_agent = true;
    turn->ttfb_stt = log_normal_ms(entropy, 120, 0.25);
    turn->latency_llm = log_normal_ms(entropy, 350, 0.4);
    turn->ttfb_tts = log_normal_ms(entropy, 140, 0.3);
    turn->eou_latency = turn->ttfb_stt + turn->latency_llm + turn->ttfb_tts;
    turn->llm_input_tokens = (int64_t)history_tokens;
    turn->llm_output_tokens = (int64_t)(characters / 3 + 1);
    turn->tts_characters = (int64_t)characters;
    turn->interrupted = chance(entropy, 0.14); /* half of all turns: 7 % over the call */
    turn->wait_ms = (int64_t)turn->eou_latency + (int64_t)characters * 65;
    if (turn->interrupted)
        turn->wait_ms /= 2;
}

static void plan_user_turn(struct entropy *entropy, struct plan_turn *turn)
{
    int64_t spoken_ms = (int64_t)code_points(turn->content) * 70 + between(entropy, 200, 900);
    turn->stt_ms = spoken_ms;
    turn->wait_ms = between(entropy, 300, 1800) + spoken_ms;
}

static void plan_turns(struct entropy *entropy, bool russian, struct call_plan *plan)
{
    size_t exchanges = (size_t)between(entropy, 2, 9);
    size_t history_tokens = 420; /* the system prompt */
    for (size_t i = 0; i < exchanges; i++) {
        size_t last = sizeof(agent_lines) / sizeof(*agent_lines) - 1;
        const struct line *said = &agent_lines[i == exchanges - 1 ? last
                                               : i < last         ? i
                                                                  : (size_t)between(entropy, 1, 5)];
        struct plan_turn *turn = &plan->turns[plan->turn_count++];
        turn->content = russian ? said->russian : said->english;
        turn->state_index = i;
        plan_agent_turn(entropy, turn, history_tokens);
        history_tokens += (size_t)turn->llm_output_tokens;
        if (i == exchanges - 1)
            break; /* the agent has the last word */
        said = &user_lines[i < 6 ? i : (size_t)between(entropy, 0, 6)];
        turn = &plan->turns[plan->turn_count++];
        turn->content = russian ? said->russian : said->english;
        turn->state_index = i;
        plan_user_turn(entropy, turn);
        history_tokens += code_points(turn->content) / 3;
    }
}

void conversation_plan(struct entropy *entropy, bool russian, struct call_plan *ret_plan)
{
    memset(ret_plan, 0, sizeof(*ret_plan));
    size_t drawn = draw_disposition(entropy);
    ret_plan->disposition = dispositions[drawn].disposition;
    ret_plan->outcome = dispositions[drawn].outcome;
    ret_plan->reason = dispositions[drawn].reason;
    ret_plan->ring_ms = ret_plan->disposition == PLAN_NO_ANSWER  ? between(entropy, 20000, 30000)
                        : ret_plan->disposition == PLAN_ANSWERED ? between(entropy, 2000, 12000)
                                                                 : between(entropy, 800, 6000);
    ret_plan->confidence = round((0.7 + 0.3 * entropy_unit(entropy)) * 100) / 100;
    ret_plan->sentiment = round(fmax(-1, fmin(1, 0.25 + 0.4 * normal(entropy))) * 100) / 100;
    if (ret_plan->disposition != PLAN_ANSWERED)
        return;
    plan_turns(entropy, russian, ret_plan);
    ret_plan->transferred = chance(entropy, 0.06);
    bool success = !ret_plan->transferred && chance(entropy, 0.62);
    ret_plan->outcome = success ? "success" : "fail";
    ret_plan->reason = ret_plan->transferred ? "asked for a person"
                       : success             ? "an appointment was made"
                                             : "no appointment was made";
}
