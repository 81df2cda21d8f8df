/* schema_load: the real set, the test's set, and everything that a .proto may get wrong. */
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

static const struct schema_field *field_of(const struct schema *schema, const char *message,
                                           const char *name)
{
    const struct schema_field *field = schema_find_field(find(schema, message), str_from(name));

    if (!field)
        fail_msg("%s.%s is not there", message, name);
    return field;
}

/* The platform's own set: what the gateway and the services build on. */
static void real_set_loads(void **state)
{
    struct err err = {0};
    struct schema *schema =
        schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);

    (void)state;
    if (!schema)
        fail_msg("%s", err.message);
    const struct schema_method *method =
        schema_find_method(schema, STR_LITERAL("/dialplane.v1.SkillbaseService/CreateSkillbase"));

    assert_non_null(method);
    assert_int_equal(method->http_status, 201);
    assert_string_equal(method->bindings[0].verb, "POST");
    assert_string_equal(method->bindings[0].template_text, "/api/skillbases");
    assert_string_equal(method->bindings[0].body_field->name, "skillbase");
    assert_string_equal(method->location, "/api/skillbases/{id}");
    assert_string_equal(method->service->backend, "skillbase");
    const struct schema_field *field = field_of(schema, "dialplane.v1.SkillbaseConfig", "context");

    assert_true(field->required);
    assert_ptr_equal(field->message, find(schema, "dialplane.v1.AgentContext"));
    field = field_of(schema, "dialplane.v1.Llm", "maxTokens");
    assert_string_equal(field->name, "max_tokens");
    assert_true(field->optional && field->oneof == -1);
    field = field_of(schema, "dialplane.v1.Llm", "provider");
    assert_string_equal(schema_find_enum_value(field->enumeration, STR_LITERAL("groq"))->name,
                        "LLM_PROVIDER_GROQ");
    method = schema_find_method(schema, STR_LITERAL("/dialplane.v1.AnalyticsService/WatchCall"));
    assert_true(method->server_streaming && !method->client_streaming && method->websocket);
    assert_string_equal(method->stream_cursor->name, "after_seq");
    assert_non_null(schema_find_service(schema, STR_LITERAL("grpc.health.v1.Health")));
    assert_string_equal(schema_find_service(schema, STR_LITERAL("grpc.health.v1.Health"))->backend,
                        "");
    /* Every message, field, enum and method of ours says what it is. */
    for (size_t i = 0; i < schema->service_count; i++)
        for (size_t j = 0; *schema->services[i].backend && j < schema->services[i].method_count;
             j++)
            if (!*schema->services[i].methods[j].comment)
                fail_msg("%s has no comment", schema->services[i].methods[j].path);
    for (size_t i = 0; i < schema->message_count; i++) {
        const struct schema_message *message = &schema->messages[i];

        if (strncmp(message->full_name, "dialplane.v1.", 13) != 0 || message->map_entry)
            continue;
        for (size_t j = 0; j < message->field_count; j++)
            if (!*message->fields[j].comment)
                fail_msg("%s.%s has no comment", message->full_name, message->fields[j].name);
    }
    schema_free(schema);
    schema_free(NULL);
}

static void tables_are_filled(void **state)
{
    struct schema *schema = load_rules();
    const struct schema_message *rules = find(schema, "test.Rules");

    (void)state;
    assert_string_equal(rules->comment, "One field a rule.\n\nA second paragraph.");
    const struct schema_field *field = schema_find_field(rules, STR_LITERAL("most"));

    assert_string_equal(field->comment, "At most ten.");
    assert_int_equal(field->rules.max_length, 10);
    assert_false(field->optional);
    field = schema_find_field(rules, STR_LITERAL("timeOfDay"));
    assert_ptr_equal(field, schema_find_field(rules, STR_LITERAL("time_of_day")));
    assert_int_equal(field->rules.format, SCHEMA_FORMAT_TIME_OF_DAY);
    assert_string_equal(field->comment, "");
    field = schema_find_field(rules, STR_LITERAL("ratio"));
    assert_true(field->optional && field->oneof == -1 && field->rules.has_minimum &&
                field->rules.has_maximum);
    assert_true(field->rules.minimum == 0 && field->rules.maximum == 2);
    field = schema_find_field(rules, STR_LITERAL("to_ten"));
    assert_false(field->rules.has_minimum);
    field = schema_find_field(rules, STR_LITERAL("colors"));
    assert_true(field->repeated && field->packed && !field->map && !field->optional);
    field = schema_find_field(rules, STR_LITERAL("names"));
    assert_true(field->repeated && !field->packed);
    field = schema_find_field(rules, STR_LITERAL("labels"));
    assert_true(field->repeated && field->map && field->message->map_entry);
    assert_int_equal(field->message->fields[1].rules.max_length, 4);
    field = schema_find_field(rules, STR_LITERAL("money"));
    assert_int_equal(field->rules.decimal_places, 6);
    field = schema_find_field(rules, STR_LITERAL("ignored"));
    assert_true(field->output_only && !field->required);
    assert_int_equal(schema_find_field(rules, STR_LITERAL("at"))->message->well_known,
                     SCHEMA_TIMESTAMP);
    assert_int_equal(schema_find_field(rules, STR_LITERAL("free"))->message->well_known,
                     SCHEMA_STRUCT);
    assert_int_equal(schema_find_field(rules, STR_LITERAL("wrapped"))->message->well_known,
                     SCHEMA_WRAPPER);
    assert_null(schema_find_field(rules, STR_LITERAL("nothing")));
    assert_null(schema_find_field(rules, STR_LITERAL("")));
    const struct schema_message *both = find(schema, "test.Union");

    assert_true(both->tagged_union);
    assert_int_equal(both->oneof_count, 1);
    assert_string_equal(both->oneof_names[0], "kind");
    assert_int_equal(schema_find_field(both, STR_LITERAL("word"))->oneof, 0);
    assert_int_equal(schema_find_field(both, STR_LITERAL("maybe"))->oneof, -1);
    assert_true(schema_find_field(both, STR_LITERAL("maybe"))->optional);
    assert_string_equal(find(schema, "test.Short")->shorthand->name, "text");
    assert_null(both->shorthand);
    assert_int_equal(rules->well_known, SCHEMA_ORDINARY);
    schema_free(schema);
}

