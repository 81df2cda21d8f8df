/* xml: expat for parts of a package, with what it leaves open bounded: no DTD (and so no entities),
 * no tag longer than a megabyte, no nesting without end. Names come without their prefix. */
#ifndef DIALPLANE_CAMPAIGN_READERS_XML_H
#define DIALPLANE_CAMPAIGN_READERS_XML_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* attributes: name, value, name, value, …, NULL; names as they stand in the file. */
struct xml_handlers {
    void (*start)(void *context, const char *name, const char **attributes);
    void (*end)(void *context, const char *name);
    void (*text)(void *context, struct str text); /* in pieces; NULL: not wanted */
};

struct xml;
/* `part` (static) names it in errors. NULL when memory is short. */
struct xml *xml_new(const struct xml_handlers *handlers, void *context, const char *part);
void xml_free(struct xml *xml);

enum xml_result { XML_TAKEN, XML_PAUSED, XML_FAILED };
/* All of `bytes`, unless a handler pauses; xml_resume() then goes on with what is left of them.
 * Errors INVALID_ARGUMENT, RESOURCE_EXHAUSTED, or what xml_fail() was given. */
enum xml_result xml_feed(struct xml *xml, struct str bytes, bool is_end, struct err *err);
enum xml_result xml_resume(struct xml *xml, struct err *err);

/* From a handler. */
void xml_pause(struct xml *xml);
bool xml_fail(struct xml *xml, const struct err *err);
/* The value of the attribute with that name without prefix; NULL: there is none. */
const char *xml_attribute(const char **attributes, const char *name);
/* The same, only with a prefix: r:id. */
const char *xml_prefixed_attribute(const char **attributes, const char *name);

#endif
