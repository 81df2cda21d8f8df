/* dialplane campaign upload, dialplane dnc upload: a file in pieces, with a progress bar on
 * standard error; what became of its rows on standard output. */
#include "live.h"
#include "text.h"
#include "json/json.h"

#include "base/time.h"
#include "base/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (256 * 1024)
#define DRAW_EVERY_US (TIME_US_PER_SECOND / 10)

struct upload {
    struct cli *cli;
    const struct schema_method *method;
    const char *owner_field, *owner_id; /* which campaign, or company */
    const char *path;                   /* "-": standard input */
    int file;
    int64_t size, sent; /* size -1: not known */
    int64_t drawn_us, began_us;
    bool shows_progress;
    struct screen screen;
};

static void put_size(struct buf *out, int64_t bytes)
{
    if (bytes < 1024 * 1024)
        buf_printf(out, "%" PRId64 " KB", (bytes + 1023) / 1024);
    else
        buf_printf(out, "%.1f MB", (double)bytes / (1024 * 1024));
}

static void draw(struct upload *upload, bool all_sent)
{
    int64_t now = clock_system()->monotonic_us(clock_system());
    size_t width = terminal_width(STDERR_FILENO);
    struct buf line, out;
    if (!upload->shows_progress || (!all_sent && now - upload->drawn_us < DRAW_EVERY_US))
        return;
    upload->drawn_us = now;
    buf_init(&line, 0);
    buf_init(&out, 0);
    if (upload->size >= 0) {
        put_bar(&line, upload->sent, upload->size, width > 70 ? 30 : 10);
        buf_printf(&line, " %3d %%  ",
                   upload->size ? (int)(upload->sent * 100 / upload->size) : 100);
    }
    put_size(&line, upload->sent);
    if (upload->size >= 0) {
        buf_put_cstr(&line, " of ");
        put_size(&line, upload->size);
    }
    if (all_sent) {
        buf_put_cstr(&line, "   the rows are being stored …");
    } else if (now - upload->began_us > TIME_US_PER_SECOND) {
        buf_put_cstr(&line, "   ");
        put_size(&line, (int64_t)((double)upload->sent * 1e6 / (double)(now - upload->began_us)));
        buf_put_cstr(&line, " a second");
    }
    buf_put(&out, line.data, text_fit(buf_str(&line), width > 1 ? width - 1 : 79));
    buf_put_char(&out, '\n');
    if (!out.failed)
        screen_draw(&upload->screen, &out);
    buf_done(&line);
    buf_done(&out);
}

static void put_text(const struct upload *upload, const char *name, const char *value,
                     struct buf *out)
{
    const struct schema_field *field = schema_find_field(upload->method->input, str_from(name));
    if (field && value)
        wire_put_bytes(out, field->number, str_from(value));
}

/* By its name; the content decides in the service. */
static const char *media_type(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".csv", "text/csv"},
        {".xls", "application/vnd.ms-excel"},
        {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        size_t length = strlen(name), end = strlen(types[i].end);
        if (length > end && strcasecmp(name + length - end, types[i].end) == 0)
            return types[i].type;
    }
    return NULL;
}

/* Sends all of the file. False: the file cannot be read; a call that has ended is the receiver's to
 * find. */
static bool send_file(struct upload *upload, struct dialplane_stream *stream,
                      struct failure *failure)
{
    const struct schema_field *chunk =
        schema_find_field(upload->method->input, STR_LITERAL("chunk"));
    const char *slash = strrchr(upload->path, '/'), *name = slash ? slash + 1 : upload->path;
    char *piece = malloc(PIECE_BYTES);
    struct buf message;
    bool ok = piece != NULL, first = true;
    ssize_t count = 0;
    buf_init(&message, PIECE_BYTES + 2048);
    while (ok) {
        while ((count = read(upload->file, piece, PIECE_BYTES)) < 0 && errno == EINTR)
            ;
        if (count < 0 || (count == 0 && !first))
            break;
        buf_reset(&message);
        if (first) {
            put_text(upload, upload->owner_field, upload->owner_id, &message);
            if (upload->file != STDIN_FILENO && strlen(name) <= 255) {
                put_text(upload, "file_name", name, &message);
                put_text(upload, "content_type", media_type(name), &message);
            }
        }
        wire_put_bytes(&message, chunk->number, (struct str){piece, (size_t)count});
        ok = !message.failed;
        if (!ok || !dialplane_stream_send_bytes(stream, message.data, message.length))
            break;
        upload->sent += count;
        draw(upload, false);
        first = false;
        if (count == 0)
            break;
    }
    if (!ok)
        err_set(&failure->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    else if (count < 0)
        ok = err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%.250s: %s", upload->path,
                     strerror(errno));
    free(piece);
    buf_done(&message);
    return ok;
}

