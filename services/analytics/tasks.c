#include "tasks.h"

#include "analytics_sql.h"
#include "rows.h"

#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_DIFFERENCES 100
/* Calls of one statement of --verify-rollups, about: what it sorts and joins fits into memory. */
#define VERIFY_CALLS 250000
/* Of one transaction: it holds their rows meanwhile. */
#define RE_RATE_CALLS 2000

enum { STATUS_FINE, STATUS_DIFFERENCES, STATUS_FAILED };

struct task {
    struct pg_pool *pool;
    struct arena *arena; /* of the statement under way */
    void (*done)(void *context, int status);
    void *context;
    const struct re_rate_options *options;
    int64_t looked, changed, last_us;
    struct uuid last_id;
    bool has_begun;
    /* of --verify-rollups */
    struct arena *plan_arena; /* of the stretches */
    struct stretch {
        int64_t begins_us, calls;
    } * stretches;
    size_t stretch_count, stretch;
    int64_t whole;
    int differences;
};

static struct task *task_new(struct pg_pool *pool, void (*done)(void *context, int status),
                             void *context)
{
    struct task *task = calloc(1, sizeof(*task));
    if (!task) {
        fprintf(stderr, "dialplane-analytics: out of memory\n");
        exit(STATUS_FAILED);
    }
    task->pool = pool;
    task->done = done;
    task->context = context;
    return task;
}

static struct pg_params begin(struct task *task)
{
    arena_free(task->arena);
    task->arena = arena_new(64 * 1024);
    if (!task->arena) {
        fprintf(stderr, "dialplane-analytics: out of memory\n");
        exit(STATUS_FAILED);
    }
    return (struct pg_params){.arena = task->arena};
}

static void end(struct task *task, int status)
{
    fflush(stdout);
    task->done(task->context, status);
    arena_free(task->arena);
    arena_free(task->plan_arena);
    free(task);
}

static void end_failed(struct task *task, const struct pg_outcome *outcome)
{
    fprintf(stderr, "dialplane-analytics: %s\n", outcome->err.message);
    end(task, STATUS_FAILED);
}

/* ---- --verify-rollups ---- */

static void on_verified(void *context, const struct pg_outcome *outcome);

/* From its first day to that of the next one; the outer two have no end on their outer sides. */
static void verify_stretch(struct task *task)
{
    struct pg_params params = begin(task);
    if (task->stretch == 0)
        pg_param_null(&params);
    else
        pg_param_time_us(&params, task->stretches[task->stretch].begins_us);
    if (task->stretch + 1 >= task->stretch_count)
        pg_param_null(&params);
    else
        pg_param_time_us(&params, task->stretches[task->stretch + 1].begins_us);
    pg_param_int64(&params, MOST_DIFFERENCES - task->differences + 1);
    pg_read(task->pool, &pg_service, &sql_verify_call_figures, &params, on_verified, task);
}

static void print_difference(const struct pg_result *rows, int row)
{
    struct str what = pg_str(rows, row, 0), which = pg_str(rows, row, 1);
    struct str kept = pg_str(rows, row, 2), counted = pg_str(rows, row, 3);
    printf("%.*s of %.*s: kept %.*s, counted %.*s\n", (int)what.length, what.data,
           (int)which.length, which.data, (int)kept.length, kept.length ? kept.data : "",
           (int)counted.length, counted.length ? counted.data : "");
}

static void on_verified(void *context, const struct pg_outcome *outcome)
{
    struct task *task = context;
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        end_failed(task, outcome);
        return;
    }
    for (int i = 0; i < pg_rows(rows) && task->differences <= MOST_DIFFERENCES; i++)
        if (++task->differences <= MOST_DIFFERENCES)
            print_difference(rows, i);
    if (task->stretch < task->stretch_count)
        task->looked += task->stretches[task->stretch].calls;
    if (++task->stretch < task->stretch_count && task->differences <= MOST_DIFFERENCES) {
        fprintf(stderr, "%" PRId64 " of %" PRId64 " calls recounted\n", task->looked, task->whole);
        verify_stretch(task);
        return;
    }
    if (task->differences == 0)
        printf("The figures agree with the calls.\n");
    else
        printf("%s%d differences.\n", task->differences > MOST_DIFFERENCES ? "More than " : "",
               task->differences > MOST_DIFFERENCES ? MOST_DIFFERENCES : task->differences);
    end(task, task->differences == 0 ? STATUS_FINE : STATUS_DIFFERENCES);
}

