/* Call lists without I/O: CSV fed at every split, and what becomes of its rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/call_list.h"
#include "domain/csv.h"
#include "domain/phone_text.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- CSV ---- */

/* Rows as text: "2[a|b]" */
static bool note_row(void *context, const struct list_row *row)
{
    struct buf *out = context;

    buf_printf(out, "%lld[", (long long)row->number);
    for (size_t i = 0; i < row->count && i < LIST_COLUMN_LIMIT; i++) {
        if (i)
            buf_put_char(out, '|');
        buf_put_str(out, row->cells[i]);
    }
    buf_printf(out, "]%s%s", row->long_cell ? "L" : "", row->is_too_long ? "T" : "");
    return row->number % 2; /* half of them ask for a pause */
}

/* False: the reading has failed. */
static bool feed(struct csv_reader *reader, struct str bytes, bool is_end, struct err *err)
{
    enum list_result result;

    do
        result = csv_reader_read(reader, &bytes, is_end, err);
    while (result == LIST_PAUSED);
    assert_true(result == LIST_FAILED || result == (is_end ? LIST_ENDED : LIST_NEEDS_INPUT));
    assert_true(result == LIST_FAILED || !bytes.length);
    return result != LIST_FAILED;
}

/* The rows, or "!" and the sentence. The caller frees. */
static char *read_csv(const char *data, size_t size, size_t split, size_t piece)
{
    struct buf out;
    struct err err = {0};
    struct csv_reader *reader = csv_reader_new(note_row, &out);
    bool ok = true;

    buf_init(&out, 64 << 20);
    for (size_t at = 0; ok && at < size;) {
        size_t most = at < split ? split - at : piece ? piece : size;
        size_t length = most < size - at ? most : size - at;
        /* A copy, so that a sanitizer sees a byte too many. */
        char *copy = malloc(length ? length : 1);

        memcpy(copy, data + at, length);
        ok = feed(reader, (struct str){copy, length}, false, &err);
        free(copy);
        at += length;
    }
    if (ok)
        ok = feed(reader, (struct str){0}, true, &err);
    if (!ok) {
        buf_reset(&out);
        buf_printf(&out, "!%s", err.message);
    }
    csv_reader_free(reader);
    return buf_take_cstr(&out);
}

static void check_csv(const char *data, size_t size, const char *expected)
{
    for (size_t split = 0; split <= size; split++) {
        char *rows = read_csv(data, size, split, 0);

        assert_string_equal(rows, expected);
        free(rows);
    }
    char *rows = read_csv(data, size, 0, 1);

    assert_string_equal(rows, expected);
    free(rows);
}
#define CSV(data, expected) check_csv((data), sizeof(data) - 1, (expected))

static void test_csv_rows(void **state)
{
    (void)state;
    CSV("", "");
    CSV("\n\r\n\r", "");
    CSV("a,b\n1,2\n", "1[a|b]2[1|2]");
    CSV("a,b\r\n1,2", "1[a|b]2[1|2]");
    CSV("a,b\r1,2\r\r3,4", "1[a|b]2[1|2]4[3|4]");
    CSV("\xEF\xBB\xBF"
        "a,b\n1,2\n",
        "1[a|b]2[1|2]");
    CSV("a,b\n\n\r\n1,\n,2\n,\n", "1[a|b]4[1|]5[|2]6[|]");
    CSV("a,b\n\"x,\"\"y\"\"\r\nz\",2\n3,4\n", "1[a|b]2[x,\"y\"\r\nz|2]3[3|4]");
    CSV("a\n\"\"\n\"\"\"\"\n", "1[a]2[]3[\"]");
    CSV("\n\na;b\n1;2,3\n", "3[a|b]4[1|2,3]");
    CSV("a;b;c,d\n1;2,3\n", "1[a|b|c,d]2[1|2,3]");
    CSV("a\tb\n1\t 2 \n", "1[a|b]2[1| 2 ]");
    CSV("a|b\n1|2\n", "1[a|b]2[1|2]");
    CSV("\"a;;;\",b\n1,2\n", "1[a;;;|b]2[1|2]");
    CSV("\"a\nb\",c\n1,2\n", "1[a\nb|c]2[1|2]");
    CSV("a,b\n1,2,3\n4\n", "1[a|b]2[1|2|3]3[4]");
    CSV("sep=;\r\na,b;c\r\n1;2\r\n", "1[a,b|c]2[1|2]");
    CSV("sep=a\n1;2\n", "1[sep=a]2[1;2]");
}

