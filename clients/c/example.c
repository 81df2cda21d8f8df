/* The C client in one program: a company, a skillbase, a campaign, its contacts, one call from the
 * claim to the figures, watched live. Ends with 0 when all of it went well, and removes what it
 * made.
 *     dialplane-example SKILLBASE-ADDRESS CAMPAIGN-ADDRESS ANALYTICS-ADDRESS */
#include "dialplane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 20000

struct example {
    struct dialplane_client *skillbase, *campaign, *analytics;
    char company_id[37], skillbase_id[37], campaign_id[37];
};

/* What went wrong, with every field that is: all of it comes at once. */
static bool failed(const char *what, const struct dialplane_error *error)
{
    size_t position = 0;
    const char *field, *message;
    fprintf(stderr, "%s: %s: %s\n", what, dialplane_code_name(error->code), error->message);
    while (dialplane_error_next_field(error, &position, &field, &message))
        fprintf(stderr, "  %s: %s\n", field, message);
    return false;
}

static bool create_company(struct example *example)
{
    char slug[40];
    snprintf(slug, sizeof(slug), "c-example-%lld-%ld", (long long)time(NULL), (long)getpid());
    Dialplane__V1__Company company = DIALPLANE__V1__COMPANY__INIT;
    company.name = company.slug = slug;
    Dialplane__V1__CreateCompanyRequest request = DIALPLANE__V1__CREATE_COMPANY_REQUEST__INIT;
    request.company = &company;
    Dialplane__V1__Company *created;
    struct dialplane_error error;
    if (!dialplane_create_company(example->skillbase, &request, DEADLINE_MS, &created, &error))
        return failed("create company", &error);
    snprintf(example->company_id, sizeof(example->company_id), "%s", created->id);
    printf("company %s\n", created->slug);
    dialplane_free(created);
    return true;
}

/* temperature is wrong the first time, to show how an error comes. */
static bool create_skillbase(struct example *example, double temperature,
                             struct dialplane_error *error)
{
    Dialplane__V1__AgentContext context = DIALPLANE__V1__AGENT_CONTEXT__INIT;
    context.role = "a friendly receptionist";
    context.style = "short and clear";
    Dialplane__V1__FlowState greeting = DIALPLANE__V1__FLOW_STATE__INIT;
    greeting.id = "greeting";
    Dialplane__V1__FlowState *states[] = {&greeting};
    Dialplane__V1__Flow flow = DIALPLANE__V1__FLOW__INIT;
    flow.type = DIALPLANE__V1__FLOW_TYPE__FLOW_TYPE_LINEAR;
    flow.states = states;
    flow.n_states = 1;
    Dialplane__V1__Voice voice = DIALPLANE__V1__VOICE__INIT;
    voice.tts_provider = DIALPLANE__V1__TTS_PROVIDER__TTS_PROVIDER_CARTESIA;
    voice.tts_voice_id = "voice-1";
    voice.stt_provider = DIALPLANE__V1__STT_PROVIDER__STT_PROVIDER_DEEPGRAM;
    Dialplane__V1__Llm llm = DIALPLANE__V1__LLM__INIT;
    llm.provider = DIALPLANE__V1__LLM_PROVIDER__LLM_PROVIDER_OPENAI;
    llm.model = "model-1";
    llm._temperature_case = DIALPLANE__V1__LLM___TEMPERATURE_TEMPERATURE; /* it has a value */
    llm.temperature = temperature;
    Dialplane__V1__SkillbaseConfig config = DIALPLANE__V1__SKILLBASE_CONFIG__INIT;
    config.context = &context;
    config.flow = &flow;
    config.voice = &voice;
    config.llm = &llm;
    Dialplane__V1__Skillbase skillbase = DIALPLANE__V1__SKILLBASE__INIT;
    skillbase.company_id = example->company_id;
    skillbase.name = "Example";
    skillbase.slug = "example";
    skillbase.config = &config;
    skillbase._is_published_case = DIALPLANE__V1__SKILLBASE___IS_PUBLISHED_IS_PUBLISHED;
    skillbase.is_published = true;
    Dialplane__V1__CreateSkillbaseRequest request = DIALPLANE__V1__CREATE_SKILLBASE_REQUEST__INIT;
    request.skillbase = &skillbase;
    Dialplane__V1__Skillbase *created;
    if (!dialplane_create_skillbase(example->skillbase, &request, DEADLINE_MS, &created, error))
        return false;
    snprintf(example->skillbase_id, sizeof(example->skillbase_id), "%s", created->id);
    printf("skillbase %s, version %d\n", created->slug, created->version);
    dialplane_free(created);
    return true;
}

