/* secrets: values in the settings of tools that are written and never read back. A value whose key
 * is called like a secret (secret_names.h), at any depth of Tool.config, is shown as "***",
 * whatever it is; so is `value` beside a `name`, `key` or `header` that is called so ({"name":
 * "Authorization", "value": "…"}). null, "", {} and [] are no secrets. Where "***" comes back, what
 * is stored stays. Pure. */
#ifndef DIALPLANE_SKILLBASE_SECRETS_H
#define DIALPLANE_SKILLBASE_SECRETS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "domain/secret_names.h"

#include "dialplane/v1/skillbase.pb-c.h"

#define SECRET_MARK "***"

enum secrets_shown {
    SECRETS_NONE,   /* there are none: `wire` may be shown as it is, nothing was written */
    SECRETS_HIDDEN, /* `out` has what may be shown */
    SECRETS_BROKEN, /* not a configuration, or memory is short (out->failed): show nothing */
};
/* `wire` is a serialized dialplane.v1.SkillbaseConfig. Linear in its size but for its depth. */
enum secrets_shown secrets_hide(const struct secret_names *names, struct str wire, struct buf *out);

/* How many values of `config` (any message; NULL is allowed) are "***" in place of a secret. Each
 * is added to `marks` with its path below `path` (NULL: not wanted). A secret that is hidden in
 * parts only ("***" somewhere inside it) can be neither kept nor stored: that is added to `wrong`.
 */
size_t secrets_find_marks(const struct secret_names *names,
                          const Dialplane__V1__SkillbaseConfig *config, const char *path,
                          struct violations *marks, struct violations *wrong);

/* Puts what `stored` has in place of each "***" in `config`; its values are borrowed from then on.
 * Configurations that have passed the rules. When the arena is exhausted, nothing more is restored.
 * Adds those for which there is nothing to `wrong`. What belongs together:
 *  - tools of one name; a tool of a new name belongs to the one stored tool that is gone and has
 * all that it wants to keep;
 *  - members of one key;
 *  - items of a list with the same id, name, key or header (the first of them that the item has);
 *    else one that is equal but for its secrets; else, in lists of one length, the one in the same
 *    place, unless that is another's. */
void secrets_restore(const struct secret_names *names, Dialplane__V1__SkillbaseConfig *config,
                     const Dialplane__V1__SkillbaseConfig *stored, const char *path,
                     struct arena *arena, struct violations *wrong);

#endif
