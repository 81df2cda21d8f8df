/* schema_load: everything that a .proto may get wrong is refused, with the place named. Each case
 * is the test's descriptor set with one option or name of one thing replaced. */
#include "support.h"

#include "base/wire.h"

#include "dialplane/options.pb-c.h"
#include "google/api/http.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef Google__Protobuf__FileDescriptorSet set_proto;
typedef Google__Protobuf__FileDescriptorProto file_proto;

static set_proto *open_set(file_proto **ret_file)
{
    struct str bytes = rules_set();
    set_proto *set = google__protobuf__file_descriptor_set__unpack(NULL, bytes.length,
                                                                   (const uint8_t *)bytes.data);

    assert_non_null(set);
    *ret_file = set->file[set->n_file - 1];
    assert_string_equal((*ret_file)->name, "rules.proto");
    return set;
}

/* Puts `option` in the place of all unknown fields that options has. */
static void replace_option(ProtobufCMessage *options, uint32_t number,
                           const ProtobufCMessage *option)
{
    struct buf bytes = {0};
    size_t size = protobuf_c_message_get_packed_size(option);
    ProtobufCMessageUnknownField *field = malloc(sizeof(*field));

    wire_put_varint(&bytes, size);
    char *room = buf_reserve(&bytes, size + 1);

    bytes.length += protobuf_c_message_pack(option, (uint8_t *)room);
    for (unsigned i = 0; i < options->n_unknown_fields; i++)
        free(options->unknown_fields[i].data);
    free(options->unknown_fields);
    *field = (ProtobufCMessageUnknownField){number, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                            bytes.length, (uint8_t *)bytes.data};
    options->n_unknown_fields = 1;
    options->unknown_fields = field;
}

/* Loads the changed set, frees it, and compares what went wrong; expected NULL: nothing. */
static void assert_load(set_proto *set, const char *expected)
{
    size_t size = google__protobuf__file_descriptor_set__get_packed_size(set);
    uint8_t *bytes = malloc(size);
    struct err err = {0};

    google__protobuf__file_descriptor_set__pack(set, bytes);
    struct schema *schema = schema_load(bytes, size, &err);

    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    if (expected) {
        if (schema)
            fail_msg("loaded; expected: %s", expected);
        if (!strstr(err.message, expected) || !strstr(err.message, "rules.proto"))
            fail_msg("\"%s\" does not say \"%s\"", err.message, expected);
    } else if (!schema) {
        fail_msg("%s", err.message);
    }
    schema_free(schema);
    free(bytes);
}

static Google__Protobuf__DescriptorProto *message_of(file_proto *file, const char *name)
{
    for (size_t i = 0; i < file->n_message_type; i++)
        if (strcmp(file->message_type[i]->name, name) == 0)
            return file->message_type[i];
    fail_msg("no %s", name);
    return NULL;
}

static void assert_field_rule(const char *message, const char *field,
                              const Dialplane__FieldRules *rules, const char *expected)
{
    file_proto *file;
    set_proto *set = open_set(&file);
    Google__Protobuf__DescriptorProto *proto = message_of(file, message);

    for (size_t i = 0; i < proto->n_field; i++) {
        if (strcmp(proto->field[i]->name, field) != 0)
            continue;
        if (!proto->field[i]->options) {
            proto->field[i]->options = malloc(sizeof(*proto->field[i]->options));
            google__protobuf__field_options__init(proto->field[i]->options);
        }
        replace_option(&proto->field[i]->options->base, 50100, &rules->base);
        assert_load(set, expected);
        return;
    }
    fail_msg("no %s.%s", message, field);
}

#define RULE(...)                                                                                  \
    (&(Dialplane__FieldRules){                                                                     \
        .base = PROTOBUF_C_MESSAGE_INIT(&dialplane__field_rules__descriptor), __VA_ARGS__})
#define MINIMUM(value) ._minimum_case = DIALPLANE__FIELD_RULES___MINIMUM_MINIMUM, .minimum = (value)
#define MAXIMUM(value) ._maximum_case = DIALPLANE__FIELD_RULES___MAXIMUM_MAXIMUM, .maximum = (value)
#define DEFAULT(json) .default_json = (char *)(json)

