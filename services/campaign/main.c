/* dialplane-campaign: campaigns, call lists and dispatch. */
#include "campaign.h"
#include "claims.h"
#include "handlers/handlers.h"
#include "phone.h"
#include "steps.h"
#include "task_metrics.h"
#include "tasks.h"
#include "upkeep.h"
#include "upload_workers.h"
#include "uploads/jobs.h"

#include "service/service.h"
#include "vault/vault.h"

#include "dialplane/v1/privacy.pb-c.h"
#include "google/protobuf/empty.pb-c.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct rpc_handler handlers[] = {
    {
        .path = "/dialplane.v1.CampaignService/ListCampaigns",
        .request = &dialplane__v1__list_campaigns_request__descriptor,
        .response = &dialplane__v1__list_campaigns_response__descriptor,
        .check = check_list_campaigns,
        .handle = list_campaigns,
    },
    {
        .path = "/dialplane.v1.CampaignService/CreateCampaign",
        .request = &dialplane__v1__create_campaign_request__descriptor,
        .response = &dialplane__v1__campaign__descriptor,
        .check = check_create_campaign,
        .handle = create_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/GetCampaign",
        .request = &dialplane__v1__get_campaign_request__descriptor,
        .response = &dialplane__v1__campaign__descriptor,
        .handle = get_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/UpdateCampaign",
        .request = &dialplane__v1__update_campaign_request__descriptor,
        .response = &dialplane__v1__campaign__descriptor,
        .check = check_update_campaign,
        .partial_field = "campaign",
        .handle = update_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/DeleteCampaign",
        .request = &dialplane__v1__delete_campaign_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/UploadCallList",
        .request = &dialplane__v1__upload_call_list_request__descriptor,
        .response = &dialplane__v1__upload_call_list_response__descriptor,
        .on_message = upload_call_list_message,
        .on_end = upload_call_list_end,
        .on_gone = upload_call_list_gone,
    },
    {
        .path = "/dialplane.v1.CampaignService/ListUploads",
        .request = &dialplane__v1__list_uploads_request__descriptor,
        .response = &dialplane__v1__list_uploads_response__descriptor,
        .check = check_list_uploads,
        .handle = list_uploads,
    },
    {
        .path = "/dialplane.v1.CampaignService/GetUpload",
        .request = &dialplane__v1__get_upload_request__descriptor,
        .response = &dialplane__v1__upload__descriptor,
        .handle = get_upload,
    },
    {
        .path = "/dialplane.v1.CampaignService/WatchUpload",
        .request = &dialplane__v1__watch_upload_request__descriptor,
        .response = &dialplane__v1__upload__descriptor,
        .handle = watch_upload,
    },
    {
        .path = "/dialplane.v1.CampaignService/DownloadUploadErrors",
        .request = &dialplane__v1__download_upload_errors_request__descriptor,
        .response = &dialplane__v1__file_piece__descriptor,
        .handle = download_upload_errors,
    },
    {
        .path = "/dialplane.v1.CampaignService/DeleteUpload",
        .request = &dialplane__v1__delete_upload_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_upload,
    },
    {
        .path = "/dialplane.v1.CampaignService/ExportTasks",
        .request = &dialplane__v1__export_tasks_request__descriptor,
        .response = &dialplane__v1__file_piece__descriptor,
        .handle = export_tasks,
    },
    {
        .path = "/dialplane.v1.CampaignService/ListTasks",
        .request = &dialplane__v1__list_tasks_request__descriptor,
        .response = &dialplane__v1__list_tasks_response__descriptor,
        .check = check_list_tasks,
        .handle = list_tasks,
    },
    {
        .path = "/dialplane.v1.CampaignService/GetTask",
        .request = &dialplane__v1__get_task_request__descriptor,
        .response = &dialplane__v1__call_task__descriptor,
        .handle = get_task,
    },
    {
        .path = "/dialplane.v1.CampaignService/StartCampaign",
        .request = &dialplane__v1__start_campaign_request__descriptor,
        .response = &dialplane__v1__campaign__descriptor,
        .handle = start_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/PauseCampaign",
        .request = &dialplane__v1__pause_campaign_request__descriptor,
        .response = &dialplane__v1__campaign__descriptor,
        .handle = pause_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/CancelCampaign",
        .request = &dialplane__v1__cancel_campaign_request__descriptor,
        .response = &dialplane__v1__campaign__descriptor,
        .handle = cancel_campaign,
    },
    {
        .path = "/dialplane.v1.CampaignService/ListAttempts",
        .request = &dialplane__v1__list_attempts_request__descriptor,
        .response = &dialplane__v1__list_attempts_response__descriptor,
        .check = check_list_attempts,
        .handle = list_attempts,
    },
    {
        .path = "/dialplane.v1.CampaignService/ExplainTask",
        .request = &dialplane__v1__explain_task_request__descriptor,
        .response = &dialplane__v1__explain_task_response__descriptor,
        .handle = explain_task,
    },
    {
        .path = "/dialplane.v1.CampaignService/SettleTask",
        .request = &dialplane__v1__settle_task_request__descriptor,
        .response = &dialplane__v1__call_task__descriptor,
        .handle = settle_task,
    },
    {
        .path = "/dialplane.v1.CampaignService/SimulateCampaign",
        .request = &dialplane__v1__simulate_campaign_request__descriptor,
        .response = &dialplane__v1__simulate_campaign_response__descriptor,
        .handle = simulate_campaign,
    },
    {
        .path = "/dialplane.v1.SuppressionService/ListSuppressions",
        .request = &dialplane__v1__list_suppressions_request__descriptor,
        .response = &dialplane__v1__list_suppressions_response__descriptor,
        .check = check_list_suppressions,
        .handle = list_suppressions,
    },
    {
        .path = "/dialplane.v1.SuppressionService/CreateSuppression",
        .request = &dialplane__v1__create_suppression_request__descriptor,
        .response = &dialplane__v1__suppression__descriptor,
        .check = check_create_suppression,
        .handle = create_suppression,
    },
    {
        .path = "/dialplane.v1.SuppressionService/GetSuppression",
        .request = &dialplane__v1__get_suppression_request__descriptor,
        .response = &dialplane__v1__suppression__descriptor,
        .handle = get_suppression,
    },
    {
        .path = "/dialplane.v1.SuppressionService/DeleteSuppression",
        .request = &dialplane__v1__delete_suppression_request__descriptor,
        .response = &google__protobuf__empty__descriptor,
        .handle = delete_suppression,
    },
    {
        .path = "/dialplane.v1.SuppressionService/UploadSuppressions",
        .request = &dialplane__v1__upload_suppressions_request__descriptor,
        .response = &dialplane__v1__upload_suppressions_response__descriptor,
        .on_message = upload_suppressions_message,
        .on_end = upload_suppressions_end,
        .on_gone = upload_suppressions_gone,
    },
    {
        .path = "/dialplane.v1.PrivacyService/EraseContact",
        .request = &dialplane__v1__erase_contact_request__descriptor,
        .response = &dialplane__v1__erase_contact_response__descriptor,
        .handle = erase_contact,
    },
    {
        .path = "/dialplane.v1.DispatchService/ReportProgress",
        .request = &dialplane__v1__report_progress_request__descriptor,
        .response = &dialplane__v1__report_progress_response__descriptor,
        .handle = report_progress,
    },
    {
        .path = "/dialplane.v1.DispatchService/ClaimTasks",
        .request = &dialplane__v1__claim_tasks_request__descriptor,
        .response = &dialplane__v1__claim_tasks_response__descriptor,
        .handle = claim_tasks,
    },
    {
        .path = "/dialplane.v1.DispatchService/BeginDial",
        .request = &dialplane__v1__begin_dial_request__descriptor,
        .response = &dialplane__v1__begin_dial_response__descriptor,
        .handle = begin_dial,
    },
    {
        .path = "/dialplane.v1.DispatchService/Heartbeat",
        .request = &dialplane__v1__heartbeat_request__descriptor,
        .response = &dialplane__v1__heartbeat_response__descriptor,
        .handle = heartbeat,
    },
    {
        .path = "/dialplane.v1.DispatchService/FinishTask",
        .request = &dialplane__v1__finish_task_request__descriptor,
        .response = &dialplane__v1__finish_task_response__descriptor,
        .handle = finish_task,
    },
    {
        .path = "/dialplane.v1.DispatchService/BeginDialBatch",
        .request = &dialplane__v1__begin_dial_batch_request__descriptor,
        .response = &dialplane__v1__begin_dial_batch_response__descriptor,
        .check = check_begin_dial_batch,
        .handle = begin_dial_batch,
    },
    {
        .path = "/dialplane.v1.DispatchService/FinishTaskBatch",
        .request = &dialplane__v1__finish_task_batch_request__descriptor,
        .response = &dialplane__v1__finish_task_batch_response__descriptor,
        .check = check_finish_task_batch,
        .handle = finish_task_batch,
    },
};

