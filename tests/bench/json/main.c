/* bench_json FILE: what transcoding a skillbase configuration costs, against protobuf-c with a
 * reflective printer and against jansson with protobuf-c. One line per figure: name, ns/op ours,
 * ns/op reference, ratio, limit. Exit 1 when a limit is passed, 2 when the two do not agree on the
 * result. */
#include "reference.h"

#include "json/json.h"

#include "dialplane/v1/skillbase.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PRINT_LIMIT 0.7
#define PARSE_LIMIT 0.125
#define ROUNDS 15 /* the best of: the machine is shared */
#define ROUND_NS 60e6

struct subject {
    const struct schema *schema;
    const struct schema_message *message;
    const ProtobufCMessageDescriptor *descriptor;
    struct str text; /* the sample */
    struct str wire; /* the same as a message */
    struct buf out;
    struct arena *arena;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_json: %s\n", what);
    exit(2);
}

static void our_print(struct subject *subject)
{
    struct err err = {0};

    buf_reset(&subject->out);
    if (!json_print(subject->schema, subject->message, subject->wire, JSON_PRINT_CONTRACT,
                    &subject->out, &err))
        fail(err.message);
}

static void reference_unpack_and_print(struct subject *subject)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(
        subject->descriptor, NULL, subject->wire.length, (const uint8_t *)subject->wire.data);

    if (!message)
        fail("protobuf-c does not read the message");
    buf_reset(&subject->out);
    reference_print(message, &subject->out);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void our_parse(struct subject *subject)
{
    struct violations violations;
    struct err err = {0};

    violations_init(&violations, subject->arena, 10);
    buf_reset(&subject->out);
    if (!json_parse(subject->schema, subject->message, subject->text, NULL, &subject->out,
                    &violations, &err))
        fail(err.message);
    if (violations.count)
        fail(violations.first ? violations.first->message : "violations");
}

static void reference_parse_and_pack(struct subject *subject)
{
    json_error_t error;
    json_t *root =
        json_loadb(subject->text.data, subject->text.length, JSON_REJECT_DUPLICATES, &error);
    ProtobufCMessage *message = root ? reference_build(subject->descriptor, root) : NULL;

    if (!message)
        fail("jansson and protobuf-c do not read the sample");
    size_t size = protobuf_c_message_get_packed_size(message);

    buf_reset(&subject->out);
    if (!buf_reserve(&subject->out, size))
        fail("no memory");
    subject->out.length = protobuf_c_message_pack(message, (uint8_t *)subject->out.data);
    protobuf_c_message_free_unpacked(message, NULL);
    json_decref(root);
}

static double now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double time_once(struct subject *subject, void (*run)(struct subject *), unsigned count)
{
    double start = now_ns();

    for (unsigned i = 0; i < count; i++)
        run(subject);
    return (now_ns() - start) / count;
}

/* Alternating rounds, best of each: what else the machine does hits both alike. */
static bool compare(struct subject *subject, const char *name, void (*ours)(struct subject *),
                    void (*reference)(struct subject *), double limit)
{
    void (*runs[2])(struct subject *) = {ours, reference};
    double best[2] = {1e18, 1e18};

    for (int which = 0; which < 2; which++) {
        double once = time_once(subject, runs[which], 200);

        best[which] = once;
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int which = 0; which < 2; which++) {
            double ns = time_once(subject, runs[which], (unsigned)(ROUND_NS / best[which]) + 1);

            best[which] = ns < best[which] ? ns : best[which];
        }
    double ratio = best[0] / best[1];

    printf("%-14s %8.0f ns/op ours %8.0f ns/op reference  ratio %.3f  limit %.3f  %s\n", name,
           best[0], best[1], ratio, limit, ratio <= limit ? "ok" : "OVER");
    return ratio <= limit;
}

static json_t *load(struct str text)
{
    json_t *json = json_loadb(text.data, text.length, JSON_DECODE_INT_AS_REAL, NULL);

    if (!json)
        fail("not JSON");
    return json;
}

/* Both print the same, and what both parse prints the same. */
static void check_agreement(struct subject *subject)
{
    json_t *ours, *reference;
    struct buf packed;

    our_print(subject);
    ours = load(buf_str(&subject->out));
    reference_unpack_and_print(subject);
    reference = load(buf_str(&subject->out));
    if (!json_equal(ours, reference))
        fail("the two printers do not agree");
    json_decref(reference);

    struct str wire = subject->wire;

    reference_parse_and_pack(subject);
    packed = subject->out;
    subject->wire = buf_str(&packed);
    subject->out = (struct buf){0};
    our_print(subject);
    reference = load(buf_str(&subject->out));
    if (!json_equal(ours, reference))
        fail("the two parsers do not agree");
    json_decref(reference);
    json_decref(ours);
    buf_done(&packed);
    subject->wire = wire;
}

static struct str read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct buf content = {0};
    size_t got;
    char chunk[4096];

    if (!file)
        fail("cannot open the file");
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_put(&content, chunk, got);
    fclose(file);
    return buf_str(&content); /* lives as long as the program */
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct subject subject = {.descriptor = &dialplane__v1__skillbase_config__descriptor};

    if (argc != 2) {
        fprintf(stderr, "usage: bench_json FILE (tests/samples/skillbase_salon.json)\n");
        return 2;
    }
    struct schema *schema =
        schema_load(dialplane_descriptor_set, dialplane_descriptor_set_size, &err);

    if (!schema)
        fail(err.message);
    subject.schema = schema;
    subject.message = schema_find_message(schema, STR_LITERAL("dialplane.v1.SkillbaseConfig"));
    subject.arena = arena_new((size_t)1 << 20);
    subject.text = read_file(argv[1]);
    if (!subject.message || !subject.arena)
        fail("no schema");
    our_parse(&subject);
    subject.wire = buf_str(&subject.out);
    subject.out = (struct buf){0};
    check_agreement(&subject);
    bool ok = compare(&subject, "wire-to-json", our_print, reference_unpack_and_print, PRINT_LIMIT);

    ok &= compare(&subject, "json-to-wire", our_parse, reference_parse_and_pack, PARSE_LIMIT);
    free((char *)(uintptr_t)subject.wire.data);
    free((char *)(uintptr_t)subject.text.data);
    buf_done(&subject.out);
    arena_free(subject.arena);
    schema_free(schema);
    return ok ? 0 : 1;
}
