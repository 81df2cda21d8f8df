/* Answers: as the contract's JSON for scripts, as tables and lists of fields for people. */
#include "cli.h"
#include "table.h"
#include "text.h"
#include "json/json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define JSON_LIMIT ((size_t)512 << 20)
#define NOTHING "—"

size_t terminal_width(int descriptor)
{
    struct winsize size;
    if (!isatty(descriptor))
        return 0;
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

void output_put(const struct buf *text, FILE *file)
{
    if (text->length)
        fwrite(text->data, 1, text->length, file);
}

int output_finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno == EPIPE)
        return EXIT_BROKEN_PIPE;
    fprintf(stderr, "dialplane: the output cannot be written: %s\n", strerror(errno));
    return status ? status : EXIT_FAILED;
}

const char *output_style(const char *word)
{
    static const struct {
        const char *word, *style;
    } styles[] = {
        {"running", "32"},     {"completed", "32"}, {"success", "32"},    {"active", "36"},
        {"in_progress", "36"}, {"paused", "33"},    {"retry", "33"},      {"unknown", "33"},
        {"failed", "31"},      {"fail", "31"},      {"suppressed", "35"}, {"cancelled", "2"},
        {"draft", "2"},        {"no", "2"},
    };
    for (size_t i = 0; i < sizeof(styles) / sizeof(*styles); i++)
        if (strcmp(styles[i].word, word) == 0)
            return styles[i].style;
    return NULL;
}

bool output_json(struct cli *cli, const struct schema_message *message, struct str answer,
                 struct failure *failure)
{
    struct buf text;
    buf_init(&text, JSON_LIMIT);
    bool ok = message->well_known == SCHEMA_EMPTY || /* 204 over REST */
              json_print(cli->schema, message, answer, JSON_PRINT_CONTRACT, &text, &failure->err);
    if (ok && text.length) {
        output_put(&text, stdout);
        fputc('\n', stdout);
    }
    buf_done(&text);
    return ok;
}

/* People */

static bool is_time(const char *text)
{
    int64_t us;
    return strlen(text) >= 20 && text[10] == 'T' && time_parse_rfc3339(str_from(text), &us);
}

/* "2026-01-17 09:30:00Z" */
static void put_time(struct buf *out, const char *text)
{
    buf_printf(out, "%.10s %.8sZ", text, text + 11);
}

static void put_number(struct buf *out, double number, int precision)
{
    char text[64];
    snprintf(text, sizeof(text), "%.*f", precision, number);
    if (strchr(text, '.')) {
        size_t length = strlen(text);
        while (text[length - 1] == '0')
            length--;
        text[text[length - 1] == '.' ? length - 1 : length] = '\0';
    }
    buf_put_cstr(out, text);
}

static void put_scalar(struct buf *out, const json_t *value)
{
    if (json_is_string(value) && is_time(json_string_value(value)))
        put_time(out, json_string_value(value));
    else if (json_is_string(value))
        text_put_clean(out, (struct str){json_string_value(value), json_string_length(value)});
    else if (json_is_integer(value))
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        put_number(out, json_real_value(value), 6);
    else if (json_is_boolean(value))
        buf_put_cstr(out, json_is_true(value) ? "yes" : "no");
    else
        buf_put_cstr(out, NOTHING);
}

/* "viewer, agent" */
static void put_words(struct buf *out, const json_t *list)
{
    size_t index;
    json_t *word;
    json_array_foreach(list, index, word)
    {
        if (index)
            buf_put_cstr(out, ", ");
        put_scalar(out, word);
    }
}

static void put_cell(struct buf *out, const json_t *value, enum cell kind)
{
    if (!value || json_is_null(value))
        return;
    if (json_is_array(value))
        put_words(out, value);
    else if (kind == CELL_COUNT && json_is_integer(value))
        text_put_count(out, json_integer_value(value));
    else if (kind == CELL_SECONDS && json_is_number(value))
        put_number(out, json_number_value(value), 1);
    else if (kind == CELL_MONEY && json_is_number(value))
        buf_printf(out, "%.6f", json_number_value(value));
    else
        put_scalar(out, value);
}

static const json_t *find(const json_t *object, const char *path)
{
    while (object && *path) {
        char name[64];
        size_t length = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        object = json_object_get(object, name);
        path += length + (path[length] == '.');
    }
    return object;
}

static void put_blanks(struct buf *out, size_t count)
{
    while (count--)
        buf_put_char(out, ' ');
}

static bool is_block(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value)) ||
           (json_is_array(value) && json_array_size(value));
}

static void put_block(struct buf *out, const json_t *value, size_t indent);

/* The members of an object, their values in one column. marked: the first stands behind "- ". */
static void put_members(struct buf *out, const json_t *object, size_t indent, bool marked)
{
    size_t widest = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        size_t width = text_width(str_from(key));
        if (!is_block(value) && width > widest && width <= 40)
            widest = width;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        put_blanks(out, marked ? indent - 2 : indent);
        buf_put_cstr(out, marked ? "- " : "");
        marked = false;
        size_t start = out->length;
        text_put_clean(out, str_from(key));
        if (is_block(value)) {
            buf_put_char(out, '\n');
            put_block(out, value, indent + 2);
            continue;
        }
        size_t width =
            out->failed ? 0 : text_width((struct str){out->data + start, out->length - start});
        put_blanks(out, 2 + (widest > width ? widest - width : 0));
        put_scalar(out, value);
        buf_put_char(out, '\n');
    }
}

