/* schema_load: the real set, the test's set, and sets that are cut off. What a .proto may get
 * wrong: load_errors_test.c. */
#include "support.h"

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
