#include "live.h"

#include "text.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Signals belong to the process, so this is the one thing that is not in struct cli. */
static struct {
    struct cli *cli;
    pthread_t thread;
    sigset_t signals;
    int wake; /* readable once Ctrl-C was caught */
    _Atomic bool is_caught, has_happened, is_stopping;
} interrupt = {.wake = -1};

static void die_of(int number)
{
    sigset_t one;
    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    raise(number);
}

static void *wait_for_signals(void *unused)
{
    int number;
    (void)unused;
    while (sigwait(&interrupt.signals, &number) == 0 && !interrupt.is_stopping) {
        if (!interrupt.is_caught || interrupt.has_happened)
            die_of(number);
        interrupt.has_happened = true;
        uint64_t one = 1;
        if (write(interrupt.wake, &one, sizeof(one)) != (ssize_t)sizeof(one))
            die_of(number);
        for (int i = 0; i < BACKEND_COUNT; i++) {
            struct dialplane_client *client = interrupt.cli->clients[i];
            if (client)
                dialplane_client_shutdown(client);
        }
    }
    return NULL;
}

bool interrupt_start(struct cli *cli)
{
    interrupt.cli = cli;
    interrupt.wake = eventfd(0, EFD_CLOEXEC);
    sigemptyset(&interrupt.signals);
    sigaddset(&interrupt.signals, SIGINT);
    sigaddset(&interrupt.signals, SIGTERM);
    sigaddset(&interrupt.signals, SIGHUP);
    sigaddset(&interrupt.signals, SIGUSR1); /* interrupt_stop() */
    return interrupt.wake >= 0 && pthread_sigmask(SIG_BLOCK, &interrupt.signals, NULL) == 0 &&
           pthread_create(&interrupt.thread, NULL, wait_for_signals, NULL) == 0;
}

void interrupt_stop(void)
{
    interrupt.is_stopping = true;
    pthread_kill(interrupt.thread, SIGUSR1);
    pthread_join(interrupt.thread, NULL);
    close(interrupt.wake);
}

void interrupt_catch(void)
{
    interrupt.is_caught = true;
}

bool interrupt_happened(void)
{
    return interrupt.has_happened;
}

bool interrupt_wait(int64_t microseconds)
{
    struct pollfd wake = {.fd = interrupt.wake, .events = POLLIN};
    poll(&wake, 1, (int)((microseconds + 999) / 1000));
    return interrupt.has_happened;
}

void screen_draw(struct screen *screen, const struct buf *text)
{
    fputs(screen->is_open ? "" : "\x1b[?25l", screen->file); /* the cursor would flicker */
    if (screen->lines)
        fprintf(screen->file, "\x1b[%zuF\x1b[J", screen->lines);
    output_put(text, screen->file);
    fflush(screen->file);
    screen->is_open = true;
    screen->lines = 0;
    for (size_t i = 0; i < text->length; i++)
        screen->lines += text->data[i] == '\n';
}

void screen_close(struct screen *screen, bool erase)
{
    if (!screen->is_open)
        return;
    if (erase && screen->lines)
        fprintf(screen->file, "\x1b[%zuF\x1b[J", screen->lines);
    fputs("\x1b[?25h", screen->file);
    fflush(screen->file);
    *screen = (struct screen){.file = screen->file};
}

void put_bar(struct buf *out, int64_t done, int64_t total, size_t columns)
{
    double share = total > 0 ? (double)done / (double)total : 0;
    size_t full = (size_t)((share > 1 ? 1 : share < 0 ? 0 : share) * (double)columns);
    for (size_t i = 0; i < columns; i++)
        buf_put_cstr(out, i < full ? "█" : "░");
}