static void test_csv_delimiters(void **state)
{
    (void)state;
    CSV("name, first, last;phone\nAnn;1\nBob;2\n", "1[name, first, last|phone]2[Ann|1]3[Bob|2]");
    CSV("phone;balance\n1;2,5\n3;4,5\n", "1[phone|balance]2[1|2,5]3[3|4,5]");
    CSV("phone\n1\n2,5\n", "1[phone]2[1]3[2|5]");
    CSV("a\tb, c\n1\t2\n", "1[a|b, c]2[1|2]");
    /* Ragged rows leave it to the first line. */
    CSV("a,b,c;d\n1\n2\n", "1[a|b|c;d]2[1]3[2]");
}

static void test_csv_that_is_broken(void **state)
{
    (void)state;
    CSV("a,b\n1,\"2\n3,4\n", "!the file's quoting is broken: row 2, column 2: the quote that "
                             "begins here is never closed");
    CSV("a,b\n\n1,\"2\"x\n",
        "!the file's quoting is broken: row 3, column 2: text follows the closing quote");
    CSV("a,b\n1,2\"\n", "!the file's quoting is broken: row 2, column 2: a quote inside a cell "
                        "that does not begin with one");
    CSV("a,\"b", "!the file's quoting is broken: row 1, column 2: the quote that begins here is "
                 "never closed");
    CSV("a,b\n1,\0\n", "!row 2 has a NUL byte: this is not a text file; save the "
                       "list as CSV in UTF-8 or as .xlsx");
    CSV("a,b\n1,\"\0\"\n", "!row 2 has a NUL byte: this is not a text file; save the "
                           "list as CSV in UTF-8 or as .xlsx");
}

static void test_csv_memory_is_bounded(void **state)
{
    size_t size = 3 << 20;
    char *data = malloc(size);

    (void)state;
    memset(data, 'x', size);
    memcpy(data, "a,b\n1,", 6);
    data[size - 1] = '\n';
    char *rows = read_csv(data, size, 1000, 100000);

    assert_int_equal(strlen(rows), strlen("1[a|b]2[1|]L") + LIST_CELL_LIMIT_BYTES);
    free(rows);
    for (size_t i = 6; i < size - 1; i += 60000)
        data[i] = ',';
    rows = read_csv(data, size, 1000, 100000);
    assert_true(strlen(rows) <= LIST_ROW_LIMIT_BYTES + 200 && strchr(rows, 'T'));
    free(rows);
    memset(data, ',', size);
    memcpy(data, "a,b\n1", 5);
    rows = read_csv(data, size, 1000, 100000);
    assert_true(strlen(rows) < 2000);
    free(rows);
    memset(data, 'x', size); /* a first row without end */
    rows = read_csv(data, size, 0, 100000);
    assert_int_equal(rows[0], '!');
    free(rows);
    free(data);
}

/* ---- Call lists ---- */

static bool fake_phone(void *context, struct str text, struct phone_answer *ret_answer)
{
    (void)context;
    memset(ret_answer, 0, sizeof(*ret_answer));
    if (text.length > 15 || text.data[0] != '+') {
        strcpy(ret_answer->problem, "is none");
        return false;
    }
    memcpy(ret_answer->e164, text.data, text.length);
    return true;
}