/* ---- Settings ---- */

static struct {
    int64_t lease_us, sweep_period_us;
    int64_t claim_waiters;
    int64_t metrics_campaigns;
    int64_t upload_threads, upload_row_limit, upload_byte_limit;
    int64_t upload_jobs, upload_errors_kept, upload_time_us, upload_lease_us, idempotency_us;
    const char *default_region, *phone_column_aliases, *spool_directory;
    const char *data_keys, *data_keys_file;
    bool reencrypt;
    int64_t spool_byte_limit, unpacked_byte_limit, xls_byte_limit;
} settings;

#define UPLOAD_ROWS_MOST 4000000 /* what the counter in a task's id holds */

static const struct app_setting setting_table[] = {
    {.name = "lease",
     .kind = APP_DURATION,
     .default_text = "45s",
     .help = "how long a call stays with its agent without a heartbeat, 100ms to 1h",
     .ret_value = &settings.lease_us,
     .minimum = 100000,
     .maximum = 3600 * TIME_US_PER_SECOND},
    {.name = "sweep-period",
     .kind = APP_DURATION,
     .default_text = "1s",
     .help = "how often leases that have run out are settled, 50ms to 60s",
     .ret_value = &settings.sweep_period_us,
     .minimum = 50000,
     .maximum = 60 * TIME_US_PER_SECOND},
    {.name = "claim-waiters",
     .kind = APP_INT,
     .default_text = "1000",
     .help = "most ClaimTasks calls that wait at once, 1 to 100000",
     .ret_value = &settings.claim_waiters,
     .minimum = 1,
     .maximum = 100000},
    {.name = "upload-threads",
     .kind = APP_INT,
     .default_text = "2",
     .help = "threads that read call lists, 1 to 16",
     .ret_value = &settings.upload_threads,
     .minimum = 1,
     .maximum = 16},
    {.name = "upload-row-limit",
     .kind = APP_INT,
     .default_text = "2000000",
     .help = "most rows of one call list, 1 to 4000000",
     .ret_value = &settings.upload_row_limit,
     .minimum = 1,
     .maximum = UPLOAD_ROWS_MOST},
    {.name = "upload-byte-limit",
     .kind = APP_SIZE,
     .default_text = "256MB",
     .help = "largest call list, 1KB to 16GB",
     .ret_value = &settings.upload_byte_limit,
     .minimum = 1024,
     .maximum = INT64_C(16) << 30},
    {.name = "metrics-campaigns",
     .kind = APP_INT,
     .default_text = "20",
     .help = "campaigns whose tasks /metrics shows each by itself, 0 to 1000; the others are one",
     .ret_value = &settings.metrics_campaigns,
     .minimum = 0,
     .maximum = 1000},
    {.name = "upload-jobs",
     .kind = APP_INT,
     .default_text = "2",
     .help = "uploads with Prefer: respond-async that are worked through at once, 1 to 16",
     .ret_value = &settings.upload_jobs,
     .minimum = 1,
     .maximum = 16},
    {.name = "upload-errors-kept",
     .kind = APP_INT,
     .default_text = "10000",
     .help = "most rejected rows of one upload that errors.csv has, 1000 to 1000000",
     .ret_value = &settings.upload_errors_kept,
     .minimum = 1000, /* an answer that is repeated has as many messages */
     .maximum = 1000000},
    {.name = "upload-time-limit",
     .kind = APP_DURATION,
     .default_text = "1h",
     .help = "longest time that one upload may take, 10s to 24h",
     .ret_value = &settings.upload_time_us,
     .minimum = 10 * TIME_US_PER_SECOND,
     .maximum = 24 * 3600 * TIME_US_PER_SECOND},
    {.name = "upload-lease",
     .kind = APP_DURATION,
     .default_text = "30s",
     .help = "how long an upload counts as under way after its service has fallen silent, 3s to 1h",
     .ret_value = &settings.upload_lease_us,
     .minimum = 3 * TIME_US_PER_SECOND,
     .maximum = 3600 * TIME_US_PER_SECOND},
    {.name = "idempotency-time",
     .kind = APP_DURATION,
     .default_text = "24h",
     .help = "how long an upload's Idempotency-Key is remembered after its end, 1s to 720h",
     .ret_value = &settings.idempotency_us,
     .minimum = TIME_US_PER_SECOND,
     .maximum = 720 * 3600 * TIME_US_PER_SECOND},
    {.name = "phone-column-aliases",
     .kind = APP_TEXT,
     .default_text = "phone,телефон,номер,номер телефона",
     .help = "what the column phone_number of a call list may also be called, comma-separated; "
             "case, spaces, _ and - do not matter",
     .ret_value = &settings.phone_column_aliases},
    {.name = "spool-directory",
     .kind = APP_TEXT,
     .default_text = "/tmp",
     .help = "folder for spreadsheets while they are read, in files without a name",
     .ret_value = &settings.spool_directory},
    {.name = "spool-byte-limit",
     .kind = APP_SIZE,
     .default_text = "256MB",
     .help = "largest .xlsx, 1MB to 16GB",
     .ret_value = &settings.spool_byte_limit,
     .minimum = INT64_C(1) << 20,
     .maximum = INT64_C(16) << 30},
    {.name = "unpacked-byte-limit",
     .kind = APP_SIZE,
     .default_text = "2GB",
     .help = "most that a compressed list may grow to, 1MB to 64GB",
     .ret_value = &settings.unpacked_byte_limit,
     .minimum = INT64_C(1) << 20,
     .maximum = INT64_C(64) << 30},
    {.name = "xls-byte-limit",
     .kind = APP_SIZE,
     .default_text = "32MB",
     .help = "largest .xls, which is read in memory, 1MB to 256MB",
     .ret_value = &settings.xls_byte_limit,
     .minimum = INT64_C(1) << 20,
     .maximum = INT64_C(256) << 20},
    {.name = "data-keys",
     .kind = APP_TEXT,
     .secret = true,
     .help = "keys for contact_data and rejected rows, as ID:BASE64,…: the first encrypts, all "
             "decrypt; none: nothing is encrypted; better given as the variable or as a file",
     .ret_value = &settings.data_keys},
    {.name = "data-keys-file",
     .kind = APP_TEXT,
     .help = "the same in a file, a key a line",
     .ret_value = &settings.data_keys_file},
    {.name = "reencrypt",
     .kind = APP_BOOL,
     .default_text = "false",
     .help = "encrypt all stored contact_data and rejected rows with the first of --data-keys, and "
             "exit",
     .own = true,
     .ret_value = &settings.reencrypt},
    {.name = "default-region",
     .kind = APP_TEXT,
     .help = "country of phone numbers without country code, ISO 3166-1 such as US; none: they are "
             "refused",
     .ret_value = &settings.default_region},
};

