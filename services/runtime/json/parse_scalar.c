/* Values from query strings and path segments. */
#include "json/parse_internal.h"
#include "json/wire_inline.h"

static bool put_message(struct json_parser *parser, const struct json_path *path,
                        const struct schema_field *field, struct str text)
{
    const struct schema_message *message = field->message;
    size_t frame, extra;

    switch (message->well_known) {
    case SCHEMA_WRAPPER:
    case SCHEMA_TIMESTAMP:
    case SCHEMA_DURATION:
    case SCHEMA_FIELD_MASK:
        break;
    default:
        json_violate(parser, path, "cannot be given in an address: it is not a single value");
        return true;
    }
    if (!json_put_tag(parser, field->number, JSON_WIRE_BYTES) || !json_open(parser, &frame, &extra))
        return false;
    if (!(message->well_known == SCHEMA_WRAPPER
              ? json_put_scalar_text(parser, path, &message->fields[0], text, true, false)
              : json_put_special_text(parser, path, message, text)))
        return false;
    json_close(parser, frame, extra);
    return json_finish(parser);
}

void json_parse_scalar(const struct schema_field *field, struct str text, const char *path,
                       struct buf *out, struct violations *violations)
{
    struct json_path at = {NULL, path, JSON_PATH_NAME, 0};
    struct json_parser parser;

    json_parser_init(&parser, text, out, violations, NULL);
    if (field->map)
        json_violate(&parser, &at, "cannot be given in an address: it is not a single value");
    else if (!utf8_is_valid(text.data ? text.data : "", text.length))
        json_violate(&parser, &at, "must be UTF-8 text");
    else if (field->type == SCHEMA_MESSAGE)
        put_message(&parser, &at, field, text);
    else /* a repeated field: one element, which every reader takes beside packed ones */
        json_put_scalar_text(&parser, &at, field, text, true, field->optional || field->repeated);
    json_parser_done(&parser);
}