static bool show_how_errors_come(struct example *example)
{
    struct dialplane_error error;
    size_t position = 0;
    const char *field, *message;
    if (create_skillbase(example, 3.5, &error) || error.code != 3 ||
        !dialplane_error_next_field(&error, &position, &field, &message))
        return failed("the wrong skillbase", &error);
    printf("refused, as it should be: %s %s\n", field, message);
    return true;
}

static bool create_campaign(struct example *example)
{
    Dialplane__V1__Campaign campaign = DIALPLANE__V1__CAMPAIGN__INIT;
    campaign.company_id = example->company_id;
    campaign.skillbase_id = example->skillbase_id;
    campaign.name = "Example";
    campaign._daily_start_time_case = DIALPLANE__V1__CAMPAIGN___DAILY_START_TIME_DAILY_START_TIME;
    campaign.daily_start_time = "00:00"; /* equal ends: around the clock */
    campaign._daily_end_time_case = DIALPLANE__V1__CAMPAIGN___DAILY_END_TIME_DAILY_END_TIME;
    campaign.daily_end_time = "00:00";
    Dialplane__V1__CreateCampaignRequest request = DIALPLANE__V1__CREATE_CAMPAIGN_REQUEST__INIT;
    request.campaign = &campaign;
    Dialplane__V1__Campaign *created;
    struct dialplane_error error;
    if (!dialplane_create_campaign(example->campaign, &request, DEADLINE_MS, &created, &error))
        return failed("create campaign", &error);
    snprintf(example->campaign_id, sizeof(example->campaign_id), "%s", created->id);
    dialplane_free(created);
    return true;
}

/* Client streaming: the campaign in the first message, then the file, piece by piece. */
static bool upload_contacts(struct example *example)
{
    static const char *const pieces[] = {"phone_number,name\n+12015550",
                                         "101,Ann\n+12015550102,Bob\nno number,Eve\n"};
    struct dialplane_stream *stream =
        dialplane_upload_call_list_open(example->campaign, DEADLINE_MS);
    if (!stream)
        return false;
    for (size_t i = 0; i < 2; i++) {
        Dialplane__V1__UploadCallListRequest message =
            DIALPLANE__V1__UPLOAD_CALL_LIST_REQUEST__INIT;
        if (i == 0)
            message.campaign_id = example->campaign_id;
        message.chunk = (ProtobufCBinaryData){strlen(pieces[i]), (uint8_t *)pieces[i]};
        if (!dialplane_upload_call_list_send(stream, &message))
            break; /* the call has ended: finish says why */
    }
    Dialplane__V1__UploadCallListResponse *response;
    struct dialplane_error error;
    bool ok = dialplane_upload_call_list_finish(stream, &response, &error);
    dialplane_stream_close(stream);
    if (!ok)
        return failed("upload", &error);
    printf("%lld rows, %lld contacts\n", (long long)response->total, (long long)response->created);
    for (size_t i = 0; i < response->n_errors; i++)
        printf("  %s\n", response->errors[i]);
    dialplane_free(response);
    return true;
}

static bool start_campaign(struct example *example)
{
    Dialplane__V1__StartCampaignRequest request = DIALPLANE__V1__START_CAMPAIGN_REQUEST__INIT;
    request.id = example->campaign_id;
    Dialplane__V1__Campaign *started;
    struct dialplane_error error;
    if (!dialplane_start_campaign(example->campaign, &request, DEADLINE_MS, &started, &error))
        return failed("start", &error);
    dialplane_free(started);
    return true;
}

/* Asynchronous: the claim waits in the service while this program counts companies. */
static void on_claimed(void *context, Dialplane__V1__ClaimTasksResponse *response,
                       const struct dialplane_error *error)
{
    if (!response)
        failed("claim", error);
    *(Dialplane__V1__ClaimTasksResponse **)context = response;
}

