/* live: what commands that go on for a while share: Ctrl-C, waiting, drawing in place. */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "cli.h"

#include <stdio.h>

/* Once, before any other thread: from then on Ctrl-C (and SIGTERM, SIGHUP) ends the program at
 * once, until interrupt_catch(). False: no thread. */
bool interrupt_start(struct cli *cli);
/* Before the program ends. */
void interrupt_stop(void);
/* From now on the first Ctrl-C ends every call of this run's clients with CANCELLED and is told by
 * interrupt_happened(); the second ends the program. */
void interrupt_catch(void);
bool interrupt_happened(void);
/* Waits; true at once when Ctrl-C was pressed. */
bool interrupt_wait(int64_t microseconds);

/* A few lines at the end of the terminal that are drawn again and again. */
struct screen {
    FILE *file;
    bool is_open;
    size_t lines; /* drawn now */
};
/* Draws `text`, lines that each fit the terminal, over what was drawn before. */
void screen_draw(struct screen *screen, const struct buf *text);
/* Takes the drawing away (or leaves it standing) and gives the cursor back. */
void screen_close(struct screen *screen, bool erase);

/* Appends a bar of `columns` for done of total. */
void put_bar(struct buf *out, int64_t done, int64_t total, size_t columns);

#endif
