/* moves: the state machine of a campaign as one table.
 *
 *   draft ── start ──▶ running ── pause ──▶ paused ── start ──▶ running
 *   running, paused ── the last task ends ──▶ completed ── start, with new tasks ──▶ running
 *   draft, running, paused ── cancel ──▶ cancelled
 *
 * SQL's move_campaign() takes the allowed states from here and checks them under the campaign's
 * lock. */
#ifndef DIALPLANE_CAMPAIGN_DOMAIN_MOVES_H
#define DIALPLANE_CAMPAIGN_DOMAIN_MOVES_H

#include <stdbool.h>
#include <stddef.h>

enum campaign_move { CAMPAIGN_START, CAMPAIGN_PAUSE, CAMPAIGN_CANCEL, CAMPAIGN_MOVES };

struct campaign_move_rule {
    const char *verb;           /* "started": for sentences */
    const char *target;         /* the state it leads to */
    const char *const *allowed; /* the states from which it may be made */
    size_t allowed_count;
};
const struct campaign_move_rule *campaign_move_rule(enum campaign_move move);
bool campaign_move_is_allowed(enum campaign_move move, const char *state);

#endif