static void wrong_field_rules_are_refused(void **state)
{
    (void)state;
    assert_field_rule("Rules", "most", RULE(.max_length = 5), NULL);
    assert_field_rule("Rules", "ratio", RULE(.max_length = 5),
                      "test.Rules: ratio: min_length and max_length are for strings");
    assert_field_rule("Rules", "most", RULE(.min_length = 5, .max_length = 4), "more than");
    assert_field_rule("Rules", "data", RULE(.not_blank = 1),
                      "not_blank and format are for strings");
    assert_field_rule("Rules", "money", RULE(.format = DIALPLANE__FORMAT__FORMAT_UUID),
                      "money: not_blank and format");
    assert_field_rule("Rules", "most", RULE(.format = (Dialplane__Format)99), "table of formats");
    assert_field_rule("Rules", "most", RULE(MINIMUM(1)), "minimum and maximum are for numbers");
    assert_field_rule("Rules", "color", RULE(MAXIMUM(1)), "minimum and maximum are for numbers");
    assert_field_rule("Rules", "ratio", RULE(MINIMUM(2), MAXIMUM(1)), "minimum is more than");
    assert_field_rule("Rules", "most", RULE(.min_items = 1), "for repeated fields and maps");
    assert_field_rule("Rules", "items", RULE(.min_items = 3, .max_items = 2), "min_items is more");
    assert_field_rule("Rules", "most", RULE(.unique_items = 1), "unique_items is for");
    assert_field_rule("Rules", "by_number", RULE(.unique_items = 1), "unique_items is for");
    assert_field_rule("Rules", "signed", RULE(.decimal_places = 2), "decimal_places is for int64");
    assert_field_rule("Rules", "money", RULE(.decimal_places = 19), "at most 18");
    assert_field_rule("Rules", "length", RULE(.revision = 1), "revision is for a");
    assert_field_rule("Rules", "most", RULE(.required = 1, .output_only = 1), "both required and");
    assert_field_rule("Required", "flag", RULE(.required = 1), NULL);
    assert_field_rule("Rules", "labels", RULE(.max_length = 9, .max_items = 3), NULL);
    assert_field_rule("Rules", "by_number", RULE(.max_length = 9), "for strings");
}

static void wrong_defaults_are_refused(void **state)
{
    static const char *const no_value = "default_json is not a value of the field";

    (void)state;
    assert_field_rule("Rules", "most", RULE(DEFAULT("\"a\"")), NULL);
    assert_field_rule("Rules", "most", RULE(DEFAULT("\"\\u00e4\\n\"")), NULL);
    assert_field_rule("Rules", "most", RULE(DEFAULT("a")), no_value);
    assert_field_rule("Rules", "most", RULE(DEFAULT("\"a")), no_value);
    assert_field_rule("Rules", "most", RULE(DEFAULT("\"a\" x")), no_value);
    assert_field_rule("Rules", "most", RULE(DEFAULT("\"\\x\"")), no_value);
    assert_field_rule("Rules", "most", RULE(DEFAULT("\"\\u00e\"")), no_value);
    assert_field_rule("Rules", "most", RULE(DEFAULT("7")), no_value);
    assert_field_rule("Rules", "most", RULE(.max_length = 2, DEFAULT("\"abc\"")), no_value);
    assert_field_rule(
        "Rules", "zone",
        RULE(.format = DIALPLANE__FORMAT__FORMAT_TIME_ZONE, DEFAULT("\"Mars/Olympus\"")), no_value);
    assert_field_rule("Rules", "ratio", RULE(DEFAULT(" 0.5 ")), NULL);
    assert_field_rule("Rules", "ratio", RULE(DEFAULT("-1e-3")), NULL);
    assert_field_rule("Rules", "ratio", RULE(DEFAULT(".5")), no_value);
    assert_field_rule("Rules", "ratio", RULE(DEFAULT("\"0.5\"")), no_value);
    assert_field_rule("Rules", "ratio", RULE(MAXIMUM(0.25), DEFAULT("0.5")), no_value);
    assert_field_rule("Rules", "from_one", RULE(MINIMUM(1), DEFAULT("2147483647")), NULL);
    assert_field_rule("Rules", "from_one", RULE(MINIMUM(1), DEFAULT("2147483648")), no_value);
    assert_field_rule("Rules", "from_one", RULE(MINIMUM(1), DEFAULT("1.5")), no_value);
    assert_field_rule("Rules", "from_one", RULE(DEFAULT("5")), "zero cannot be told from absent");
    assert_field_rule("Rules", "to_ten", RULE(DEFAULT("-1")), no_value);
    assert_field_rule("Rules", "color", RULE(DEFAULT("\"red\"")), NULL);
    assert_field_rule("Rules", "color", RULE(DEFAULT("\"blue\"")), no_value);
    assert_field_rule("Rules", "color", RULE(DEFAULT("1")), no_value);
    assert_field_rule("Rules", "colors", RULE(DEFAULT("[\"red\", \"dark_green\"]")), NULL);
    assert_field_rule("Rules", "colors", RULE(DEFAULT("[]")), NULL);
    assert_field_rule("Rules", "colors", RULE(DEFAULT("[\"red\",]")), no_value);
    assert_field_rule("Rules", "colors", RULE(DEFAULT("\"red\"")), no_value);
    assert_field_rule("Rules", "labels", RULE(DEFAULT("{\"a\": \"b\"}")), NULL);
    assert_field_rule("Rules", "labels", RULE(DEFAULT("[]")), no_value);
    assert_field_rule("Rules", "free", RULE(DEFAULT("{\"a\": [true, false, null, -1.5e3]}")), NULL);
    assert_field_rule("Rules", "free", RULE(DEFAULT("{\"a\" 1}")), no_value);
    assert_field_rule("Rules", "free", RULE(DEFAULT("{\"a\": tru}")), no_value);
    assert_field_rule("Rules", "free", RULE(DEFAULT("null")), no_value);
    assert_field_rule("Rules", "at", RULE(DEFAULT("{}")), no_value);
    assert_field_rule("Required", "flag", RULE(DEFAULT("true")), NULL);
    assert_field_rule("Required", "flag", RULE(DEFAULT("1")), no_value);
    assert_field_rule("Required", "text", RULE(.required = 1, DEFAULT("\"a\"")), "both required");
    assert_field_rule("Union", "word", RULE(DEFAULT("\"a\"")), "a member of a oneof");
}

