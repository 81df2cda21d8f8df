#include "domain/moves.h"

#include <string.h>

static const char *const startable[] = {"draft", "paused", "completed"};
static const char *const pausable[] = {"running"};
static const char *const cancellable[] = {"draft", "running", "paused"};

#define STATES(states) (states), sizeof(states) / sizeof((states)[0])
static const struct campaign_move_rule rules[CAMPAIGN_MOVES] = {
    [CAMPAIGN_START] = {"started", "running", STATES(startable)},
    [CAMPAIGN_PAUSE] = {"paused", "paused", STATES(pausable)},
    [CAMPAIGN_CANCEL] = {"cancelled", "cancelled", STATES(cancellable)},
};

const struct campaign_move_rule *campaign_move_rule(enum campaign_move move)
{
    return &rules[move];
}

bool campaign_move_is_allowed(enum campaign_move move, const char *state)
{
    const struct campaign_move_rule *rule = &rules[move];

    for (size_t i = 0; i < rule->allowed_count; i++)
        if (!strcmp(rule->allowed[i], state))
            return true;
    return false;
}
