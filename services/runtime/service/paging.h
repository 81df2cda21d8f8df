/* paging: where a page of a list ended, as an opaque token, so that the next page is found by key
 * and not by counting. Most lists use it through list.h. */
#ifndef DIALPLANE_SERVICE_PAGING_H
#define DIALPLANE_SERVICE_PAGING_H

#include "base/arena.h"
#include "base/err.h"
#include "base/uuid.h"
#include "pg/pg.h"

#include <stdbool.h>
#include <stdint.h>

/* The key of a page's last row. A list uses the parts that its ORDER BY has and leaves the others
 * 0. */
struct page_key {
    int64_t number;   /* a rank that comes before the time: a priority, a version */
    int64_t time_us;  /* of years 0001 to 9999 */
    const char *text; /* a name; NULL reads back as "" */
    struct uuid id;
};

/* A token for `key`: base64url of version, parts and a checksum. `scope` names the list
 * ("skillbases"; a list inside something takes that in as well: "tasks/<campaign id>"), so that the
 * token of one list is refused by another. NULL when the arena is exhausted. */
char *page_token_make(struct arena *arena, const char *scope, const struct page_key *key);
/* The key in a token. False when page_token_make() cannot have made it for this scope. The checksum
 * finds mistakes, not forgeries: a key only says where to start, and what may be seen there is for
 * the statement to say. */
bool page_token_read(struct arena *arena, const char *scope, const char *token,
                     struct page_key *ret_key);

/* The scope of a list inside something: "tasks/" and the id, which is the same in either case.
 * NULL: arena exhausted. */
char *page_scope(struct arena *arena, const char *list, const char *id);

/* What rows are ordered by, and so which columns are their key. */
enum page_order {
    PAGE_BY_TIME,            /* timestamptz, uuid */
    PAGE_BY_NUMBER,          /* an integer that no two rows share */
    PAGE_BY_NUMBER_AND_UUID, /* an integer, uuid */
    PAGE_BY_NAME,            /* text that no two rows share */
};
/* Where a page begins. */
struct page_start {
    bool continues; /* false: with the first row */
    struct page_key after;
};
/* One or two parameters, as the order says: NULLs for the first page. */
void param_page(struct pg_params *params, enum page_order order, const struct page_start *start);
/* The page that follows `row`, whose key is in `columns`. A name goes into the arena, where its
 * lack shows. */
struct page_start page_after(struct arena *arena, enum page_order order,
                             const struct pg_result *rows, int row, const int columns[2]);

/* For a handler's `check`: a violation of `page_token` when the token is not one of this scope.
 * NULL and "" mean the first page. */
void page_check_token(const char *scope, const char *token, struct violations *violations);
/* The same for a list that has `skip` too: both at once are a violation. */
void page_check(const char *scope, int64_t skip, const char *token, struct violations *violations);

#endif