static bool upload_file(struct upload *upload, struct dialplane_client *client,
                        struct dialplane_bytes *ret_answer, struct failure *failure)
{
    struct dialplane_error error;
    struct dialplane_stream *stream =
        dialplane_stream_start(client, upload->method->path, upload->cli->timeout_ms);
    if (!stream)
        return err_set(&failure->err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    upload->began_us = clock_system()->monotonic_us(clock_system());
    bool ok = send_file(upload, stream, failure);
    if (ok) {
        dialplane_stream_end_sending(stream);
        draw(upload, true);
        ok = dialplane_stream_next_bytes(stream, ret_answer, &error);
        if (!ok && error.code == 0)
            err_set(&failure->err, ERR_INTERNAL, NULL, "the service gave no answer");
        else if (!ok)
            failure_from_error(upload->cli, session_backend(upload->method), &error, failure);
    }
    screen_close(&upload->screen, true);
    dialplane_stream_close(stream); /* a call that has not ended is cancelled: nothing is stored */
    return ok;
}

/* "Row 7: …" each on a line, then the counts. */
static bool show_result(struct cli *cli, const struct schema_method *method,
                        const struct dialplane_bytes *answer, int64_t *ret_refused,
                        struct failure *failure)
{
    struct str wire = {(const char *)answer->data, answer->size};
    struct buf text, out;
    buf_init(&text, (size_t)64 << 20);
    buf_init(&out, (size_t)64 << 20);
    bool ok =
        json_print(cli->schema, method->output, wire, JSON_PRINT_CONTRACT, &text, &failure->err);
    json_t *json = ok ? json_loadb(text.data, text.length, JSON_ALLOW_NUL, NULL) : NULL;
    size_t index;
    json_t *value;
    const char *key;
    *ret_refused = json_integer_value(json_object_get(json, "error_count"));
    if (cli->json) {
        buf_put_str(&out, buf_str(&text));
        buf_put_char(&out, '\n');
    } else if (json) {
        json_array_foreach(json_object_get(json, "errors"), index, value)
        {
            text_put_clean(&out,
                           str_from(json_string_value(value) ? json_string_value(value) : ""));
            buf_put_char(&out, '\n');
        }
        if (*ret_refused > (int64_t)index)
            buf_printf(&out, "… and %" PRId64 " more\n", *ret_refused - (int64_t)index);
        buf_put_cstr(&out, "rows");
        json_object_foreach(json, key, value)
        {
            if (!json_is_integer(value))
                continue;
            const char *shown = strcmp(key, "total") == 0         ? ""
                                : strcmp(key, "error_count") == 0 ? ", refused"
                                                                  : NULL;
            if (shown)
                buf_put_cstr(&out, shown);
            else
                buf_printf(&out, ", %s", key);
            buf_put_char(&out, ' ');
            text_put_count(&out, json_integer_value(value));
        }
        buf_put_char(&out, '\n');
    }
    ok = ok && !out.failed && (json || cli->json);
    if (ok)
        output_put(&out, stdout);
    else if (!failure->err.code)
        err_set(&failure->err, ERR_INTERNAL, NULL, "the answer cannot be shown");
    json_decref(json);
    buf_done(&text);
    buf_done(&out);
    return ok;
}

static bool open_file(struct upload *upload, struct failure *failure)
{
    struct stat status;
    bool is_input = strcmp(upload->path, "-") == 0;
    upload->size = -1;
    upload->file = is_input ? STDIN_FILENO : open(upload->path, O_RDONLY | O_CLOEXEC);
    if (upload->file < 0 || fstat(upload->file, &status) != 0)
        return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%.250s: %s", upload->path,
                       strerror(errno));
    if (S_ISDIR(status.st_mode))
        return err_set(&failure->err, ERR_INVALID_ARGUMENT, "USAGE", "%.250s is a folder",
                       upload->path);
    if (S_ISREG(status.st_mode) && !is_input)
        upload->size = status.st_size;
    return true;
}

int run_upload(struct cli *cli, const struct invocation *invocation)
{
    const struct positional *owner = &invocation->command->positionals[0];
    const char *term = getenv("TERM");
    struct failure failure;
    struct dialplane_bytes answer = {NULL, 0};
    int64_t refused = 0;
    struct upload upload = {.cli = cli,
                            .method = command_method(cli->schema, invocation->command),
                            .owner_field = owner->field,
                            .path = invocation->positionals[1],
                            .file = -1,
                            .screen = {.file = stderr}};
    upload.shows_progress = cli->err_is_terminal && !cli->json && term &&
                            strcmp(term, "dumb") != 0 && !invocation_has(invocation, "quiet");
    failure_init(&failure, cli->arena);
    struct dialplane_client *client = NULL;
    bool ok =
        open_file(&upload, &failure) &&
        resolve_id(cli, owner->resource, invocation->positionals[0], &upload.owner_id, &failure) &&
        (client = session_client(cli, session_backend(upload.method), &failure));
    if (ok) {
        interrupt_catch();
        ok = upload_file(&upload, client, &answer, &failure) &&
             show_result(cli, upload.method, &answer, &refused, &failure);
    }
    free(answer.data);
    if (upload.file > STDIN_FILENO)
        close(upload.file);
    if (!ok && interrupt_happened()) {
        fprintf(stderr, "dialplane: stopped; nothing was stored\n");
        return EXIT_INTERRUPTED;
    }
    if (!ok)
        return failure_tell(cli, invocation, &failure);
    return refused ? EXIT_ROWS_REFUSED : EXIT_OK;
}