/* Recursion is bounded by the schema's depth. */
static void put_block(struct buf *out, const json_t *value, size_t indent)
{
    if (json_is_object(value)) {
        put_members(out, value, indent, false);
        return;
    }
    size_t index;
    json_t *element;
    json_array_foreach(value, index, element)
    {
        if (json_is_object(element) && json_object_size(element)) {
            put_members(out, element, indent + 2, true);
            continue;
        }
        put_blanks(out, indent);
        buf_put_cstr(out, "- ");
        if (is_block(element)) {
            buf_put_char(out, '\n');
            put_block(out, element, indent + 2);
        } else {
            put_scalar(out, element);
            buf_put_char(out, '\n');
        }
    }
}

static bool put_table(const struct cli *cli, const struct command *command, const json_t *rows,
                      struct buf *out)
{
    struct table_column columns[TABLE_COLUMNS_MAX];
    size_t count = 0;
    for (; command->columns[count].title && count < TABLE_COLUMNS_MAX; count++) {
        const struct column *from = &command->columns[count];
        bool right =
            from->cell == CELL_COUNT || from->cell == CELL_SECONDS || from->cell == CELL_MONEY;
        columns[count] = (struct table_column){from->title, right, from->may_shrink, from->drop};
    }
    struct table *table = table_new(columns, count);
    struct buf cell;
    if (!table)
        return false;
    buf_init(&cell, 0);
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        for (size_t i = 0; i < count; i++) {
            buf_reset(&cell);
            put_cell(&cell, find(row, command->columns[i].path), command->columns[i].cell);
            buf_put_char(&cell, '\0');
            table_add(table, str_from(cell.failed ? "" : cell.data),
                      command->columns[i].cell == CELL_STATUS && !cell.failed
                          ? output_style(cell.data)
                          : NULL);
        }
    }
    table_print(table, terminal_width(STDOUT_FILENO), cli->styled, out);
    buf_done(&cell);
    table_free(table);
    return true;
}

/* "50 of 1,234. The next: --page-token …" */
static void put_footer(const json_t *answer, size_t shown, struct buf *out)
{
    const json_t *total = json_object_get(answer, "total");
    const json_t *token = json_object_get(answer, "next_page_token");
    if (!json_is_integer(total))
        return;
    text_put_count(out, (int64_t)shown);
    buf_put_cstr(out, " of ");
    text_put_count(out, json_integer_value(total));
    if (json_is_string(token)) {
        buf_put_cstr(out, "; the next: --page-token ");
        text_put_clean(out, str_from(json_string_value(token)));
    }
    buf_put_char(out, '\n');
}

static bool put_people(const struct cli *cli, const struct command *command, const json_t *answer,
                       struct buf *out)
{
    const json_t *rows = command->rows ? json_object_get(answer, command->rows) : NULL;
    if (!rows) {
        if (json_object_size(answer))
            put_members(out, answer, 0, false);
        return true;
    }
    if (!json_object_get(answer, "total")) { /* a record with a table in it: the rest before */
        json_t *rest = json_copy((json_t *)answer);
        json_object_del(rest, command->rows);
        put_members(out, rest, 0, false);
        if (json_object_size(rest) && json_array_size(rows))
            buf_put_char(out, '\n');
        json_decref(rest);
    }
    size_t count = json_array_size(rows);
    if (count && !put_table(cli, command, rows, out))
        return false;
    if (!count && json_object_get(answer, "total"))
        buf_put_cstr(out, "Nothing here.\n");
    else
        put_footer(answer, count, out);
    return true;
}

bool output_answer(struct cli *cli, const struct command *command,
                   const struct schema_message *message, struct str answer, struct failure *failure)
{
    struct buf text, out;
    if (cli->json)
        return output_json(cli, message, answer, failure);
    if (message->well_known == SCHEMA_EMPTY) {
        printf("Done.\n");
        return true;
    }
    buf_init(&text, JSON_LIMIT);
    buf_init(&out, JSON_LIMIT);
    bool ok = json_print(cli->schema, message, answer, JSON_PRINT_CONTRACT, &text, &failure->err);
    json_t *json = ok ? json_loadb(text.data, text.length, JSON_ALLOW_NUL, NULL) : NULL;
    if (ok)
        ok = (json && put_people(cli, command, json, &out) && !out.failed) ||
             err_set(&failure->err, ERR_INTERNAL, NULL, "the answer cannot be shown; try --json");
    if (ok)
        output_put(&out, stdout);
    json_decref(json);
    buf_done(&text);
    buf_done(&out);
    return ok;
}

int run_generic(struct cli *cli, const struct invocation *invocation)
{
    const struct schema_method *method = command_method(cli->schema, invocation->command);
    struct failure failure;
    struct str request, answer;
    failure_init(&failure, cli->arena);
    if (!request_build(cli, invocation, &request, &failure) ||
        !session_call(cli, method, request, DIALPLANE_CALL, &answer, &failure) ||
        !output_answer(cli, invocation->command, method->output, answer, &failure))
        return failure_tell(cli, invocation, &failure);
    return EXIT_OK;
}
