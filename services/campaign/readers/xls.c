#include "readers/xls.h"

#include "readers/xls_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 100
#define READ_BYTES ((size_t)64 * 1024)

struct xls {
    struct sheet_row row;
    pid_t process; /* 0: none, or it has been waited for */
    int fd;        /* of its output */
    struct buf in; /* frames that are not read yet */
    size_t in_at;
    char sheet_name[256];
    bool has_ended; /* with a frame that says so */
};

/* ---- The process ---- */

/* Beside this program. */
static bool find_program(char *out, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", out, size - 1);

    if (length <= 0)
        return false;
    out[length] = '\0';
    char *slash = strrchr(out, '/');
    size_t folder = slash ? (size_t)(slash - out) + 1 : 0;

    if (folder + sizeof(XLS_PROGRAM) > size)
        return false;
    memcpy(out + folder, XLS_PROGRAM, sizeof(XLS_PROGRAM));
    return true;
}

/* With the file as its standard input, and nothing else of ours. */
static int spawn(pid_t *ret_process, const char *program, const char *sheet, int file, int output)
{
    char name[] = XLS_PROGRAM, *arguments[] = {name, (char *)(uintptr_t)sheet, NULL};
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int error;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO);
    error = error ? error : posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    error =
        error ? error
              : posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    error = error ? error : posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    error = error
                ? error
                : posix_spawn(ret_process, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static bool start(struct xls *xls, const struct spool *spool, const char *sheet, struct err *err)
{
    char program[4096];
    int fds[2], error;

    if (!find_program(program, sizeof(program)))
        return err_set(err, ERR_INTERNAL, NULL, "the reader of .xls files cannot be found");
    if (pipe2(fds, O_CLOEXEC))
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "descriptors are short");
    error = spawn(&xls->process, program, sheet ? sheet : "", spool->fd, fds[1]);
    close(fds[1]);
    xls->fd = fds[0];
    if (!error)
        return true;
    xls->process = 0;
    return err_set(err, ERR_INTERNAL, NULL, "the reader of .xls files cannot be started: %s",
                   strerror(error));
}

struct xls *xls_open(const struct spool *spool, const struct sheet_options *options,
                     struct err *err)
{
    struct xls *xls = calloc(1, sizeof(*xls));

    if (!xls) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    xls->fd = -1;
    sheet_row_init(&xls->row, options->on_row, options->context);
    buf_init(&xls->in, sizeof(struct xls_frame) + XLS_FRAME_MOST + READ_BYTES);
    if (!start(xls, spool, options->sheet, err)) {
        xls_free(xls);
        return NULL;
    }
    return xls;
}

static int wait_for(struct xls *xls)
{
    int status = 0;

    while (xls->process && waitpid(xls->process, &status, 0) < 0 && errno == EINTR)
        ;
    xls->process = 0;
    return status;
}

void xls_free(struct xls *xls)
{
    if (!xls)
        return;
    if (xls->process)
        kill(xls->process, SIGKILL);
    wait_for(xls);
    if (xls->fd >= 0)
        close(xls->fd);
    sheet_row_done(&xls->row);
    buf_done(&xls->in);
    free(xls);
}

const char *xls_sheet_name(const struct xls *xls)
{
    return *xls->sheet_name ? xls->sheet_name : NULL;
}

/* ---- Frames ---- */

static enum list_result broken(struct err *err)
{
    err_set(err, ERR_INVALID_ARGUMENT, NULL,
            "the .xls file is damaged, or larger than can be read: save the list as .xlsx or CSV");
    return LIST_FAILED;
}

/* False: the frame is none. */
static bool take_row(struct xls *xls, struct str frame, bool *ret_go_on)
{
    struct xls_row row;
    struct xls_cell cell;

    if (frame.length < sizeof(row))
        return false;
    memcpy(&row, frame.data, sizeof(row));
    frame = (struct str){frame.data + sizeof(row), frame.length - sizeof(row)};
    if (!row.number || (int64_t)row.number <= xls->row.number)
        return false;
    sheet_row_begin(&xls->row, row.number);
    while (frame.length >= sizeof(cell)) {
        memcpy(&cell, frame.data, sizeof(cell));
        frame = (struct str){frame.data + sizeof(cell), frame.length - sizeof(cell)};
        if (cell.column >= XLS_COLUMNS_MOST || cell.length > frame.length)
            return false;
        sheet_row_put(&xls->row, cell.column, (struct str){frame.data, cell.length});
        frame = (struct str){frame.data + cell.length, frame.length - cell.length};
    }
    if (frame.length)
        return false;
    *ret_go_on = sheet_row_end(&xls->row);
    return true;
}

static enum list_result take_frame(struct xls *xls, uint32_t kind, struct str frame,
                                   struct err *err)
{
    bool go_on = true;

    switch (kind) {
    case XLS_SHEET:
        snprintf(xls->sheet_name, sizeof(xls->sheet_name), "%.*s", (int)frame.length, frame.data);
        break;
    case XLS_ROW:
        if (!take_row(xls, frame, &go_on))
            return broken(err);
        break;
    case XLS_ERROR:
        if (!utf8_is_valid(frame.data, frame.length))
            return broken(err);
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%.*s", (int)frame.length, frame.data);
        return LIST_FAILED;
    case XLS_END:
        xls->has_ended = true;
        return LIST_ENDED;
    default:
        return broken(err);
    }
    return go_on ? LIST_NEEDS_INPUT : LIST_PAUSED;
}

/* Whole frames of what has come; LIST_NEEDS_INPUT when there is none left. */
static enum list_result take_frames(struct xls *xls, struct err *err)
{
    enum list_result result = LIST_NEEDS_INPUT;

    while (result == LIST_NEEDS_INPUT) {
        size_t left = xls->in.length - xls->in_at;
        struct xls_frame frame;

        if (left < sizeof(frame))
            break;
        memcpy(&frame, xls->in.data + xls->in_at, sizeof(frame));
        if (frame.length > XLS_FRAME_MOST)
            return broken(err);
        if (left < sizeof(frame) + frame.length)
            break;
        struct str body = {xls->in.data + xls->in_at + sizeof(frame), frame.length};

        xls->in_at += sizeof(frame) + frame.length;
        result = take_frame(xls, frame.kind, body, err);
    }
    return result;
}

/* What a process leaves that ends without a word. */
static enum list_result ended_early(struct xls *xls, struct err *err)
{
    int status = wait_for(xls);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        err_set(err, ERR_INTERNAL, NULL, "the reader of .xls files is not installed");
        return LIST_FAILED;
    }
    return broken(err);
}

enum list_result xls_read(struct xls *xls, struct err *err)
{
    enum list_result result = take_frames(xls, err);
    struct pollfd pollfd = {.fd = xls->fd, .events = POLLIN};

    if (result != LIST_NEEDS_INPUT || xls->has_ended)
        return xls->has_ended ? LIST_ENDED : result;
    buf_consume(&xls->in, xls->in_at);
    xls->in_at = 0;
    if (poll(&pollfd, 1, WAIT_MS) <= 0)
        return LIST_PAUSED;
    char *room = buf_reserve(&xls->in, READ_BYTES);
    ssize_t got = room ? read(xls->fd, room, READ_BYTES) : -1;

    if (got < 0 && room && errno == EINTR)
        return LIST_PAUSED;
    if (got < 0) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return LIST_FAILED;
    }
    if (got == 0)
        return ended_early(xls, err);
    xls->in.length += (size_t)got;
    result = take_frames(xls, err);
    return result == LIST_NEEDS_INPUT ? LIST_PAUSED : result;
}
