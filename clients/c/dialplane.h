/* dialplane: the platform's services from C: one function an RPC, with deadlines; connections are
 * made again by themselves.
 *
 * Thread-safe: any number of threads may share one client. Calls block their thread until the
 * answer, the deadline or dialplane_client_shutdown(). Before the first client: dialplane_init();
 * after the last: dialplane_exit().
 *
 *     struct dialplane_client *client = dialplane_client_open("127.0.0.1:8002");
 *     Dialplane__V1__ClaimTasksRequest request = DIALPLANE__V1__CLAIM_TASKS_REQUEST__INIT;
 *     request.worker_id = "agent-1";
 *     Dialplane__V1__ClaimTasksResponse *tasks;
 *     struct dialplane_error error;
 *     if (!dialplane_claim_tasks(client, &request, 30000, &tasks, &error))
 *         fprintf(stderr, "%s: %s\n", dialplane_code_name(error.code), error.message);
 *     else
 *         dialplane_free(tasks);
 */
#ifndef DIALPLANE_H
#define DIALPLANE_H

#include "dialplane/v1/analytics.pb-c.h"
#include "dialplane/v1/campaign.pb-c.h"
#include "dialplane/v1/company.pb-c.h"
#include "dialplane/v1/dispatch.pb-c.h"
#include "dialplane/v1/skillbase.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dialplane_client;
struct dialplane_stream;

/* What went wrong. code has gRPC's numbers: 3 INVALID_ARGUMENT, 5 NOT_FOUND, 9 FAILED_PRECONDITION,
 * 14 UNAVAILABLE … */
struct dialplane_error {
    int code;
    char reason[48];   /* the service's word for programs, such as "STALE_FENCE"; empty: none */
    char message[512]; /* one sentence for people */
    unsigned retry_after_ms; /* 0: not said */
};

/* "UNAVAILABLE" … */
const char *dialplane_code_name(int code);
/* True for failures that the same call may survive a moment later: UNAVAILABLE, RESOURCE_EXHAUSTED,
 * ABORTED. */
bool dialplane_is_transient(const struct dialplane_error *error);

void dialplane_init(void);
void dialplane_exit(void);

/* target: "127.0.0.1:8002", "unix:/path" or any gRPC name. Connects at the first call; NULL when
 * memory is short. */
struct dialplane_client *dialplane_client_open(const char *target);
/* Ends every call under way with CANCELLED and refuses new ones; from any thread. */
void dialplane_client_shutdown(struct dialplane_client *client);
/* After every call has returned. NULL is allowed. */
void dialplane_client_close(struct dialplane_client *client);

/* Frees an answer. NULL is allowed. */
#define dialplane_free(message)                                                                    \
    ((message) ? protobuf_c_message_free_unpacked(&(message)->base, NULL) : (void)0)

/* One unary RPC. The call waits for a connection until its deadline (milliseconds from now, > 0).
 * True: *ret_response is the caller's, to be freed with dialplane_free(). False: *error (may be
 * NULL) says why. A call that failed with UNAVAILABLE may have been processed: repeat only what is
 * idempotent — in Dialplane that is everything but the Create… RPCs and UploadCallList. */
bool dialplane_call(struct dialplane_client *client, const char *path,
                    const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *response_descriptor, unsigned deadline_ms,
                    ProtobufCMessage **ret_response, struct dialplane_error *error);

/* Server streaming: opens, then dialplane_stream_next() until it gives NULL; error->code 0 then
 * means the regular end. deadline_ms 0: none. */
struct dialplane_stream *dialplane_stream_open(struct dialplane_client *client, const char *path,
                                               const ProtobufCMessage *request,
                                               unsigned deadline_ms);
ProtobufCMessage *dialplane_stream_next(struct dialplane_stream *stream,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        struct dialplane_error *error);
/* From any thread: dialplane_stream_next() gives NULL with CANCELLED. */
void dialplane_stream_cancel(struct dialplane_stream *stream);
void dialplane_stream_close(struct dialplane_stream *stream);

/* The typed calls, one a line: name, service, RPC, request, response. methods.c makes their
 * definitions from the same list. */