static bool fake_zone(struct str name)
{
    return str_equal_cstr(name, "Europe/Berlin");
}

static uint64_t fake_random(void *context)
{
    (void)context;
    return UINT64_C(0xFEDCBA9876543210);
}

struct reading {
    struct call_list *list;
    struct csv_reader *reader;
    struct buf out;
    struct err err;
};

static bool feed_list(struct reading *reading, struct str bytes, bool is_end)
{
    enum list_result result;

    do
        result = csv_reader_read(reading->reader, &bytes, is_end, &reading->err);
    while (result == LIST_PAUSED && !err_is_set(call_list_err(reading->list)));
    if (err_is_set(call_list_err(reading->list)))
        reading->err = *call_list_err(reading->list);
    return !err_is_set(&reading->err);
}

/* Without the ids, which are checked to grow. */
static void show_lines(const struct buf *out, struct buf *shown)
{
    char last[UUID_TEXT_SIZE] = "";

    for (size_t at = 0; at < out->length;) {
        const char *line = out->data + at, *end = memchr(line, '\n', out->length - at);
        const char *id = memchr(line, '\t', (size_t)(end - line));

        assert_non_null(id++);
        buf_put(shown, line, (size_t)(id - line));
        if (*id != '\\') {
            assert_true(memcmp(id, last, UUID_TEXT_LENGTH) > 0);
            assert_true(id[14] == '7' && strchr("89ab", id[19]));
            assert_memory_equal(id, "01234567-89ab", 13);
            memcpy(last, id, UUID_TEXT_LENGTH);
            id += UUID_TEXT_SIZE;
        }
        buf_put(shown, id, (size_t)(end - id) + 1);
        at = (size_t)(end - out->data) + 1;
    }
}

/* COPY lines and errors, or "!" and the sentence. */
static char *read_list(struct header_options header, const char *data, size_t size, size_t split)
{
    const struct call_list_options options = {.row_limit = 8,
                                              .error_rows = 3,
                                              .pause_bytes = 60,
                                              .header = header,
                                              .normalise_phone = fake_phone,
                                              .is_time_zone = fake_zone,
                                              .random = fake_random,
                                              .now_ms = 0x0123456789AB};
    struct call_list *list = call_list_new(&options);
    struct reading reading = {.list = list, .reader = csv_reader_new(call_list_on_row, list)};
    const char *const *errors;
    struct buf shown;

    buf_init(&reading.out, 0);
    buf_init(&shown, 0);
    call_list_set_out(list, &reading.out);
    if (feed_list(&reading, (struct str){data, split}, false) &&
        feed_list(&reading, (struct str){data + split, size - split}, true))
        call_list_end(list, &reading.err);
    if (err_is_set(&reading.err)) {
        buf_printf(&shown, "!%s", reading.err.message);
    } else {
        size_t count = call_list_errors(list, &errors);

        show_lines(&reading.out, &shown);
        for (size_t i = 0; i < count; i++)
            buf_printf(&shown, "%s\n", errors[i]);
    }
    buf_done(&reading.out);
    csv_reader_free(reading.reader);
    call_list_free(list);
    return buf_take_cstr(&shown);
}

static void check_list(struct header_options header, const char *data, size_t size,
                       const char *expected)
{
    for (size_t split = 0; split <= size; split++) {
        char *shown = read_list(header, data, size, split);

        assert_string_equal(shown, expected);
        free(shown);
    }
}
#define LIST(data, expected)                                                                       \
    check_list((struct header_options){.phone_aliases = "phone,\xD0\xA2\xD0\x95\xD0\x9B"}, (data), \
               sizeof(data) - 1, (expected))