static void on_companies(void *context, Dialplane__V1__ListCompaniesResponse *response,
                         const struct dialplane_error *error)
{
    if (!response)
        failed("list companies", error);
    *(bool *)context = response != NULL;
    dialplane_free(response);
}

static Dialplane__V1__ClaimTasksResponse *claim(struct example *example)
{
    struct dialplane_queue *queue = dialplane_queue_open();
    if (!queue)
        return NULL;
    Dialplane__V1__ClaimTasksRequest claim = DIALPLANE__V1__CLAIM_TASKS_REQUEST__INIT;
    claim.worker_id = "c-example";
    claim.wait_ms = 10000;
    claim._campaign_id_case = DIALPLANE__V1__CLAIM_TASKS_REQUEST___CAMPAIGN_ID_CAMPAIGN_ID;
    claim.campaign_id = example->campaign_id;
    Dialplane__V1__ListCompaniesRequest list = DIALPLANE__V1__LIST_COMPANIES_REQUEST__INIT;
    Dialplane__V1__ClaimTasksResponse *claimed = NULL;
    bool listed = false;
    dialplane_claim_tasks_start(queue, example->campaign, &claim, DEADLINE_MS, on_claimed,
                                &claimed);
    dialplane_list_companies_start(queue, example->skillbase, &list, DEADLINE_MS, on_companies,
                                   &listed);
    while (dialplane_queue_pending_count(queue) > 0)
        dialplane_queue_wait(queue, 1000);
    dialplane_queue_close(queue);
    if (claimed && (!listed || claimed->n_tasks == 0)) {
        dialplane_free(claimed);
        return NULL;
    }
    return claimed;
}

static bool report(struct example *example, const char *call_id,
                   Dialplane__V1__CallEvent *const *events, size_t count)
{
    Dialplane__V1__ReportCallEventsRequest request =
        DIALPLANE__V1__REPORT_CALL_EVENTS_REQUEST__INIT;
    request.call_id = (char *)call_id;
    request.events = (Dialplane__V1__CallEvent **)events;
    request.n_events = count;
    Dialplane__V1__ReportCallEventsResponse *response;
    struct dialplane_error error;
    if (!dialplane_report_call_event_batch(example->analytics, &request, DEADLINE_MS, &response,
                                           &error))
        return failed("report", &error);
    dialplane_free(response);
    return true;
}

/* The agent alone numbers its call's events: 1 it begins, 2 somebody speaks, 3 it has ended. */
static bool talk(struct example *example, const char *call_id)
{
    Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    now.seconds = time(NULL);
    Dialplane__V1__CallStarted started = DIALPLANE__V1__CALL_STARTED__INIT;
    started.company_id = example->company_id;
    started._campaign_id_case = DIALPLANE__V1__CALL_STARTED___CAMPAIGN_ID_CAMPAIGN_ID;
    started.campaign_id = example->campaign_id;
    Dialplane__V1__Turn turn = DIALPLANE__V1__TURN__INIT;
    turn.role = DIALPLANE__V1__TURN_ROLE__TURN_ROLE_ASSISTANT;
    turn.content = "Hello!";
    Dialplane__V1__CallFinished finished = DIALPLANE__V1__CALL_FINISHED__INIT;
    finished.status = DIALPLANE__V1__CALL_STATUS__CALL_STATUS_COMPLETED;
    Dialplane__V1__CallEvent events[3];
    Dialplane__V1__CallEvent *const all[] = {&events[0], &events[1], &events[2]};
    for (size_t i = 0; i < 3; i++) {
        dialplane__v1__call_event__init(&events[i]);
        events[i].seq = i + 1;
        events[i].occurred_at = &now;
    }
    events[0].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_STARTED;
    events[0].started = &started;
    events[1].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_TURN;
    events[1].turn = &turn;
    events[2].event_case = DIALPLANE__V1__CALL_EVENT__EVENT_FINISHED;
    events[2].finished = &finished;
    return report(example, call_id, all, 3);
}

/* Server streaming: ends by itself after the call's last event. A reconnect would name the last
 * seq it saw as after_seq. */
