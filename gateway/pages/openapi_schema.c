/* The schemas: one for each message and form, one property for each field, with its rules. */
#include "gateway/pages/openapi_writer.h"

#include <stdio.h>
#include <string.h>

bool has_own_schema(const struct schema_message *message)
{
    return message->well_known == SCHEMA_ORDINARY && !message->map_entry &&
           !strncmp(message->full_name, "dialplane.", 10) &&
           strncmp(message->full_name, "dialplane.v", 11) == 0;
}

static const char *inline_schema(enum schema_well_known well_known)
{
    switch (well_known) {
    case SCHEMA_TIMESTAMP:
        return "{\"type\":\"string\",\"format\":\"date-time\"}";
    case SCHEMA_DURATION:
        return "{\"type\":\"string\",\"examples\":[\"1.5s\"]}";
    case SCHEMA_FIELD_MASK:
        return "{\"type\":\"string\",\"description\":\"Field names, separated by commas.\"}";
    case SCHEMA_LIST_VALUE:
        return "{\"type\":\"array\",\"items\":{}}";
    case SCHEMA_VALUE:
        return "{}";
    case SCHEMA_ANY:
    case SCHEMA_STRUCT:
    case SCHEMA_EMPTY:
    case SCHEMA_ORDINARY:
    case SCHEMA_WRAPPER:
        break;
    }
    return "{\"type\":\"object\",\"additionalProperties\":true}";
}

static const char *form_suffix(const struct writer *writer, const struct schema_message *message,
                               enum openapi_form form)
{
    switch (form) {
    case OPENAPI_CREATE:
        return "Create";
    case OPENAPI_UPDATE:
        return "Update";
    case OPENAPI_INPUT:
        return writer->uses[message - writer->schema->messages].answer ? "Input" : "";
    case OPENAPI_ANSWER:
        break;
    }
    return "";
}

static void write_reference(struct writer *writer, const struct schema_message *message,
                            enum openapi_form form)
{
    if (!has_own_schema(message)) {
        write_raw(writer, inline_schema(message->well_known));
        return;
    }
    char reference[256];
    snprintf(reference, sizeof(reference), "#/components/schemas/%s%s",
             short_name(message->full_name), form_suffix(writer, message, form));
    write_open(writer, '{');
    write_member(writer, "$ref", reference);
    write_close(writer, '}');
}

void write_body_reference(struct writer *writer, const struct schema_message *message,
                          enum openapi_form form)
{
    write_reference(writer, message, form);
}

void write_message_reference(struct writer *writer, const struct schema_message *message)
{
    write_reference(writer, message,
                    writer->form == OPENAPI_ANSWER ? OPENAPI_ANSWER : OPENAPI_INPUT);
}

static const char *json_type(const struct schema_field *field)
{
    switch (field->type) {
    case SCHEMA_DOUBLE:
    case SCHEMA_FLOAT:
        return "number";
    case SCHEMA_BOOL:
        return "boolean";
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_ENUM:
        return "string";
    case SCHEMA_MESSAGE:
    case SCHEMA_GROUP:
        return "object";
    default:
        return field->rules.decimal_places ? "number" : "integer";
    }
}

/* OpenAPI's name of a number's width. */
static const char *number_format(const struct schema_field *field)
{
    switch (field->type) {
    case SCHEMA_DOUBLE:
        return "double";
    case SCHEMA_FLOAT:
        return "float";
    case SCHEMA_INT32:
    case SCHEMA_SINT32:
    case SCHEMA_SFIXED32:
        return field->rules.decimal_places ? NULL : "int32";
    case SCHEMA_INT64:
    case SCHEMA_SINT64:
    case SCHEMA_SFIXED64:
        return field->rules.decimal_places ? NULL : "int64";
    default:
        return NULL;
    }
}

static bool is_number(const struct schema_field *field)
{
    return field->type != SCHEMA_BOOL && field->type != SCHEMA_STRING &&
           field->type != SCHEMA_BYTES && field->type != SCHEMA_ENUM &&
           field->type != SCHEMA_MESSAGE && field->type != SCHEMA_GROUP;
}

