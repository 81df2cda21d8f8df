/* move_campaign: what start, pause and cancel have in common. */
#ifndef DIALPLANE_CAMPAIGN_MOVE_CAMPAIGN_H
#define DIALPLANE_CAMPAIGN_MOVE_CAMPAIGN_H

#include "domain/moves.h"

struct rpc_call;

/* Makes the move under the campaign's lock and answers with the campaign, or with WRONG_STATE,
 * NO_TASKS, ETAG_MISMATCH, NOT_FOUND. `id` must live as long as the call. */
void move_campaign(struct rpc_call *call, const char *id, enum campaign_move move);

#endif