static void test_call_lists(void **state)
{
    (void)state;
    LIST("Phone_Number , name,note\n+1,Ann,\"a\tb\\c\nd\"\"e\"\n +2 ,,\n",
         "2\t+1\tAnn\t0\t\\N\t{\"note\":\"a\\\\tb\\\\\\\\c\\\\nd\\\\\"e\"}\t\\N\t\\N\t\\N\t\\N\n"
         "3\t+2\t\\N\t0\t\\N\t{\"note\":\"\"}\t +2 \t\\N\t\\N\t\\N\n");
    LIST("phone_number,contact_name,name,priority,timezone,,x,x\n+1,A,B,-5,Europe/Berlin,1,2,3\n",
         "2\t+1\tA\t-5\tEurope/Berlin\t"
         "{\"name\":\"B\",\"column_6\":\"1\",\"x\":\"2\",\"x_2\":\"3\"}\t\\N\t\\N\t\\N\t\\N\n");
    LIST("phone_number\n\n\"\"\n+1\n", "4\t+1\t\\N\t0\t\\N\t{}\t\\N\t\\N\t\\N\t\\N\n");
    LIST("phone_number\n", "");
    /* A text file that leaves cells out at the end has none. */
    LIST("phone_number,a,b\n+1\n", "2\t+1\t\\N\t0\t\\N\t{}\t\\N\t\\N\t\\N\t\\N\n");
}

static void test_bad_rows(void **state)
{
    (void)state;
    LIST("phone_number,priority,timezone\n,1\nx,1\n+1,1.5\n+1,,Mars\n+1,,,x\n+1,\xff\n",
         "2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\tphone_number\tphone_number is empty\t[\"\",\"1\"]\n"
         "3\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\tphone_number\tphone_number \"x\" is none\t"
         "[\"x\",\"1\"]\n"
         "4\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\tpriority\tpriority \"1.5\" is not a whole number "
         "from -1000 to 1000\t[\"+1\",\"1.5\"]\n"
         "Row 2: phone_number is empty\nRow 3: phone_number \"x\" is none\n"
         "Row 4: priority \"1.5\" is not a whole number from -1000 to 1000\n"
         "Row 5: timezone \"Mars\" is not known\n"
         "Row 6: 4 cells, but there are only 3 columns\n"
         "Row 7: column 2 is not valid UTF-8: save the file in UTF-8, or name its encoding with "
         "charset\n");
    LIST("Phone,x\n+1,a,b\n",
         "2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t3 cells, but there are only 2 columns\t"
         "[\"+1\",\"a\",\"b\"]\nRow 2: 3 cells, but there are only 2 columns\n");
}

static void test_column_names(void **state)
{
    (void)state;
    LIST("Phone,x\n+1,a\n", "2\t+1\t\\N\t0\t\\N\t{\"x\":\"a\"}\t\\N\t\\N\t\\N\t\\N\n");
    LIST("\xD1\x82\xD0\xB5\xD0\xBB,Time Zone\n+1,Europe/Berlin\n",
         "2\t+1\t\\N\t0\tEurope/Berlin\t{}\t\\N\t\\N\t\\N\t\\N\n");
    LIST("\xC2\xA0PHONE NUMBER\xC2\xA0,CONTACT-NAME\n+1,A\n",
         "2\t+1\tA\t0\t\\N\t{}\t\\N\t\\N\t\\N\t\\N\n");
}

static void test_mapped_columns(void **state)
{
    static const struct column_mapping mappings[] = {{"phone_number", "mobile"},
                                                     {"contact_name", "Who"}};
    const struct header_options header = {.mappings = mappings, .mapping_count = 2};
#define MAPPED(data, expected) check_list(header, (data), sizeof(data) - 1, (expected))

    (void)state;
    MAPPED("phone_number,Mobile,who,name\n1,+2,A,B\n",
           "2\t+2\tA\t0\t\\N\t{\"phone_number\":\"1\",\"name\":\"B\"}\t\\N\t\\N\t\\N\t\\N\n");
    MAPPED("phone_number,x\n1,2\n",
           "!the file has no column \"mobile\", which column.phone_number names; its first row "
           "has: phone_number, x; the file has no column \"Who\", which column.contact_name names; "
           "its first row has: phone_number, x");
    MAPPED("mobile,MOBILE,who\n1,2\n", "!the file has two columns for phone_number: \"mobile\" and "
                                       "\"MOBILE\" (columns 1 and 2)");
}