/* A list that may not be empty, and a number whose 0 is out of its range, must be there as well. */
bool openapi_is_required(const struct schema_field *field)
{
    if (field->required || ((field->repeated || field->map) && field->rules.min_items))
        return true;
    return !field->repeated && !field->optional && is_number(field) && field->rules.has_minimum &&
           field->rules.minimum > 0 && !field->rules.default_json;
}

/* Whether the field may be null. In answers: what can be absent and has no default. In bodies null
 * means absent; in an update, that the value is cleared. */
static bool is_nullable(const struct writer *writer, const struct schema_field *field)
{
    if (writer->form == OPENAPI_ANSWER)
        return field->optional && !field->required && !field->rules.default_json;
    return !field->required && field->optional;
}

/* A bound in the field's JSON unit: an int64 with decimal places is shown divided. */
static double shown(const struct schema_field *field, double bound)
{
    for (uint32_t i = 0; i < field->rules.decimal_places; i++)
        bound /= 10;
    return bound;
}

static void write_text_rules(struct writer *writer, const struct schema_field *field)
{
    const struct schema_rules *rules = &field->rules;
    const struct schema_format_info *format =
        rules->format != SCHEMA_FORMAT_NONE ? schema_format_info(rules->format) : NULL;
    if (format && format->openapi)
        write_member(writer, "format", format->openapi);
    if (format && format->pattern)
        write_member(writer, "pattern", format->pattern);
    if (rules->min_length || rules->not_blank ||
        (field->required && field->type == SCHEMA_STRING)) {
        write_key(writer, "minLength");
        write_int(writer, rules->min_length ? rules->min_length : 1);
    }
    if (rules->max_length) {
        write_key(writer, "maxLength");
        write_int(writer, rules->max_length);
    }
}

/* The keywords of a scalar's value, without its description. nullable adds null to the type. */
static void write_scalar_keywords(struct writer *writer, const struct schema_field *field,
                                  bool nullable)
{
    write_key(writer, "type");
    if (nullable)
        write_open(writer, '[');
    write_text(writer, json_type(field));
    if (nullable) {
        write_text(writer, "null");
        write_close(writer, ']');
    }
    if (field->type == SCHEMA_ENUM) {
        write_key(writer, "enum");
        write_open(writer, '[');
        for (size_t i = 0; i < field->enumeration->value_count; i++)
            if (field->enumeration->values[i].number != 0)
                write_text(writer, field->enumeration->values[i].word);
        if (nullable)
            write_raw(writer, "null");
        write_close(writer, ']');
    }
    if (field->type == SCHEMA_BYTES)
        write_member(writer, "contentEncoding", "base64");
    if (field->type == SCHEMA_STRING)
        write_text_rules(writer, field);
    if (number_format(field))
        write_member(writer, "format", number_format(field));
    if (field->rules.has_minimum) {
        write_key(writer, "minimum");
        write_double(writer, shown(field, field->rules.minimum));
    }
    if (field->rules.has_maximum) {
        write_key(writer, "maximum");
        write_double(writer, shown(field, field->rules.maximum));
    }
}

/* An enum's default may be written as its full name in the .proto; JSON shows the word. */
static void write_default(struct writer *writer, const struct schema_field *field)
{
    struct str json = str_from(field->rules.default_json);
    write_key(writer, "default");
    if (field->type == SCHEMA_ENUM && !field->repeated && json.length > 2) {
        const struct schema_enum_value *value = schema_find_enum_value(
            field->enumeration, (struct str){json.data + 1, json.length - 2});
        if (value) {
            write_text(writer, value->word);
            return;
        }
    }
    write_raw_str(writer, json);
}

static void write_documentation(struct writer *writer, const struct schema_field *field)
{
    if (field->comment[0])
        write_member(writer, "description", field->comment);
    if (field->output_only) {
        write_key(writer, "readOnly");
        write_bool(writer, true);
    }
    /* An answer has its value, and what an update leaves out stays as it is. */
    if (field->rules.default_json &&
        (writer->form == OPENAPI_INPUT || writer->form == OPENAPI_CREATE))
        write_default(writer, field);
}

static const struct schema_field *map_value(const struct schema_field *field)
{
    return schema_find_field_by_number(field->message, 2);
}

