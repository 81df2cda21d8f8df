/* handlers: one function an RPC (in the file of the same name), and the checks of those whose rules
 * the .proto cannot say. */
#ifndef DIALPLANE_CAMPAIGN_HANDLERS_H
#define DIALPLANE_CAMPAIGN_HANDLERS_H

struct rpc_call;
struct violations;

void list_campaigns(struct rpc_call *call, const void *request);
void create_campaign(struct rpc_call *call, const void *request);
void get_campaign(struct rpc_call *call, const void *request);
void update_campaign(struct rpc_call *call, const void *request);
void delete_campaign(struct rpc_call *call, const void *request);
void start_campaign(struct rpc_call *call, const void *request);
void pause_campaign(struct rpc_call *call, const void *request);
void cancel_campaign(struct rpc_call *call, const void *request);
void list_tasks(struct rpc_call *call, const void *request);
void get_task(struct rpc_call *call, const void *request);

void list_attempts(struct rpc_call *call, const void *request);
void explain_task(struct rpc_call *call, const void *request);
void settle_task(struct rpc_call *call, const void *request);
void simulate_campaign(struct rpc_call *call, const void *request);

void list_suppressions(struct rpc_call *call, const void *request);
void create_suppression(struct rpc_call *call, const void *request);
void erase_contact(struct rpc_call *call, const void *request);
void get_suppression(struct rpc_call *call, const void *request);
void delete_suppression(struct rpc_call *call, const void *request);

void check_list_attempts(const void *request, struct violations *violations);
void check_list_suppressions(const void *request, struct violations *violations);
void check_create_suppression(const void *request, struct violations *violations);
void check_list_campaigns(const void *request, struct violations *violations);
void check_create_campaign(const void *request, struct violations *violations);
void check_update_campaign(const void *request, struct violations *violations);
void check_begin_dial_batch(const void *request, struct violations *violations);
void check_finish_task_batch(const void *request, struct violations *violations);
void check_list_tasks(const void *request, struct violations *violations);

void list_uploads(struct rpc_call *call, const void *request);
void get_upload(struct rpc_call *call, const void *request);
void watch_upload(struct rpc_call *call, const void *request);
void download_upload_errors(struct rpc_call *call, const void *request);
void delete_upload(struct rpc_call *call, const void *request);
void export_tasks(struct rpc_call *call, const void *request);

void check_list_uploads(const void *request, struct violations *violations);

/* UploadCallList, a client stream. */
void upload_call_list_message(struct rpc_call *call, const void *message);
void upload_call_list_end(struct rpc_call *call);
void upload_call_list_gone(struct rpc_call *call);

/* UploadSuppressions, likewise. */
void upload_suppressions_message(struct rpc_call *call, const void *message);
void upload_suppressions_end(struct rpc_call *call);
void upload_suppressions_gone(struct rpc_call *call);

void claim_tasks(struct rpc_call *call, const void *request);
void begin_dial(struct rpc_call *call, const void *request);
void begin_dial_batch(struct rpc_call *call, const void *request);
void report_progress(struct rpc_call *call, const void *request);
void heartbeat(struct rpc_call *call, const void *request);
void finish_task(struct rpc_call *call, const void *request);
void finish_task_batch(struct rpc_call *call, const void *request);

#endif