#define DIALPLANE_METHODS(X)                                                                       \
    X(list_companies, CompanyService, ListCompanies, ListCompaniesRequest, ListCompaniesResponse,  \
      list_companies_response)                                                                     \
    X(create_company, CompanyService, CreateCompany, CreateCompanyRequest, Company, company)       \
    X(get_company, CompanyService, GetCompany, GetCompanyRequest, Company, company)                \
    X(update_company, CompanyService, UpdateCompany, UpdateCompanyRequest, Company, company)       \
    X(list_skillbases, SkillbaseService, ListSkillbases, ListSkillbasesRequest,                    \
      ListSkillbasesResponse, list_skillbases_response)                                            \
    X(create_skillbase, SkillbaseService, CreateSkillbase, CreateSkillbaseRequest, Skillbase,      \
      skillbase)                                                                                   \
    X(get_skillbase, SkillbaseService, GetSkillbase, GetSkillbaseRequest, Skillbase, skillbase)    \
    X(update_skillbase, SkillbaseService, UpdateSkillbase, UpdateSkillbaseRequest, Skillbase,      \
      skillbase)                                                                                   \
    X(get_skillbase_for_call, SkillbaseService, GetSkillbaseForCall, GetSkillbaseForCallRequest,   \
      SkillbaseForCall, skillbase_for_call)                                                        \
    X(list_campaigns, CampaignService, ListCampaigns, ListCampaignsRequest, ListCampaignsResponse, \
      list_campaigns_response)                                                                     \
    X(create_campaign, CampaignService, CreateCampaign, CreateCampaignRequest, Campaign, campaign) \
    X(get_campaign, CampaignService, GetCampaign, GetCampaignRequest, Campaign, campaign)          \
    X(update_campaign, CampaignService, UpdateCampaign, UpdateCampaignRequest, Campaign, campaign) \
    X(start_campaign, CampaignService, StartCampaign, StartCampaignRequest, Campaign, campaign)    \
    X(pause_campaign, CampaignService, PauseCampaign, PauseCampaignRequest, Campaign, campaign)    \
    X(cancel_campaign, CampaignService, CancelCampaign, CancelCampaignRequest, Campaign, campaign) \
    X(list_tasks, CampaignService, ListTasks, ListTasksRequest, ListTasksResponse,                 \
      list_tasks_response)                                                                         \
    X(claim_tasks, DispatchService, ClaimTasks, ClaimTasksRequest, ClaimTasksResponse,             \
      claim_tasks_response)                                                                        \
    X(begin_dial, DispatchService, BeginDial, BeginDialRequest, BeginDialResponse,                 \
      begin_dial_response)                                                                         \
    X(heartbeat, DispatchService, Heartbeat, HeartbeatRequest, HeartbeatResponse,                  \
      heartbeat_response)                                                                          \
    X(finish_task, DispatchService, FinishTask, FinishTaskRequest, FinishTaskResponse,             \
      finish_task_response)                                                                        \
    X(begin_dial_batch, DispatchService, BeginDialBatch, BeginDialBatchRequest,                    \
      BeginDialBatchResponse, begin_dial_batch_response)                                           \
    X(finish_task_batch, DispatchService, FinishTaskBatch, FinishTaskBatchRequest,                 \
      FinishTaskBatchResponse, finish_task_batch_response)                                         \
    X(report_call_event_batch, AnalyticsService, ReportCallEventBatch, ReportCallEventsRequest,    \
      ReportCallEventsResponse, report_call_events_response)                                       \
    X(list_calls, AnalyticsService, ListCalls, ListCallsRequest, ListCallsResponse,                \
      list_calls_response)                                                                         \
    X(get_call, AnalyticsService, GetCall, GetCallRequest, CallDetail, call_detail)                \
    X(get_call_metrics, AnalyticsService, GetCallMetrics, GetCallMetricsRequest, CallMetrics,      \
      call_metrics)                                                                                \
    X(get_metrics, AnalyticsService, GetMetrics, GetMetricsRequest, AggregatedMetrics,             \
      aggregated_metrics)

#define DIALPLANE_DECLARE(name, service, rpc, request_type, response_type, response_name)          \
    bool dialplane_##name(struct dialplane_client *client,                                         \
                          const Dialplane__V1__##request_type *request, unsigned deadline_ms,      \
                          Dialplane__V1__##response_type **ret_response,                           \
                          struct dialplane_error *error);
DIALPLANE_METHODS(DIALPLANE_DECLARE)
#undef DIALPLANE_DECLARE

/* Watches one call from after_seq on; the messages are Dialplane__V1__WatchCallResponse. */
struct dialplane_stream *dialplane_watch_call(struct dialplane_client *client, const char *call_id,
                                              uint64_t after_seq);
Dialplane__V1__WatchCallResponse *dialplane_watch_next(struct dialplane_stream *stream,
                                                       struct dialplane_error *error);

#endif