static void fields_are_found_by_number(void **state)
{
    struct schema *schema = load_rules();
    const struct schema_message *sparse = find(schema, "test.Sparse");

    (void)state;
    assert_string_equal(schema_find_field_by_number(sparse, 1)->name, "low");
    assert_string_equal(schema_find_field_by_number(sparse, 69999)->name, "other_middle");
    assert_string_equal(schema_find_field_by_number(sparse, 70000)->name, "middle");
    assert_string_equal(schema_find_field_by_number(sparse, 536870911)->name, "high");
    static const uint32_t absent[] = {0, 2, 1023, 1024, 69998, 70001, 536870910, UINT32_MAX};

    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_null(schema_find_field_by_number(sparse, absent[i]));
    for (size_t i = 0; i < schema->message_count; i++)
        for (size_t j = 0; j < schema->messages[i].field_count; j++) {
            const struct schema_message *message = &schema->messages[i];
            const struct schema_field *field = &message->fields[j];

            assert_ptr_equal(schema_find_field_by_number(message, field->number), field);
            assert_ptr_equal(schema_find_field(message, str_from(field->name)), field);
            assert_ptr_equal(schema_find_field(message, str_from(field->json_name)), field);
        }
    assert_string_equal(find(schema, "test.Sparse.Inner")->comment, "Inside.");
    const struct schema_field *kind = field_of(schema, "test.Sparse.Inner", "kind");

    assert_string_equal(kind->comment, "Which.");
    assert_string_equal(kind->enumeration->comment, "Innermost.");
    assert_string_equal(kind->enumeration->values[1].comment, "The one.");
    schema_free(schema);
}

static void enums_have_words(void **state)
{
    struct schema *schema = load_rules();
    const struct schema_enum *color = field_of(schema, "test.Rules", "color")->enumeration;

    (void)state;
    assert_string_equal(color->comment, "Colours.");
    assert_string_equal(color->values[1].comment, "Like blood.");
    assert_int_equal(schema_find_enum_value(color, STR_LITERAL("dark_green"))->number, 2);
    assert_int_equal(schema_find_enum_value(color, STR_LITERAL("LAMP_COLOR_RED"))->number, 1);
    assert_null(schema_find_enum_value(color, STR_LITERAL("RED")));
    assert_null(schema_find_enum_value(color, STR_LITERAL("")));
    assert_string_equal(schema_find_enum_number(color, 1000)->word, "sparse");
    assert_string_equal(schema_find_enum_number(color, -5)->word, "below");
    assert_null(schema_find_enum_number(color, 3));
    schema_free(schema);
}

