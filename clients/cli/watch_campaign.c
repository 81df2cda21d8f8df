/* dialplane campaign watch: asks for the campaign again and again, and shows what has changed. */
#include "live.h"
#include "text.h"
#include "json/json.h"

#include "base/time.h"
#include "base/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES 64
#define RATE_OVER_US (60 * TIME_US_PER_SECOND)

struct sample {
    int64_t at_us, done;
};

struct watch {
    struct cli *cli;
    const struct invocation *invocation;
    const struct schema_method *method;
    struct str request;
    bool in_place;
    struct screen screen;
    struct sample samples[SAMPLES]; /* a ring, the newest at (next - 1) */
    size_t sample_count, next;
    int64_t rate; /* contacts done in an hour of the last minute's speed; -1: not known yet */
    char *last;   /* the last line printed, so that only changes are */
    bool is_lost; /* the connection: it is tried again */
};

static int64_t done_of(const Dialplane__V1__Campaign *campaign)
{
    return campaign->completed_tasks + campaign->failed_tasks + campaign->cancelled_tasks;
}

static void take_sample(struct watch *watch, int64_t done)
{
    int64_t now = clock_system()->monotonic_us(clock_system());
    watch->samples[watch->next] = (struct sample){now, done};
    watch->next = (watch->next + 1) % SAMPLES;
    if (watch->sample_count < SAMPLES)
        watch->sample_count++;
    struct sample oldest = {now, done};
    for (size_t i = 0; i < watch->sample_count; i++) {
        const struct sample *sample = &watch->samples[i];
        if (now - sample->at_us <= RATE_OVER_US && sample->at_us < oldest.at_us)
            oldest = *sample;
    }
    int64_t passed = now - oldest.at_us;
    watch->rate = passed < 2 * TIME_US_PER_SECOND || done < oldest.done
                      ? -1
                      : (int64_t)((double)(done - oldest.done) * 3600e6 / (double)passed);
}

static const char *status_word(const struct watch *watch, const Dialplane__V1__Campaign *campaign)
{
    const struct schema_field *field =
        schema_find_field(watch->method->output, STR_LITERAL("status"));
    const struct schema_enum_value *value =
        schema_find_enum_number(field->enumeration, (int32_t)campaign->status);
    return value ? value->word : "unknown";
}

/* "about 2 h 5 min left" */
static void put_left(struct buf *out, int64_t open, int64_t rate_an_hour)
{
    int64_t minutes = (open * 60 + rate_an_hour - 1) / rate_an_hour;
    if (minutes < 60)
        buf_printf(out, "about %" PRId64 " min left", minutes);
    else if (minutes < 48 * 60)
        buf_printf(out, "about %" PRId64 " h %" PRId64 " min left", minutes / 60, minutes % 60);
    else
        buf_printf(out, "about %" PRId64 " days left", minutes / (24 * 60));
}

/* One line of the screen: cut to the terminal's width, so that lines can be counted. */
static void put_line(struct buf *out, const struct buf *line, size_t width, const char *style)
{
    struct str text = {line->data, text_fit(buf_str(line), width)};
    if (style)
        buf_printf(out, "\x1b[%sm", style);
    buf_put_str(out, text);
    buf_put_cstr(out, style ? "\x1b[0m\n" : "\n");
}

static void put_counter(struct buf *out, const char *name, int64_t count, bool always)
{
    if (!always && count == 0)
        return;
    buf_put_cstr(out, out->length ? "   " : "  ");
    buf_printf(out, "%s ", name);
    text_put_count(out, count);
}

static void put_counters(struct buf *out, const Dialplane__V1__Campaign *campaign)
{
    put_counter(out, "reached", campaign->completed_tasks, true);
    put_counter(out, "failed", campaign->failed_tasks, true);
    put_counter(out, "waiting", campaign->pending_tasks, true);
    put_counter(out, "calling", campaign->in_progress_tasks, true);
    put_counter(out, "suppressed", campaign->suppressed_tasks, false);
    put_counter(out, "unknown", campaign->unknown_tasks, false);
    put_counter(out, "cancelled", campaign->cancelled_tasks, false);
}

static void draw(struct watch *watch, const Dialplane__V1__Campaign *campaign)
{
    size_t width = terminal_width(STDOUT_FILENO);
    const char *word = status_word(watch, campaign);
    bool styled = watch->cli->styled;
    struct buf out, line;
    int64_t done = done_of(campaign), total = campaign->total_tasks;
    width = width > 1 ? width - 1 : 79; /* the last column makes some terminals wrap */
    buf_init(&out, 0);
    buf_init(&line, 0);
    text_put_clean(&line, str_from(campaign->name));
    put_line(&out, &line, width, styled ? "1" : NULL);
    buf_reset(&line);
    buf_printf(&line, "  %s", word);
    buf_printf(&line, "   %s", campaign->id);
    put_line(&out, &line, width, styled ? output_style(word) : NULL);
    buf_reset(&line);
    buf_put_cstr(&line, "  ");
    put_bar(&line, done, total, width > 70 ? 40 : width > 40 ? width - 30 : 10);
    buf_printf(&line, " %3d %%  ", total > 0 ? (int)(done * 100 / total) : 0);
    text_put_count(&line, done);
    buf_put_cstr(&line, " of ");
    text_put_count(&line, total);
    put_line(&out, &line, width, NULL);
    buf_reset(&line);
    put_counters(&line, campaign);
    put_line(&out, &line, width, NULL);
    buf_reset(&line);
    if (watch->is_lost) {
        buf_put_cstr(&line, "  the connection is lost; trying again …");
    } else if (watch->rate >= 0) {
        buf_printf(&line, "  %.1f contacts a minute   ", (double)watch->rate / 60);
        if (watch->rate > 0 &&
            campaign->status == DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_RUNNING)
            put_left(&line, total - done, watch->rate);
    }
    put_line(&out, &line, width, styled ? "2" : NULL);
    if (!out.failed && !line.failed)
        screen_draw(&watch->screen, &out);
    buf_done(&line);
    buf_done(&out);
}

