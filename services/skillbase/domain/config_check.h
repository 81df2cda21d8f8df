/* config_check: what a skillbase's configuration must fulfil beyond the value rules of the .proto.
 * Pure: no I/O. */
#ifndef DIALPLANE_SKILLBASE_CONFIG_CHECK_H
#define DIALPLANE_SKILLBASE_CONFIG_CHECK_H

#include "base/err.h"

#include "dialplane/v1/skillbase.pb-c.h"

/* Adds what is wrong with `config`, each with its path below `path` ("skillbase.config"):
 *  - ids of states and names of tools must be unique;
 *  - in a graph both ends of every transition must name a state. (A linear flow goes through its
 *    states in their order and does not look at transitions, so there they are only doubtful.)
 * Takes any message, one that broke value rules too, and says nothing about what those rules have
 * said already. O(n log n). */
void skillbase_config_check(const Dialplane__V1__SkillbaseConfig *config, const char *path,
                            struct violations *violations);

/* Adds to `warnings` what is doubtful in a configuration that has passed the check: states of a
 * graph that cannot be reached from the first one, and transitions of a linear flow that name no
 * state. O(n log n). */
void skillbase_config_doubt(const Dialplane__V1__SkillbaseConfig *config, const char *path,
                            struct violations *warnings);

#endif
