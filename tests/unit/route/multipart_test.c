#include "fixture.h"

#include "gateway/route/multipart.h"

/* Writes down what it is told: "<name|file|type>content</>". */
struct record {
    struct buf text;
    bool refuse;
};

static bool on_part(void *context, const struct multipart_part *part)
{
    struct record *record = context;

    buf_put_char(&record->text, '<');
    buf_put_str(&record->text, part->name);
    buf_put_char(&record->text, '|');
    buf_put_str(&record->text, part->file_name);
    buf_put_char(&record->text, '|');
    buf_put_str(&record->text, part->content_type);
    buf_put_char(&record->text, '>');
    return !record->refuse;
}

static bool on_data(void *context, struct str data)
{
    struct record *record = context;

    assert_true(data.length > 0);
    buf_put_str(&record->text, data);
    return true;
}

static bool on_part_end(void *context)
{
    struct record *record = context;

    buf_put_cstr(&record->text, "</>");
    return true;
}

static const struct multipart_handler handler = {on_part, on_data, on_part_end};

/* Feeds text in pieces of `step` after a first one of `first` bytes; gives what was recorded, or
 * NULL. */
static const char *read_all(const char *text, size_t length, size_t first, size_t step,
                            struct record *record, struct err *err)
{
    struct multipart multipart;
    size_t at = 0;

    *err = (struct err){0};
    buf_reset(&record->text);
    assert_true(multipart_init(&multipart, STR_LITERAL("xYz"), &handler, record));
    while (at < length) {
        size_t part = at == 0 && first ? first : step;
        if (part > length - at)
            part = length - at;
        if (!multipart_feed(&multipart, (struct str){text + at, part}, err))
            return NULL;
        at += part;
    }
    if (!multipart_end(&multipart, err))
        return NULL;
    buf_put_char(&record->text, '\0');
    return record->text.data;
}

/* Every place to cut it in two, and byte by byte, must read the same. */
static void assert_reads(const char *text, size_t length, const char *expected)
{
    struct record record = {0};
    struct err err;

    for (size_t cut = 0; cut <= length; cut++) {
        const char *got = read_all(text, length, cut, length, &record, &err);
        if (!got)
            fail_msg("cut at %zu: %s", cut, err.message);
        assert_string_equal(got, expected);
    }
    for (size_t step = 1; step < 8; step++)
        assert_string_equal(read_all(text, length, 0, step, &record, &err), expected);
    buf_done(&record.text);
}

#define FILE_HEADERS                                                                               \
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\nContent-Type: "          \
    "text/csv\r\n\r\n"

static void test_one_file_at_every_split(void **state)
{
    static const char text[] = "--xYz\r\n" FILE_HEADERS "a,b\r\n1,2\r\n\r\n--xYz--\r\n";

    (void)state;
    assert_reads(text, sizeof(text) - 1, "<file|a.csv|text/csv>a,b\r\n1,2\r\n</>");
}

static void test_almost_delimiters_are_content(void **state)
{
    static const char text[] = "preamble\r\n--xY\r\n--xYz\r\n" FILE_HEADERS
                               "\r\n--xY\r\r\n-\r\n--\r\n\r\n--xYZ--\r\n--xYz--epilogue --xYz";

    (void)state;
    assert_reads(text, sizeof(text) - 1,
                 "<file|a.csv|text/csv>\r\n--xY\r\r\n-\r\n--\r\n\r\n--xYZ--</>");
}

static void test_several_parts_and_empty_ones(void **state)
{
    static const char text[] =
        "--xYz  \r\nContent-Disposition: form-data; name=one\r\n\r\n1\r\n"
        "--xYz\r\ncontent-disposition:form-data; name=\"empty\"\r\n\r\n\r\n"
        "--xYz\r\nContent-Disposition: form-data; name=\"none\"\r\n\r\n--xYz\r\n" FILE_HEADERS
        "x\r\n--xYz--";

    (void)state;
    assert_reads(text, sizeof(text) - 1,
                 "<one||>1</><empty||></><none||></><file|a.csv|text/csv>x</>");
}