static void on_stretches(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_BEGINS, COLUMN_CALLS };
    struct task *task = context;
    const struct pg_result *rows = outcome->result;
    if (!rows) {
        end_failed(task, outcome);
        return;
    }
    task->stretch_count = (size_t)pg_rows(rows);
    task->plan_arena = arena_new(task->stretch_count * sizeof(struct stretch) + 4096);
    if (task->plan_arena)
        task->stretches = ARENA_ARRAY(task->plan_arena, struct stretch, task->stretch_count);
    if (!task->stretches) {
        fprintf(stderr, "dialplane-analytics: out of memory\n");
        end(task, STATUS_FAILED);
        return;
    }
    for (int i = 0; i < pg_rows(rows); i++) {
        task->stretches[i].begins_us = pg_time_us(rows, i, COLUMN_BEGINS);
        task->stretches[i].calls = pg_int64(rows, i, COLUMN_CALLS);
        task->whole += task->stretches[i].calls;
    }
    verify_stretch(task);
}

void task_verify_rollups(struct loop *loop, struct pg_pool *pool,
                         void (*done)(void *context, int status), void *context)
{
    (void)loop;
    struct task *task = task_new(pool, done, context);
    struct pg_params params = begin(task);
    pg_param_int64(&params, VERIFY_CALLS);
    pg_read(pool, &pg_service, &sql_list_verify_stretches, &params, on_stretches, task);
}

/* ---- --re-rate ---- */

bool re_rate_check(const struct re_rate_options *options, struct err *err)
{
    struct uuid company;
    int32_t from, to;
    if (!options->company || !uuid_parse(str_from(options->company), &company))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "--re-rate needs --company with the id of a company");
    if (!options->from || !date_parse(str_from(options->from), &from) || !options->to ||
        !date_parse(str_from(options->to), &to))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "--re-rate needs --from and --to, days (UTC) such as 2026-01-31");
    if (to < from)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL, "--to must not be before --from");
    return true;
}

static void on_rated(void *context, const struct pg_outcome *outcome);

static void rate_some(struct task *task)
{
    struct pg_params params = begin(task);
    pg_param_null(&params);
    pg_param_text(&params, task->options->company);
    pg_param_text(&params, task->options->from);
    pg_param_text(&params, task->options->to);
    if (task->has_begun) {
        pg_param_time_us(&params, task->last_us);
        pg_param_uuid(&params, &task->last_id);
    } else {
        pg_param_null(&params);
        pg_param_null(&params);
    }
    pg_param_int64(&params, RE_RATE_CALLS);
    prices_param(&params, &task->options->prices);
    pg_write(task->pool, &pg_service, &sql_re_rate_calls, &params, on_rated, task);
}

static void on_rated(void *context, const struct pg_outcome *outcome)
{
    enum { COLUMN_LOOKED, COLUMN_CHANGED, COLUMN_LAST_AT, COLUMN_LAST_ID };
    struct task *task = context;
    const struct pg_result *row = outcome->result;
    if (!row) {
        end_failed(task, outcome);
        return;
    }
    if (pg_rows(row) == 0) {
        fprintf(stderr, "dialplane-analytics: there is no company %s\n", task->options->company);
        end(task, STATUS_FAILED);
        return;
    }
    int64_t looked = pg_int64(row, 0, COLUMN_LOOKED);
    task->looked += looked;
    task->changed += pg_int64(row, 0, COLUMN_CHANGED);
    if (looked > 0) {
        char text[TIME_TEXT_SIZE];
        task->has_begun = true;
        task->last_us = pg_time_us(row, 0, COLUMN_LAST_AT);
        task->last_id = pg_uuid(row, 0, COLUMN_LAST_ID);
        time_format_rfc3339(task->last_us, text);
        printf("%" PRId64 " calls rated up to %s, %" PRId64 " changed\n", task->looked, text,
               task->changed);
        fflush(stdout);
    }
    if (looked == RE_RATE_CALLS) {
        rate_some(task);
        return;
    }
    printf("Done: %" PRId64 " calls rated, %" PRId64 " changed.\n", task->looked, task->changed);
    end(task, STATUS_FINE);
}

void task_re_rate(struct loop *loop, struct pg_pool *pool, const struct re_rate_options *options,
                  void (*done)(void *context, int status), void *context)
{
    (void)loop;
    struct task *task = task_new(pool, done, context);
    task->options = options;
    rate_some(task);
}
