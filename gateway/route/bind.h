/* bind: the path's variables and the query's parameters as fields of the request, in wire form.
 * Pure. */
#ifndef GATEWAY_ROUTE_BIND_H
#define GATEWAY_ROUTE_BIND_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "gateway/route/router.h"

/* Appends the fields that the path carries. False (with err) only when memory is short; a wrong
 * value is a violation. */
bool bind_path(const struct route_match *match, struct arena *arena, struct buf *out,
               struct violations *violations, struct err *err);

/* Appends the fields that the query carries. Names are dotted field paths in either spelling; a
 * repeated field repeats the name; an entry of a map<string, string> is "<map>.<key>" or
 * "<map>[<key>]". What names no field, is given twice, is already bound by path or body, or is a
 * second member of a oneof: a violation. A malformed escape or bad UTF-8: false, with err. */
bool bind_query(const struct route *route, struct str query, struct arena *arena, struct buf *out,
                struct violations *violations, struct err *err);

/* One named value from elsewhere (a form part before the file), by the rules of the query. `seen`
 * carries what was given so far. */
struct bind_seen;
struct bind_seen *bind_seen_new(struct arena *arena);
bool bind_value(const struct route *route, struct str name, struct str value,
                struct bind_seen *seen, struct arena *arena, struct buf *out,
                struct violations *violations);

#endif