static void assert_message_rule(const char *message, const Dialplane__MessageRules *rules,
                                const char *expected)
{
    file_proto *file;
    set_proto *set = open_set(&file);
    Google__Protobuf__DescriptorProto *proto = message_of(file, message);

    if (!proto->options) {
        proto->options = malloc(sizeof(*proto->options));
        google__protobuf__message_options__init(proto->options);
    }
    replace_option(&proto->options->base, 50101, &rules->base);
    assert_load(set, expected);
}

#define MESSAGE_RULE(...)                                                                          \
    (&(Dialplane__MessageRules){                                                                   \
        .base = PROTOBUF_C_MESSAGE_INIT(&dialplane__message_rules__descriptor), __VA_ARGS__})

static void wrong_message_rules_are_refused(void **state)
{
    (void)state;
    assert_message_rule("Union", MESSAGE_RULE(.tagged_union = 1), NULL);
    assert_message_rule("Leaf", MESSAGE_RULE(.tagged_union = 1), "exactly one oneof, there are 0");
    assert_message_rule("Leaf", MESSAGE_RULE(.shorthand_field = (char *)"text"), NULL);
    assert_message_rule("Leaf", MESSAGE_RULE(.shorthand_field = (char *)"nothing"),
                        "test.Leaf: shorthand_field \"nothing\" is not a field");
    assert_message_rule("Short", MESSAGE_RULE(.shorthand_field = (char *)"number"),
                        "must be a string");
    assert_message_rule("Rules", MESSAGE_RULE(.shorthand_field = (char *)"items"),
                        "must be a string");
}

static Google__Protobuf__MethodDescriptorProto *method_of(file_proto *file, const char *name)
{
    for (size_t i = 0; i < file->service[0]->n_method; i++)
        if (strcmp(file->service[0]->method[i]->name, name) == 0)
            return file->service[0]->method[i];
    fail_msg("no %s", name);
    return NULL;
}

static void assert_method_option(const char *method, uint32_t number,
                                 const ProtobufCMessage *option, const char *expected)
{
    file_proto *file;
    set_proto *set = open_set(&file);

    replace_option(&method_of(file, method)->options->base, number, option);
    assert_load(set, expected);
}

static void assert_http(const char *verb, const char *path, const char *body, const char *expected)
{
    Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;

    rule.body = (char *)(body ? body : "");
    if (strcmp(verb, "GET") == 0) {
        rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_GET;
        rule.get = (char *)path;
    } else {
        rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_POST;
        rule.post = (char *)path;
    }
    assert_method_option("Get", 72295728, &rule.base, expected);
}

