/* template: parses one path template of google.api.http ("/v1/{shelf}/books/{id}:publish"). Pure;
 * used at start only. */
#ifndef GATEWAY_ROUTE_TEMPLATE_H
#define GATEWAY_ROUTE_TEMPLATE_H

#include "gateway/route/router.h"

struct template_segment {
    enum { TEMPLATE_LITERAL, TEMPLATE_STAR, TEMPLATE_STAR_STAR } kind;
    struct str literal;
};

struct template
{
    struct template_segment segments[ROUTE_SEGMENTS_MAX];
    unsigned segment_count;
    struct route_variable *variables; /* in the arena */
    size_t variable_count;
    struct str custom_verb; /* empty: none */
};

bool template_parse(const char *text, const struct schema_message *input, struct arena *arena,
                    struct template *ret_template, struct err *err);

/* Resolves a dotted path of either spelling to the fields on its way; 0 when it names none. */
unsigned field_path_resolve(const struct schema_message *message, struct str path,
                            const struct schema_field *ret_fields[ROUTE_VARIABLE_DEPTH]);
/* True when text alone can be its value: scalars, enums, and messages with a scalar JSON form. */
bool field_takes_text(const struct schema_field *field);

#endif
