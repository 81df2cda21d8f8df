#include "task_metrics.h"

#include "app/app.h"
#include "campaign_sql.h"

#include <stdio.h>

enum { COLUMN_CAMPAIGN, COLUMN_STATE, COLUMN_TASKS };

static void write_tasks(const struct pg_result *rows, struct arena *arena, struct buf *out)
{
    char labels[160];
    metrics_family(out, "dialplane_campaign_tasks", "gauge",
                   "Tasks by state, of running and paused campaigns up to --metrics-campaigns; "
                   "all others together are \"other\", those that are deleted and still being "
                   "removed \"deleted\". The same at every instance.");
    for (int row = 0; row < pg_rows(rows); row++) {
        const char *campaign = pg_text(rows, row, COLUMN_CAMPAIGN, arena);
        const char *state = pg_text(rows, row, COLUMN_STATE, arena);
        snprintf(labels, sizeof(labels), "campaign=\"%s\",state=\"%s\"",
                 campaign ? campaign : "other", state ? state : "");
        metrics_sample(out, "dialplane_campaign_tasks", labels,
                       (double)pg_int64(rows, row, COLUMN_TASKS));
    }
}

struct database_metrics *task_metrics_new(struct loop *loop, struct pg_pool *pool,
                                          int64_t campaigns)
{
    return database_metrics_new(loop, pool, &sql_count_tasks_by_campaign, campaigns, write_tasks);
}
