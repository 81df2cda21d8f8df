/* --reencrypt: all contacts, then all rejected rows, each in the order of its primary key. */
#include "tasks.h"

#include "campaign_sql.h"
#include "contact_vault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_AT_ONCE 500
/* A batch several times over; a row's data are at most some 1 MB. */
#define BATCH_ARENA_BYTES ((size_t)1024 * 1024 * 1024)
#define ROWS_PER_LINE 50000

struct sealed_rows;
struct task;

/* What is encrypted: a table's rows, listed in the order of their key. */
struct kind {
    const char *name;
    bool is_numbered; /* the key is an id and a number: they are given and written with both */
    const struct pg_statement *list, *write;
    /* Adds the row as it shall be, unless it is so already. */
    bool (*seal)(struct task *task, const struct pg_result *result, int row,
                 struct sealed_rows *rows, struct err *err);
    const struct kind *next; /* NULL: that was all */
};

struct task {
    const struct kind *kind;
    struct pg_pool *pool;
    struct vault *vault; /* the task's */
    struct arena *arena; /* of the batch */
    void (*done)(void *context, int status);
    void *context;
    struct uuid after; /* where the last batch ended */
    int64_t after_number;
    int64_t looked, changed, said;
};

/* The new values of a batch. */
struct sealed_rows {
    const char **ids, **old, **new;
    int64_t *numbers; /* or `old` */
    size_t count;
};

static void end(struct task *task, int status)
{
    fflush(stdout);
    task->done(task->context, status);
    vault_free(task->vault);
    arena_free(task->arena);
    free(task);
}

static void end_failed(struct task *task, const char *message)
{
    fprintf(stderr, "dialplane-campaign: %s\n", message);
    end(task, 2);
}

static bool rows_init(struct sealed_rows *rows, struct arena *arena, size_t count)
{
    *rows = (struct sealed_rows){
        .ids = ARENA_ARRAY(arena, const char *, count),
        .old = ARENA_ARRAY(arena, const char *, count),
        .new = ARENA_ARRAY(arena, const char *, count),
        .numbers = ARENA_ARRAY(arena, int64_t, count),
    };
    return rows->ids && rows->old && rows->new && rows->numbers;
}

static void say(struct task *task)
{
    if (task->looked - task->said < ROWS_PER_LINE)
        return;
    task->said = task->looked;
    printf("%" PRId64 " %s looked at, %" PRId64 " encrypted\n", task->looked, task->kind->name,
           task->changed);
    fflush(stdout);
}

static void say_all(struct task *task)
{
    printf("Done: %" PRId64 " %s looked at, %" PRId64 " encrypted.\n", task->looked,
           task->kind->name, task->changed);
}

/* ---- What is encrypted ---- */

static bool seal_contact(struct task *task, const struct pg_result *result, int row,
                         struct sealed_rows *rows, struct err *err)
{
    enum { COLUMN_TASK, COLUMN_CAMPAIGN, COLUMN_PHONE, COLUMN_DATA };
    struct uuid campaign = pg_uuid(result, row, COLUMN_CAMPAIGN);
    struct str phone = pg_str(result, row, COLUMN_PHONE), stored = pg_str(result, row, COLUMN_DATA);
    struct buf sealed;

    if (contact_data_is_current(task->vault, stored))
        return true;
    struct str object = contact_data_open(task->vault, &campaign, phone, stored, task->arena, err);

    buf_init(&sealed, 0);
    bool ok = object.data && contact_data_seal(task->vault, &campaign, phone, object, &sealed);

    if (ok) {
        rows->ids[rows->count] = pg_text(result, row, COLUMN_TASK, task->arena);
        rows->old[rows->count] = arena_strndup(task->arena, stored.data, stored.length);
        rows->new[rows->count++] = arena_strndup(task->arena, sealed.data, sealed.length);
        ok = !arena_is_exhausted(task->arena);
    }
    buf_done(&sealed);
    return ok || err_is_set(err) ? ok
                                 : err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

static bool seal_error(struct task *task, const struct pg_result *result, int row,
                       struct sealed_rows *rows, struct err *err)
{
    enum { COLUMN_UPLOAD, COLUMN_ROW, COLUMN_CONTENT };
    struct uuid upload = pg_uuid(result, row, COLUMN_UPLOAD);
    struct str stored = pg_str(result, row, COLUMN_CONTENT);
    struct vault_place place;
    struct buf plain, sealed;