static void write_items(struct writer *writer, const struct schema_field *field)
{
    if (field->type == SCHEMA_MESSAGE) {
        write_message_reference(writer, field->message);
        return;
    }
    write_open(writer, '{');
    write_scalar_keywords(writer, field, false);
    write_close(writer, '}');
}

static void write_count_rules(struct writer *writer, const struct schema_field *field,
                              const char *least, const char *most)
{
    if (field->rules.min_items) {
        write_key(writer, least);
        write_int(writer, field->rules.min_items);
    }
    if (field->rules.max_items) {
        write_key(writer, most);
        write_int(writer, field->rules.max_items);
    }
}

void write_field_schema(struct writer *writer, const struct schema_field *field)
{
    write_open(writer, '{');
    if (field->map) {
        write_member(writer, "type", "object");
        write_key(writer, "additionalProperties");
        write_items(writer, map_value(field));
        write_count_rules(writer, field, "minProperties", "maxProperties");
    } else if (field->repeated) {
        write_member(writer, "type", "array");
        write_key(writer, "items");
        write_items(writer, field);
        write_count_rules(writer, field, "minItems", "maxItems");
        if (field->rules.unique_items) {
            write_key(writer, "uniqueItems");
            write_bool(writer, true);
        }
    } else if (field->type == SCHEMA_MESSAGE) {
        bool nullable = is_nullable(writer, field);
        write_key(writer, nullable ? "anyOf" : "allOf");
        write_open(writer, '[');
        write_message_reference(writer, field->message);
        if (nullable)
            write_raw(writer, "{\"type\":\"null\"}");
        write_close(writer, ']');
    } else {
        write_scalar_keywords(writer, field, is_nullable(writer, field));
    }
    write_documentation(writer, field);
    write_close(writer, '}');
}

void write_parameter_schema(struct writer *writer, const struct schema_field *field)
{
    write_open(writer, '{');
    if (field->repeated) {
        write_member(writer, "type", "array");
        write_key(writer, "items");
        write_items(writer, field);
    } else if (field->type == SCHEMA_MESSAGE) {
        write_member(writer, "type", "string");
        if (field->message->well_known == SCHEMA_TIMESTAMP)
            write_member(writer, "format", "date-time");
    } else {
        write_scalar_keywords(writer, field, false);
    }
    if (field->rules.default_json)
        write_default(writer, field);
    write_close(writer, '}');
}

/* Whether the object in the writer's form has the field. */
static bool has_field(const struct writer *writer, const struct schema_message *message,
                      const struct schema_field *field)
{
    const struct schema_binding *body = writer->uses[message - writer->schema->messages].body;
    switch (writer->form) {
    case OPENAPI_ANSWER:
        return true;
    case OPENAPI_UPDATE:
        return !field->output_only && !field->immutable;
    case OPENAPI_INPUT:
        if (body && is_path_variable(body, field->name))
            return false;
        break;
    case OPENAPI_CREATE:
        break;
    }
    return !field->output_only;
}

static void write_required(struct writer *writer, const struct schema_message *message)
{
    bool any = false;
    for (size_t i = 0; writer->form != OPENAPI_UPDATE && i < message->field_count; i++) {
        const struct schema_field *field = &message->fields[i];
        if (!has_field(writer, message, field) ||
            (writer->form != OPENAPI_ANSWER && !openapi_is_required(field)))
            continue;
        /* An answer that is a plain oneof has one of its members only. */
        if (writer->form == OPENAPI_ANSWER && field->oneof >= 0)
            continue;
        if (!any) {
            write_key(writer, "required");
            write_open(writer, '[');
        }
        any = true;
        write_text(writer, field->name);
    }
    if (any)
        write_close(writer, ']');
}

static void write_object(struct writer *writer, const struct schema_message *message)
{
    write_open(writer, '{');
    write_member(writer, "type", "object");
    if (message->comment[0])
        write_member(writer, "description", message->comment);
    write_key(writer, "properties");
    write_open(writer, '{');
    for (size_t i = 0; i < message->field_count; i++) {
        if (!has_field(writer, message, &message->fields[i]))
            continue;
        write_key(writer, message->fields[i].name);
        write_field_schema(writer, &message->fields[i]);
    }
    write_close(writer, '}');
    write_required(writer, message);
    write_close(writer, '}');
}