static bool watch(struct example *example, const char *call_id)
{
    Dialplane__V1__WatchCallRequest request = DIALPLANE__V1__WATCH_CALL_REQUEST__INIT;
    request.call_id = (char *)call_id;
    struct dialplane_stream *stream =
        dialplane_watch_call_open(example->analytics, &request, DEADLINE_MS);
    Dialplane__V1__WatchCallResponse *message;
    struct dialplane_error error = {0};
    while (stream && (message = dialplane_watch_call_next(stream, &error))) {
        if (message->event_case == DIALPLANE__V1__WATCH_CALL_RESPONSE__EVENT_TURN)
            printf("%llu: %s\n", (unsigned long long)message->seq, message->turn->content);
        dialplane_free(message);
    }
    dialplane_stream_close(stream);
    return error.code == 0 || failed("watch", &error);
}

static bool make_call(struct example *example)
{
    Dialplane__V1__ClaimTasksResponse *claimed = claim(example);
    if (!claimed)
        return false;
    const Dialplane__V1__ClaimedTask *task = claimed->tasks[0];
    struct dialplane_error error;
    Dialplane__V1__BeginDialRequest begin = DIALPLANE__V1__BEGIN_DIAL_REQUEST__INIT;
    begin.call_id = task->call_id;
    begin.fence = task->fence;
    Dialplane__V1__BeginDialResponse *begun;
    bool ok = dialplane_begin_dial(example->campaign, &begin, DEADLINE_MS, &begun, &error) ||
              failed("begin", &error);
    if (ok)
        dialplane_free(begun);
    ok = ok && talk(example, task->call_id) && watch(example, task->call_id);

    Dialplane__V1__FinishTaskRequest finish = DIALPLANE__V1__FINISH_TASK_REQUEST__INIT;
    finish.call_id = task->call_id;
    finish.fence = task->fence;
    finish.disposition = DIALPLANE__V1__DISPOSITION__DISPOSITION_ANSWERED;
    Dialplane__V1__FinishTaskResponse *finished;
    if (ok &&
        (ok = dialplane_finish_task(example->campaign, &finish, DEADLINE_MS, &finished, &error) ||
              failed("finish", &error)))
        dialplane_free(finished);
    Dialplane__V1__GetCallMetricsRequest figures = DIALPLANE__V1__GET_CALL_METRICS_REQUEST__INIT;
    figures.id = task->call_id;
    Dialplane__V1__CallMetrics *metrics;
    if (ok && (ok = dialplane_get_call_metrics(example->analytics, &figures, DEADLINE_MS, &metrics,
                                               &error) ||
                    failed("metrics", &error))) {
        printf("%d turn, %.6f USD\n", metrics->turn_count, (double)metrics->cost_total / 1e6);
        dialplane_free(metrics);
    }
    dialplane_free(claimed);
    return ok;
}

/* The company owns everything else. */
static bool delete_company(struct example *example)
{
    Dialplane__V1__DeleteCompanyRequest request = DIALPLANE__V1__DELETE_COMPANY_REQUEST__INIT;
    request.id = example->company_id;
    Google__Protobuf__Empty *empty;
    struct dialplane_error error;
    if (!dialplane_delete_company(example->skillbase, &request, DEADLINE_MS, &empty, &error))
        return failed("delete company", &error);
    dialplane_free(empty);
    return true;
}

static bool run(struct example *example)
{
    struct dialplane_error error;
    if (!create_company(example))
        return false;
    bool ok = show_how_errors_come(example) &&
              (create_skillbase(example, 0.7, &error) || failed("create skillbase", &error)) &&
              create_campaign(example) && upload_contacts(example) && start_campaign(example) &&
              make_call(example);
    return delete_company(example) && ok;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s SKILLBASE-ADDRESS CAMPAIGN-ADDRESS ANALYTICS-ADDRESS\n",
                argv[0]);
        return 2;
    }
    dialplane_init();
    const struct dialplane_client_options options = {.token = getenv("DIALPLANE_TOKEN")};
    struct example example = {.skillbase = dialplane_client_open_with(argv[1], &options),
                              .campaign = dialplane_client_open_with(argv[2], &options),
                              .analytics = dialplane_client_open_with(argv[3], &options)};
    bool ok = example.skillbase && example.campaign && example.analytics && run(&example);
    dialplane_client_close(example.skillbase);
    dialplane_client_close(example.campaign);
    dialplane_client_close(example.analytics);
    dialplane_exit();
    if (ok)
        printf("done\n");
    return ok ? 0 : 1;
}