static void wrong_routes_are_refused(void **state)
{
    (void)state;
    assert_http("GET", "/a/{id}", NULL, NULL);
    assert_http("POST", "/a/{leaf.text}/{id=*}", "*", NULL);
    assert_http("GET", "a/{id}", NULL, "/test.Things/Get: \"a/{id}\" must begin with /");
    assert_http("GET", "", NULL, "has no path");
    assert_http("GET", "/a/{nothing}", NULL,
                "\"nothing\" in \"/a/{nothing}\" is not a single value of test.GetRequest");
    assert_http("GET", "/a/{names}", NULL, "is not a single value");
    assert_http("GET", "/a/{leaf}", NULL, "is not a single value");
    assert_http("GET", "/a/{leaf.nothing}", NULL, "is not a single value");
    assert_http("GET", "/a/{id.text}", NULL, "is not a single value");
    assert_http("GET", "/a/{}", NULL, "is not a single value");
    assert_http("GET", "/a/{id}/{id}", NULL, "is twice");
    assert_http("GET", "/a/{id", NULL, "braces that do not match");
    assert_http("GET", "/a/id}", NULL, "braces that do not match");
    assert_http("GET", "/a/{{id}}", NULL, "braces that do not match");
    assert_http("GET", "/a", "*", "GET cannot have a body");
    assert_http("POST", "/a", "nothing", "body \"nothing\" is not a field of test.GetRequest");
    assert_http("POST", "/a/{id}", "id", "in both path and body");
}

static void assert_method_rule(const char *method, const Dialplane__MethodRules *rules,
                               const char *expected)
{
    assert_method_option(method, 50102, &rules->base, expected);
}

#define METHOD_RULE(...)                                                                           \
    (&(Dialplane__MethodRules){                                                                    \
        .base = PROTOBUF_C_MESSAGE_INIT(&dialplane__method_rules__descriptor), __VA_ARGS__})

static void wrong_method_rules_are_refused(void **state)
{
    (void)state;
    assert_method_rule("Get", METHOD_RULE(.http_status = 202, .location = (char *)"/x/{text}"),
                       NULL);
    assert_method_rule("Get", METHOD_RULE(.http_status = 404), "http_status 404 is no success");
    assert_method_rule("Get", METHOD_RULE(.location = (char *)"/x/{id}"),
                       "\"id\" in \"/x/{id}\" is not a single value of test.Leaf");
    assert_method_rule("Get", METHOD_RULE(.websocket = 1), "websocket is for server-streaming");
    assert_method_rule("Get", METHOD_RULE(.stream_cursor = (char *)"after"),
                       "stream_cursor is an integer field of a server-streaming method");
    assert_method_rule("Watch", METHOD_RULE(.stream_cursor = (char *)"after"), NULL);
    assert_method_rule("Watch", METHOD_RULE(.stream_cursor = (char *)"nothing"),
                       "stream_cursor \"nothing\" is not a field");
    assert_method_rule("Watch", METHOD_RULE(.stream_cursor = (char *)"id"), "is an integer field");
    assert_method_rule("Get", METHOD_RULE(.multipart_part = (char *)"file"),
                       "multipart_part is for");
}

static void wrong_types_are_refused(void **state)
{
    file_proto *file;
    set_proto *set = open_set(&file);

    (void)state;
    strcpy(message_of(file, "Tree")->field[0]->type_name, ".test.Gone");
    assert_load(set, "test.Tree: child: type .test.Gone is not in the set");
    set = open_set(&file);
    message_of(file, "Leaf")->field[1]->number = 1;
    assert_load(set, "test.Leaf: number 1 is used twice");
    set = open_set(&file);
    strcpy(message_of(file, "Leaf")->field[1]->name, "text");
    assert_load(set, "test.Leaf: \"text\" names two fields");
    set = open_set(&file);
    strcpy(file->message_type[1]->name, "Rules");
    assert_load(set, "is defined twice");
    set = open_set(&file);
    strcpy(method_of(file, "Get")->input_type, ".gone");
    assert_load(set, "its request is not in the set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_field_rules_are_refused),
        cmocka_unit_test(wrong_defaults_are_refused),
        cmocka_unit_test(wrong_message_rules_are_refused),
        cmocka_unit_test(wrong_routes_are_refused),
        cmocka_unit_test(wrong_method_rules_are_refused),
        cmocka_unit_test(wrong_types_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