/* ---- Start and stop ---- */

static struct campaign_service the_service;

/* Agents that wait for a task would hold up the stop for as long as they wait. */
static void on_stop_signal(void *context)
{
    struct campaign_service *service = context;

    claims_stop(service->claims);
}

static void *start(struct loop *loop, struct pg_pool *pool, const struct schema *schema,
                   struct err *err)
{
    struct campaign_service *service = &the_service;

    if (settings.default_region && !*settings.default_region)
        settings.default_region = NULL;
    if (settings.default_region && !phone_region_is_known(settings.default_region)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "--default-region: \"%s\" is not a region such as US", settings.default_region);
        return NULL;
    }
    if (access(settings.spool_directory, W_OK | X_OK)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "--spool-directory: cannot write to %s: %s",
                settings.spool_directory, strerror(errno));
        return NULL;
    }
    *service = (struct campaign_service){
        .loop = loop,
        .pool = pool,
        .schema = schema,
        .lease_us = settings.lease_us,
        .upload_row_limit = settings.upload_row_limit,
        .upload_byte_limit = settings.upload_byte_limit,
        .upload_time_us = settings.upload_time_us,
        .upload_lease_us = settings.upload_lease_us,
        .upload_errors_kept = settings.upload_errors_kept,
        .idempotency_us = settings.idempotency_us,
    };
    entropy_init_system(&service->entropy);
    service->vault = vault_new(settings.data_keys, settings.data_keys_file, err);
    if (!service->vault)
        return NULL;
    service->claims = claims_new(service, (size_t)settings.claim_waiters);
    service->steps = step_lane_new(service);
    const struct upload_workers_settings workers = {
        .threads = (unsigned)settings.upload_threads,
        .region = settings.default_region,
        .phone_aliases = settings.phone_column_aliases,
        .limits = {.spool_directory = settings.spool_directory,
                   .spool_bytes = settings.spool_byte_limit,
                   .unpacked_bytes = settings.unpacked_byte_limit,
                   .xls_bytes = settings.xls_byte_limit},
    };

    service->workers = upload_workers_new(loop, &workers);
    if (!service->claims || !service->steps || !service->workers) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "no memory or threads for the service");
        return NULL;
    }
    service->upkeep = upkeep_start(service, settings.sweep_period_us);
    service->task_metrics = task_metrics_new(loop, pool, settings.metrics_campaigns);
    service->jobs = jobs_start(service, (unsigned)settings.upload_jobs);
    if (!service->upkeep || !service->task_metrics || !service->jobs ||
        !loop_on_signal(loop, SIGTERM, on_stop_signal, service) ||
        !loop_on_signal(loop, SIGINT, on_stop_signal, service)) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "no memory for the service");
        return NULL;
    }
    return service;
}