static void test_call_lists_that_are_refused(void **state)
{
    (void)state;
    LIST("", "!the file is empty");
    LIST("\r\n\n", "!the file is empty");
    LIST("a,b\n1,2\n", "!the file has no column phone_number and none of its other names "
                       "phone,\xD0\xA2\xD0\x95\xD0\x9B; its first row has: a, b");
    LIST(
        "phone_number,Phone\n",
        "!the file has two columns for phone_number: \"phone_number\" and \"Phone\" (columns 1 and "
        "2): say which it is with column.phone_number");
    LIST("phone_number,priority,Priority\n",
         "!the file has two columns for priority: \"priority\" and \"Priority\" (columns 2 and 3): "
         "say which it is with column.priority");
    LIST("phone_number,\xC8\n", "!the file's first row is not valid UTF-8: save the file as CSV in "
                                "UTF-8, or name its encoding with charset");
    LIST("phone_number\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "!the file has more than 8 rows");
}

/* ---- Phone numbers as spreadsheets leave them ---- */

static void check_text(const char *text, const char *expected, bool is_bare)
{
    struct phone_text phone;

    assert_true(phone_text_repair(str_from(text), &phone));
    assert_string_equal(phone.text, expected);
    assert_int_equal(phone.is_bare, is_bare);
}

static void test_phone_texts(void **state)
{
    (void)state;
    check_text("+7 916 123-45-67", "+7 916 123-45-67", false);
    check_text("79161234567", "79161234567", true);
    check_text("79161234567.0", "79161234567", true);
    check_text("+79161234567,00", "+79161234567", false);
    check_text("7.9161234567E+10", "79161234567", true);
    check_text("7,9161234567e10", "79161234567", true);
    check_text("7.91612345670E+10", "79161234567", true);
    check_text("=\"+79161234567\"", "+79161234567", false);
    check_text("'+79161234567", "+79161234567", false);
    check_text("\xE2\x80\xAA+1\xC2\xA0"
               "201\xE2\x80\xAF"
               "555\xE2\x80\xAC",
               "+1 201 555", false);
    /* What may be meant as it stands. */
    check_text("201.555.0100", "201.555.0100", false);
    check_text("7E+1x", "7E+1x", false);
    check_text("79161234567.5", "79161234567.5", false);
    check_text("7.91612345678E+10", "7.91612345678E+10", false);
    check_text("", "", false);
    check_text("E+10", "E+10", false);
    check_text("7.E+99", "7.E+99", false);
}

static void test_rounded_phone_texts(void **state)
{
    struct phone_text phone;

    (void)state;
    assert_false(phone_text_repair(str_from("7.9E+10"), &phone));
    assert_string_equal(phone.problem,
                        "has been rounded by the spreadsheet: only 2 of its 11 digits "
                        "are left; format the column as text and export it again");
    assert_false(phone_text_repair(str_from("7E10"), &phone));
    assert_false(phone_text_repair(str_from("7.916123456E+10"), &phone));
    char long_text[PHONE_TEXT_LIMIT_BYTES + 2];

    memset(long_text, '1', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    assert_false(phone_text_repair(str_from(long_text), &phone));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_csv_delimiters),
        cmocka_unit_test(test_csv_that_is_broken),
        cmocka_unit_test(test_csv_memory_is_bounded),
        cmocka_unit_test(test_call_lists),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_column_names),
        cmocka_unit_test(test_mapped_columns),
        cmocka_unit_test(test_call_lists_that_are_refused),
        cmocka_unit_test(test_phone_texts),
        cmocka_unit_test(test_rounded_phone_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