/* A line for each change, for files and pipes. */
static void print_plain(struct watch *watch, const Dialplane__V1__Campaign *campaign,
                        struct str answer, struct failure *failure)
{
    struct buf line;
    buf_init(&line, 0);
    if (watch->cli->json) {
        json_print(watch->cli->schema, watch->method->output, answer, JSON_PRINT_CONTRACT, &line,
                   &failure->err);
    } else {
        buf_printf(&line,
                   "%s  %" PRId64 " of %" PRId64 " done  reached %" PRId64 "  failed %" PRId64
                   "  waiting %" PRId64 "  calling %" PRId64,
                   status_word(watch, campaign), done_of(campaign), campaign->total_tasks,
                   campaign->completed_tasks, campaign->failed_tasks, campaign->pending_tasks,
                   campaign->in_progress_tasks);
    }
    char *text = buf_take_cstr(&line);
    buf_done(&line);
    if (text && (!watch->last || strcmp(text, watch->last) != 0)) {
        char at[TIME_TEXT_SIZE];
        time_format_rfc3339(clock_system()->wall_us(clock_system()), at);
        if (watch->cli->json)
            printf("%s\n", text);
        else
            printf("%.10s %.8sZ  %s\n", at, at + 11, text);
        fflush(stdout);
        free(watch->last);
        watch->last = text;
        text = NULL;
    }
    free(text);
}

static bool has_ended(const Dialplane__V1__Campaign *campaign)
{
    return campaign->status == DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_COMPLETED ||
           campaign->status == DIALPLANE__V1__CAMPAIGN_STATUS__CAMPAIGN_STATUS_CANCELLED;
}

/* One question and its answer on the screen. campaign is kept for the next drawing. */
static bool ask(struct watch *watch, struct dialplane_client *client,
                Dialplane__V1__Campaign **campaign, struct failure *failure)
{
    struct dialplane_bytes answer;
    struct dialplane_error error;
    if (!dialplane_call_bytes(client, watch->method->path, watch->request.data,
                              watch->request.length, DIALPLANE_CALL, watch->cli->timeout_ms,
                              &answer, &error)) {
        bool goes_on = *campaign && !interrupt_happened() &&
                       (dialplane_is_transient(&error) || error.code == ERR_DEADLINE_EXCEEDED);
        if (goes_on && !watch->is_lost && !watch->in_place)
            fprintf(stderr, "dialplane: the connection is lost; trying again\n");
        watch->is_lost = goes_on;
        if (goes_on && watch->in_place)
            draw(watch, *campaign);
        if (!goes_on)
            failure_from_error(watch->cli, session_backend(watch->method), &error, failure);
        return goes_on;
    }
    watch->is_lost = false;
    Dialplane__V1__Campaign *fresh =
        dialplane__v1__campaign__unpack(NULL, answer.size, answer.data);
    if (fresh) {
        dialplane_free(*campaign);
        *campaign = fresh;
        take_sample(watch, done_of(fresh));
        if (watch->in_place)
            draw(watch, fresh);
        else
            print_plain(watch, fresh, (struct str){(const char *)answer.data, answer.size},
                        failure);
    } else {
        err_set(&failure->err, ERR_INTERNAL, NULL, "the answer is no campaign");
    }
    free(answer.data);
    return fresh != NULL;
}

int run_watch_campaign(struct cli *cli, const struct invocation *invocation)
{
    const char *interval = invocation_value(invocation, "interval");
    int64_t interval_us = TIME_US_PER_SECOND;
    char reason[120];
    struct failure failure;
    const char *term = getenv("TERM");
    struct watch watch = {.cli = cli,
                          .invocation = invocation,
                          .method = command_method(cli->schema, invocation->command),
                          .in_place = cli->out_is_terminal && !cli->json && term &&
                                      strcmp(term, "dumb") != 0,
                          .screen = {.file = stdout},
                          .rate = -1};
    Dialplane__V1__Campaign *campaign = NULL;
    failure_init(&failure, cli->arena);
    if (interval && !parse_duration(interval, TIME_US_PER_SECOND / 10, 3600 * TIME_US_PER_SECOND,
                                    &interval_us, reason, sizeof(reason))) {
        err_set(&failure.err, ERR_INVALID_ARGUMENT, "USAGE", "--interval: %s", reason);
        return failure_tell(cli, invocation, &failure);
    }
    struct dialplane_client *client = NULL;
    bool ok = request_build(cli, invocation, &watch.request, &failure) &&
              (client = session_client(cli, session_backend(watch.method), &failure));
    if (ok)
        interrupt_catch();
    while (ok && (ok = ask(&watch, client, &campaign, &failure))) {
        if (has_ended(campaign) || ferror(stdout) || interrupt_wait(interval_us))
            break;
    }
    screen_close(&watch.screen, false);
    dialplane_free(campaign);
    free(watch.last);
    if (interrupt_happened())
        return EXIT_INTERRUPTED;
    return ok ? EXIT_OK : failure_tell(cli, invocation, &failure);
}
