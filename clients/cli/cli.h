/* cli: one run of the program: its settings, its connections, how it answers and fails. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "address.h"
#include "arguments.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"
#include "config.h"
#include "dialplane.h"
#include "schema/schema.h"

#include <stdio.h>

/* Exit statuses, as --help and the manual list them. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* anything that has no number of its own */
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_INVALID = 4,
    EXIT_CONFLICT = 5,
    EXIT_UNAVAILABLE = 6,
    EXIT_DENIED = 7,
    EXIT_DEADLINE = 8,
    EXIT_ROWS_REFUSED = 9,
    EXIT_INTERRUPTED = 130,
    EXIT_BROKEN_PIPE = 141,
};
struct exit_help {
    int status;
    const char *help;
};
extern const struct exit_help exit_helps[];
extern const size_t exit_help_count;

struct cli {
    const struct schema *schema;
    struct arena *arena; /* as long as the run */
    const char *config_path, *profile;
    struct config config;
    struct addresses addresses;
    const char *token;        /* NULL: none */
    struct dialplane_tls tls; /* empty: plain */
    bool allow_insecure, json;
    unsigned timeout_ms;
    bool out_is_terminal, err_is_terminal, styled; /* styled: standard output may have colours */
    bool is_connected;                             /* the client library is in use */
    /* Opened by the main thread as they are needed; live.c's looks at them when Ctrl-C comes. */
    _Atomic(struct dialplane_client *) clients[BACKEND_COUNT];
};

/* A file of values that the request was made of, so that errors can name a place in it. */
struct source {
    const char *name; /* "salon.json"; NULL: there is none */
    struct str text;
    const char
        *prefix; /* what is before the paths of the file in those of the request: "skillbase." */
};

/* What went wrong, and with which fields. */
struct failure {
    struct err err;
    struct violations violations;
    struct source source;
};

/* session.c */

/* Reads flags, environment and configuration file into the settings. */
bool session_configure(struct cli *cli, const struct invocation *invocation,
                       struct failure *failure);
void failure_init(struct failure *failure, struct arena *arena);
/* Which process serves a method. */
enum backend session_backend(const struct schema_method *method);
/* NULL with the failure told: the token may not be sent there. Opened at the first use. */
struct dialplane_client *session_client(struct cli *cli, enum backend backend,
                                        struct failure *failure);
void session_close(struct cli *cli);
/* One unary call; the answer lives in the arena. */
bool session_call(struct cli *cli, const struct schema_method *method, struct str request,
                  enum dialplane_call_mode mode, struct str *ret_response, struct failure *failure);
/* What a call's error means for people. */
void failure_from_error(const struct cli *cli, enum backend backend,
                        const struct dialplane_error *error, struct failure *failure);
/* The text of a file, or of standard input for "-"; in the arena, at most 32 MB. */
bool read_file(struct cli *cli, const char *name, struct str *ret_text, struct failure *failure);
/* "5s" between 100ms and 24h. */
bool parse_duration(const char *text, int64_t minimum_us, int64_t maximum_us, int64_t *ret_us,
                    char *reason, size_t reason_size);

/* config_file.c */

/* Reads the configuration file if there is one. */
bool config_file_load(struct cli *cli, struct failure *failure);

/* problem.c */

/* Says on standard error what went wrong, and gives the exit status. invocation may be NULL. */
int failure_tell(const struct cli *cli, const struct invocation *invocation,
                 const struct failure *failure);
int failure_status(const struct err *err);

/* request.c */

/* The request of the command's RPC from positionals, flags and file; lives in the arena. When
 * something is wrong with it locally, the service is asked for the rest, so that all of it is told
 * at once. */
bool request_build(struct cli *cli, const struct invocation *invocation, struct str *ret_request,
                   struct failure *failure);
/* text to an identifier: resolve.c. */
bool resolve_id(struct cli *cli, enum resource resource, const char *text, const char **ret_id,
                struct failure *failure);

/* output.c */

/* The answer as the settings want it, on standard output. */
bool output_answer(struct cli *cli, const struct command *command,
                   const struct schema_message *message, struct str answer,
                   struct failure *failure);
/* As JSON with a line break. */
bool output_json(struct cli *cli, const struct schema_message *message, struct str answer,
                 struct failure *failure);
/* The colour of a status word: an SGR sequence, or NULL. */
const char *output_style(const char *word);
/* Writes all of it; what cannot be written shows in output_finish(). */
void output_put(const struct buf *text, FILE *file);
/* 0 when it is no terminal. */
size_t terminal_width(int descriptor);
/* Flushes standard output; the status, or why it could not be written. */
int output_finish(int status);

/* The run of a command without code of its own. */
int run_generic(struct cli *cli, const struct invocation *invocation);

/* help.c: what follows from the table, as text. group and command may be NULL. */
void help_print(const struct schema *schema, const struct command_group *group,
                const struct command *command, size_t width, struct buf *out);
bool completion_print(const struct schema *schema, const char *shell, struct buf *out);
void man_print(const struct schema *schema, struct buf *out);

#endif
