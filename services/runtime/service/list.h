/* list: what the methods share that list things by pages. Of their messages it knows the fields
 * that all of them call the same: `limit`, `page_token` and, where there is one, `skip` of the
 * request; `items`, `total` and `next_page_token` of the response. */
#ifndef DIALPLANE_SERVICE_LIST_H
#define DIALPLANE_SERVICE_LIST_H

#include "base/err.h"
#include "pg/pg.h"
#include "rpc/rpc.h"
#include "service/paging.h"

#include <stddef.h>

/* A list method. Its statement gives either one row more than the page when another page follows,
 * or the page and how many rows it had found. Without rows to show it gives one with NULLs as key,
 * for the total; none at all when there is no such parent. */
struct list {
    const char *scope;  /* of its page tokens (paging.h); after a last "/" goes parent_field */
    const char *parent; /* "campaign": what it is a list of; NULL: of everything */
    const char *parent_field; /* of the request: the parent's id */
    const ProtobufCMessageDescriptor *response;
    enum page_order order;
    int key_columns[2]; /* as the order says */
    int total_column;
    int fetched_column; /* rows that were found; 0: the statement gives one row more */
    int bytes_column;   /* text or bytes that bytes_limit counts */
    size_t bytes_limit; /* a page ends with the row that passes it; 0: none */
    /* A row as message, in the call's arena. NULL with err, or when the arena is exhausted. */
    void *(*item)(struct rpc_call *call, const struct pg_result *rows, int row, struct err *err);
};

/* For a handler's `check`: page_token and skip. */
void list_check(const struct list *list, const void *request, struct violations *violations);
/* Fills the request's defaults and reads where the page begins. False after the call has been
 * failed. `list` outlives the call, whose state (rpc_call_set_state()) it takes. */
bool list_open(struct rpc_call *call, const struct list *list, const void *request);
/* Parameters of an open list: the key after which the page begins (one or two, as the order says;
 * NULLs for the first page), rows to skip if the request has them, and rows of a page. */
void list_param_page(struct pg_params *params, const struct rpc_call *call);
/* The callback of its statement, context the call: answers. */
void list_on_rows(void *call, const struct pg_outcome *outcome);

#endif