static void methods_have_routes(void **state)
{
    struct schema *schema = load_rules();
    const struct schema_service *service = schema_find_service(schema, STR_LITERAL("test.Things"));
    const struct schema_method *get = schema_find_method(schema, STR_LITERAL("/test.Things/Get"));

    (void)state;
    assert_string_equal(service->backend, "things");
    assert_string_equal(service->comment, "Does things.");
    assert_int_equal(service->method_count, 4);
    assert_string_equal(get->comment, "Gets one.");
    assert_ptr_equal(get->service, service);
    assert_int_equal(get->binding_count, 3);
    assert_string_equal(get->bindings[0].verb, "GET");
    assert_null(get->bindings[0].body_field);
    assert_false(get->bindings[0].body_whole);
    assert_string_equal(get->bindings[1].template_text, "/api/things/{id}:get");
    assert_string_equal(get->bindings[1].body_field->name, "leaf");
    assert_string_equal(get->bindings[2].verb, "HEAD");
    assert_int_equal(get->http_status, 201);
    assert_int_equal(get->timeout_ms, 250);
    assert_int_equal(get->error_reason_count, 2);
    assert_string_equal(get->error_reasons[1], "TWO");
    const struct schema_method *watch =
        schema_find_method(schema, STR_LITERAL("/test.Things/Watch"));

    assert_true(watch->server_streaming && watch->websocket);
    assert_string_equal(watch->stream_cursor->name, "after");
    const struct schema_method *upload =
        schema_find_method(schema, STR_LITERAL("/test.Things/Upload"));

    assert_true(upload->client_streaming);
    assert_string_equal(upload->multipart_part, "file");
    const struct schema_method *bare = schema_find_method(schema, STR_LITERAL("/test.Things/Bare"));

    assert_int_equal(bare->binding_count, 0);
    assert_int_equal(bare->http_status, 200);
    static const char *const absent[] = {"",
                                         "/",
                                         "test.Things/Get",
                                         "/test.Things",
                                         "/test.Things/",
                                         "/test.Things/get",
                                         "/test.Things/Get/",
                                         "/test.Rules/Get"};

    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_null(schema_find_method(schema, str_from(absent[i])));
    schema_free(schema);
}

static void files_are_kept_for_reflection(void **state)
{
    struct schema *schema = load_rules();
    static const char *const symbols[] = {
        "test.Rules",      "test.Rules.most",        "test.Union.kind",
        "test.LampColor",  "test.LAMP_COLOR_RED",    "test.Things",
        "test.Things.Get", "test.Sparse.Inner.Kind", "test.Sparse.Inner.KIND_ONE"};
    static const char *const absent[] = {"",
                                         ".",
                                         "test",
                                         "test.",
                                         "test.Nothing",
                                         "test.Rules.nothing",
                                         "test.Rules.timeOfDay",
                                         "test.Things.Nothing",
                                         ".test.Rules",
                                         "test.LampColor.LAMP_COLOR_RED"};

    (void)state;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        const struct schema_file *file = schema_find_file_of_symbol(schema, str_from(symbols[i]));

        if (!file)
            fail_msg("%s is not there", symbols[i]);
        assert_string_equal(file->name, "rules.proto");
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_null(schema_find_file_of_symbol(schema, str_from(absent[i])));
    const struct schema_file *file =
        schema_find_file_of_symbol(schema, STR_LITERAL("dialplane.rules"));

    assert_string_equal(file->name, "dialplane/options.proto");
    assert_int_equal(file->dependency_count, 1);
    assert_string_equal(file->dependencies[0], "google/protobuf/descriptor.proto");
    /* Raw bytes are the file's own: they parse, and together they are the set. */
    size_t total = 0;

    for (size_t i = 0; i < schema->file_count; i++) {
        Google__Protobuf__FileDescriptorProto *proto =
            google__protobuf__file_descriptor_proto__unpack(
                NULL, schema->files[i].raw.length, (const uint8_t *)schema->files[i].raw.data);

        assert_non_null(proto);
        assert_string_equal(proto->name, schema->files[i].name);
        google__protobuf__file_descriptor_proto__free_unpacked(proto, NULL);
        total += schema->files[i].raw.length;
    }
    assert_true(total < rules_set().length && total + 6 * schema->file_count > rules_set().length);
    schema_free(schema);
}

/* Loading what is cut off, or no descriptor set at all, is an error and not a crash. */
static void malformed_sets_are_refused(void **state)
{
    struct str set = rules_set();
    struct err err = {0};
    size_t loaded = 0;

    (void)state;
    for (size_t length = 0; length < set.length; length += 97) {
        char *copy = malloc(length ? length : 1);

        memcpy(copy, set.data, length);
        struct schema *schema = schema_load(copy, length, &err);

        loaded +=
            schema != NULL; /* cut between two files, a prefix that needs nothing more is whole */
        schema_free(schema);
        free(copy);
    }
    assert_true(loaded < 10);
    assert_null(schema_load("hello", 5, &err));
    assert_true(err_is_set(&err));
}

/* Wrong options: the test's set, with one option of one thing replaced. */

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
*leaked : the set is thrown away by exit.*/
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
        cmocka_unit_test(real_set_loads),
        cmocka_unit_test(tables_are_filled),
        cmocka_unit_test(fields_are_found_by_number),
        cmocka_unit_test(enums_have_words),
        cmocka_unit_test(methods_have_routes),
        cmocka_unit_test(files_are_kept_for_reflection),
        cmocka_unit_test(malformed_sets_are_refused),
        cmocka_unit_test(wrong_field_rules_are_refused),
        cmocka_unit_test(wrong_defaults_are_refused),
        cmocka_unit_test(wrong_message_rules_are_refused),
        cmocka_unit_test(wrong_routes_are_refused),
        cmocka_unit_test(wrong_method_rules_are_refused),
        cmocka_unit_test(wrong_types_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