/* One alternative of a tagged union: {"type": <member>, <the fields beside it>, "data": <member's
 * value>}. */
static void write_alternative(struct writer *writer, const struct schema_message *message,
                              const struct schema_field *member)
{
    write_open(writer, '{');
    write_member(writer, "type", "object");
    write_key(writer, "properties");
    write_open(writer, '{');
    write_key(writer, "type");
    write_open(writer, '{');
    write_member(writer, "const", member->name);
    write_close(writer, '}');
    for (size_t i = 0; i < message->field_count; i++) {
        if (message->fields[i].oneof >= 0)
            continue;
        write_key(writer, message->fields[i].name);
        write_field_schema(writer, &message->fields[i]);
    }
    write_key(writer, "data");
    write_items(writer, member);
    write_close(writer, '}');
    write_key(writer, "required");
    write_open(writer, '[');
    write_text(writer, "type");
    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].oneof < 0)
            write_text(writer, message->fields[i].name);
    write_text(writer, "data");
    write_close(writer, ']');
    if (member->comment[0])
        write_member(writer, "description", member->comment);
    write_close(writer, '}');
}

static void write_message_schema(struct writer *writer, const struct schema_message *message,
                                 enum openapi_form form)
{
    char name[256];
    snprintf(name, sizeof(name), "%s%s", short_name(message->full_name),
             form_suffix(writer, message, form));
    write_key(writer, name);
    writer->form = form;
    if (!message->tagged_union && !message->shorthand) {
        write_object(writer, message);
        return;
    }
    write_open(writer, '{');
    if (message->comment[0])
        write_member(writer, "description", message->comment);
    write_key(writer, "oneOf");
    write_open(writer, '[');
    if (message->shorthand) {
        write_open(writer, '{');
        write_scalar_keywords(writer, message->shorthand, false);
        write_member(writer, "description", message->shorthand->comment);
        write_close(writer, '}');
        write_object(writer, message);
    } else {
        for (size_t i = 0; i < message->field_count; i++)
            if (message->fields[i].oneof >= 0)
                write_alternative(writer, message, &message->fields[i]);
    }
    write_close(writer, ']');
    write_close(writer, '}');
}

static const char problem_schema[] =
    "{\"type\":\"object\",\"description\":\"What went wrong (RFC 9457).\",\"properties\":{"
    "\"type\":{\"type\":\"string\",\"examples\":[\"about:blank\"]},"
    "\"title\":{\"type\":\"string\",\"description\":\"The status in words.\"},"
    "\"status\":{\"type\":\"integer\"},"
    "\"code\":{\"type\":\"string\",\"description\":\"The canonical "
    "code.\",\"examples\":[\"INVALID_ARGUMENT\"]},"
    "\"reason\":{\"type\":\"string\",\"description\":\"The reason as a word for programs, where "
    "there is one.\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"One sentence for people.\"},"
    "\"errors\":{\"type\":\"array\",\"description\":\"All that is wrong with the "
    "request.\",\"items\":{\"type\":\"object\","
    "\"properties\":{\"field\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}},"
    "\"required\":[\"field\",\"message\"]}},"
    "\"request_id\":{\"type\":\"string\"}},"
    "\"required\":[\"type\",\"title\",\"status\",\"code\",\"detail\",\"errors\",\"request_id\"]}";

void write_schemas(struct writer *writer)
{
    write_key(writer, "schemas");
    write_open(writer, '{');
    for (size_t i = 0; i < writer->schema->message_count; i++) {
        const struct schema_message *message = &writer->schema->messages[i];
        const struct openapi_use *use = &writer->uses[i];
        if (!has_own_schema(message))
            continue;
        if (use->answer)
            write_message_schema(writer, message, OPENAPI_ANSWER);
        if (use->input)
            write_message_schema(writer, message, OPENAPI_INPUT);
        if (use->create)
            write_message_schema(writer, message, OPENAPI_CREATE);
        if (use->update)
            write_message_schema(writer, message, OPENAPI_UPDATE);
    }
    write_key(writer, "Problem");
    write_raw(writer, problem_schema);
    write_close(writer, '}');
}