    if (pg_is_null(result, row, COLUMN_CONTENT) || vault_is_current_text(task->vault, stored))
        return true;
    buf_init(&plain, 0);
    buf_init(&sealed, 0);
    upload_content_place(&place, &upload, pg_int64(result, row, COLUMN_ROW));
    bool ok = vault_open_text(task->vault, &place, stored, &plain, err) &&
              vault_seal_text(task->vault, &place, buf_str(&plain), &sealed);

    if (ok) {
        rows->ids[rows->count] = pg_text(result, row, COLUMN_UPLOAD, task->arena);
        rows->numbers[rows->count] = pg_int64(result, row, COLUMN_ROW);
        rows->new[rows->count++] = arena_strndup(task->arena, sealed.data, sealed.length);
        ok = !arena_is_exhausted(task->arena);
    }
    buf_done(&sealed);
    buf_done(&plain);
    return ok || err_is_set(err) ? ok
                                 : err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
}

static const struct kind rejected_rows = {
    .name = "rejected rows",
    .is_numbered = true,
    .list = &sql_list_errors_to_seal,
    .write = &sql_seal_errors,
    .seal = seal_error,
};
static const struct kind contacts = {
    .name = "contacts",
    .list = &sql_list_contacts_to_seal,
    .write = &sql_seal_contacts,
    .seal = seal_contact,
    .next = &rejected_rows,
};

/* ---- Batches ---- */

static void on_listed(void *context, const struct pg_outcome *outcome);
static void on_written(void *context, const struct pg_outcome *outcome);

static void list_some(struct task *task)
{
    arena_free(task->arena);
    task->arena = arena_new(BATCH_ARENA_BYTES);
    if (!task->arena) {
        end_failed(task, "memory is short");
        return;
    }
    struct pg_params params = {.arena = task->arena};

    pg_param_uuid(&params, &task->after);
    if (task->kind->is_numbered)
        pg_param_int64(&params, task->after_number);
    pg_param_int64(&params, ROWS_AT_ONCE);
    pg_read(task->pool, &pg_service, task->kind->list, &params, on_listed, task);
}

static void begin(struct task *task, const struct kind *kind)
{
    task->kind = kind;
    task->looked = task->changed = task->said = 0;
    task->after_number = 0;
    memset(&task->after, 0, sizeof(task->after));
    list_some(task);
}

void task_reencrypt(struct pg_pool *pool, struct vault *vault,
                    void (*done)(void *context, int status), void *context)
{
    struct task *task = calloc(1, sizeof(*task));

    if (!task) {
        fprintf(stderr, "dialplane-campaign: memory is short\n");
        exit(2);
    }
    *task = (struct task){.pool = pool, .vault = vault, .done = done, .context = context};
    begin(task, &contacts);
}

static void write_rows(struct task *task, const struct sealed_rows *rows)
{
    struct pg_params params = {.arena = task->arena};

    pg_param_text_array(&params, rows->ids, rows->count);
    if (task->kind->is_numbered)
        pg_param_int64_array(&params, rows->numbers, rows->count);
    else
        pg_param_text_array(&params, rows->old, rows->count);
    pg_param_text_array(&params, rows->new, rows->count);
    pg_write(task->pool, &pg_service, task->kind->write, &params, on_written, task);
}

static void on_listed(void *context, const struct pg_outcome *outcome)
{
    struct task *task = context;
    const struct pg_result *result = outcome->result;
    struct sealed_rows rows;
    struct err err = {0};

    if (!result) {
        end_failed(task, outcome->err.message);
        return;
    }
    int count = pg_rows(result);

    if (count == 0) {
        say_all(task);
        if (task->kind->next)
            begin(task, task->kind->next);
        else
            end(task, 0);
        return;
    }
    bool ok = rows_init(&rows, task->arena, (size_t)count) ||
              err_set(&err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");

    for (int i = 0; i < count && ok; i++)
        ok = task->kind->seal(task, result, i, &rows, &err);
    if (!ok) {
        end_failed(task, err.message);
        return;
    }
    task->after = pg_uuid(result, count - 1, 0);
    if (task->kind->is_numbered)
        task->after_number = pg_int64(result, count - 1, 1);
    task->looked += count;
    say(task);
    if (rows.count == 0)
        list_some(task);
    else
        write_rows(task, &rows);
}

static void on_written(void *context, const struct pg_outcome *outcome)
{
    struct task *task = context;

    if (!outcome->result) {
        end_failed(task, outcome->err.message);
        return;
    }
    task->changed += pg_rows_affected(outcome->result);
    list_some(task);
}