static void test_names_of_files(void **state)
{
    static const char text[] =
        "--xYz\r\nContent-Disposition: form-data; name=\"a\\\"b\"; filename=\"x;y.csv\"\r\n\r\n\r\n"
        "--xYz\r\nContent-Disposition: form-data; name=\"f\"; "
        "filename*=UTF-8''%D0%BA.csv\r\n\r\n\r\n--xYz--\r\n";

    (void)state;
    assert_reads(text, sizeof(text) - 1, "<a\"b|x;y.csv|></><f|\xd0\xba.csv|></>");
}

static void test_what_is_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        "no boundary at all",
        "--xYz\r\n" FILE_HEADERS "cut off",
        "--xYz\r\n" FILE_HEADERS "cut off\r\n--xYz",
        "--xYz\r\n" FILE_HEADERS "cut off\r\n--xYz-",
        "--xYz?\r\n",
        "--xYz\r?",
        "--xYz-?",
        "--xYz\r\n\r\nno disposition\r\n--xYz--",
        "--xYz\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n\r\n--xYz--",
        "--xYz\r\nContent-Disposition: form-data\r\n\r\n\r\n--xYz--",
        "--xYz\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\n\r\n--xYz--",
        "--xYz\r\nno colon\r\n\r\n\r\n--xYz--",
        "--xYz\r\nbare: line feed\n\r\n--xYz--",
    };
    struct record record = {0};
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (size_t step = 1; step < 100; step += 49) {
            assert_null(read_all(texts[i], strlen(texts[i]), 0, step, &record, &err));
            assert_int_equal(err.code, ERR_INVALID_ARGUMENT);
        }
    buf_done(&record.text);
}

static void test_limits(void **state)
{
    struct record record = {0};
    struct buf text = {0};
    struct err err;

    (void)state;
    buf_put_cstr(&text, "--xYz\r\nX: ");
    for (int i = 0; i < 5000; i++)
        buf_put_char(&text, 'x');
    assert_null(read_all(text.data, text.length, 0, 1000, &record, &err));
    buf_reset(&text);
    for (int i = 0; i < 100; i++)
        buf_put_cstr(&text, "--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n");
    buf_put_cstr(&text, "--xYz--");
    assert_null(read_all(text.data, text.length, 0, 1000, &record, &err));
    buf_done(&text);
    buf_done(&record.text);
}

static void test_a_callback_may_stop_it(void **state)
{
    static const char text[] = "--xYz\r\n" FILE_HEADERS "a\r\n--xYz--\r\n";
    struct record record = {.refuse = true};
    struct err err;

    (void)state;
    assert_null(read_all(text, sizeof(text) - 1, 0, 5, &record, &err));
    assert_false(err_is_set(&err));
    buf_done(&record.text);
}

static void test_boundaries(void **state)
{
    struct multipart multipart;
    char longest[72];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    assert_true(multipart_init(&multipart, (struct str){longest, 70}, &handler, NULL));
    assert_false(multipart_init(&multipart, (struct str){longest, 71}, &handler, NULL));
    assert_false(multipart_init(&multipart, STR_LITERAL(""), &handler, NULL));
    assert_false(multipart_init(&multipart, STR_LITERAL("a "), &handler, NULL));
    assert_false(multipart_init(&multipart, STR_LITERAL("a\rb"), &handler, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_file_at_every_split),
        cmocka_unit_test(test_almost_delimiters_are_content),
        cmocka_unit_test(test_several_parts_and_empty_ones),
        cmocka_unit_test(test_names_of_files),
        cmocka_unit_test(test_what_is_malformed),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_a_callback_may_stop_it),
        cmocka_unit_test(test_boundaries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