/* The pool ends after this and calls back what is under way: what those callbacks touch stays until
 * the process ends. */
static void stop(void *context)
{
    struct campaign_service *service = context;

    upkeep_stop(service->upkeep);
    database_metrics_free(service->task_metrics);
    service->task_metrics = NULL;
    jobs_stop(service->jobs);
    upload_workers_free(service->workers);
}

static bool has_task(void)
{
    struct err err = {0};

    if (!settings.reencrypt)
        return false;
    the_service.vault = vault_new(settings.data_keys, settings.data_keys_file, &err);
    if (vault_seals(the_service.vault))
        return true;
    fprintf(stderr, "dialplane-campaign: %s\n",
            the_service.vault ? "--reencrypt needs --data-keys" : err.message);
    exit(2);
}

static void run_task(struct loop *loop, struct pg_pool *pool,
                     void (*done)(void *context, int status), void *context)
{
    (void)loop;
    task_reencrypt(pool, the_service.vault, done, context);
}

static void collect(struct buf *out, void *context)
{
    const struct campaign_service *service = context;
    const struct upkeep_figures *figures = upkeep_figures(service->upkeep);

    metrics_family(out, "dialplane_claims_waiting", "gauge",
                   "ClaimTasks calls that wait for a task");
    metrics_sample(out, "dialplane_claims_waiting", NULL, (double)claims_waiting(service->claims));
    metrics_family(out, "dialplane_leases_expired_total", "counter",
                   "Calls whose lease ran out, by where they stood");
    metrics_sample(out, "dialplane_leases_expired_total", "state=\"claimed\"",
                   (double)figures->refunded);
    metrics_sample(out, "dialplane_leases_expired_total", "state=\"dialing\"",
                   (double)figures->unknown);
    metrics_family(out, "dialplane_calls_settled_total", "counter",
                   "Calls of unknown end settled by their record");
    metrics_sample(out, "dialplane_calls_settled_total", NULL, (double)figures->settled);
    metrics_family(out, "dialplane_tasks_removed_total", "counter",
                   "Tasks of deleted campaigns that were removed.");
    metrics_sample(out, "dialplane_tasks_removed_total", NULL, (double)figures->removed);
    metrics_family(out, "dialplane_upkeep_failures_total", "counter",
                   "Upkeep statements that failed");
    metrics_sample(out, "dialplane_upkeep_failures_total", NULL, (double)figures->failures);
    database_metrics_collect(service->task_metrics, out);
}

int main(int argc, char **argv)
{
    static const char *const services[] = {
        "dialplane.v1.CampaignService",
        "dialplane.v1.SuppressionService",
        "dialplane.v1.DispatchService",
        "dialplane.v1.PrivacyService",
        NULL,
    };
    const struct service service = {
        .process = "dialplane-campaign",
        .summary = "Campaigns, their call lists, and handing out calls to agents.",
        .default_listen = "127.0.0.1:7002",
        .default_metrics_listen = "127.0.0.1:9102",
        .services = services,
        .handlers = handlers,
        .handler_count = sizeof(handlers) / sizeof(handlers[0]),
        .settings = setting_table,
        .setting_count = sizeof(setting_table) / sizeof(setting_table[0]),
        .start = start,
        .stop = stop,
        .collect = collect,
        .has_task = has_task,
        .run_task = run_task,
    };

    return service_main(&service, argc, argv);
}
