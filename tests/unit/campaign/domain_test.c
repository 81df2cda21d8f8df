/* The rules of campaigns without I/O: moves, days, and call lists fed at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/call_list.h"
#include "domain/csv.h"
#include "domain/moves.h"
#include "domain/window_check.h"

#include "base/arena.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Moves ---- */

static void test_moves(void **state)
{
    static const struct {
        const char *from;
        bool start, pause, cancel;
    } table[] = {
        {"draft", true, false, true},       {"running", false, true, true},
        {"paused", true, false, true},      {"completed", true, false, false},
        {"cancelled", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(campaign_move_is_allowed(CAMPAIGN_START, table[i].from), table[i].start);
        assert_int_equal(campaign_move_is_allowed(CAMPAIGN_PAUSE, table[i].from), table[i].pause);
        assert_int_equal(campaign_move_is_allowed(CAMPAIGN_CANCEL, table[i].from), table[i].cancel);
    }
    assert_string_equal(campaign_move_rule(CAMPAIGN_START)->target, "running");
    assert_string_equal(campaign_move_rule(CAMPAIGN_PAUSE)->target, "paused");
    assert_string_equal(campaign_move_rule(CAMPAIGN_CANCEL)->target, "cancelled");
}

static void test_days(void **state)
{
    const int some[] = {5, 1, 5, 9, -3, 0}, odd[] = {0, 8};
    char text[WINDOW_DAYS_TEXT_SIZE];

    (void)state;
    window_format_days(some, 6, text);
    assert_string_equal(text, "1,5");
    window_format_days(NULL, 0, text);
    assert_string_equal(text, "1,2,3,4,5,6,7");
    window_format_days(odd, 2, text);
    assert_string_equal(text, "1,2,3,4,5,6,7");
}

static void test_period(void **state)
{
    struct arena *arena = arena_new(65536);
    struct violations violations;

    (void)state;
    violations_init(&violations, arena, 5);
    window_check_period(true, 5, true, 6, &violations);
    window_check_period(false, 0, true, -6, &violations);
    window_check_period(true, 5, false, 0, &violations);
    assert_int_equal(violations.count, 0);
    window_check_period(true, 5, true, 5, &violations);
    assert_int_equal(violations.count, 1);
    assert_string_equal(violations.first->field, "campaign.end_time");
    arena_free(arena);
}

/* ---- CSV ---- */

/* Rows as text: "2[a|b]" */
static bool note_row(void *context, const struct csv_row *row)
{
    struct buf *out = context;

    buf_printf(out, "%lld[", (long long)row->number);
    for (size_t i = 0; i < row->count && i < CSV_COLUMN_LIMIT; i++) {
        if (i)
            buf_put_char(out, '|');
        buf_put_str(out, row->cells[i]);
    }
    buf_printf(out, "]%s%s", row->long_cell ? "L" : "", row->is_too_long ? "T" : "");
    return true;
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
        ok = csv_reader_feed(reader, (struct str){copy, length}, &err);
        free(copy);
        at += length;
    }
    if (ok)
        ok = csv_reader_end(reader, &err);
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
    CSV("a,b\n1,\0\n", "!row 2 has a NUL byte: this is not a text file in UTF-8");
    CSV("a,b\n1,\"\0\"\n", "!row 2 has a NUL byte: this is not a text file in UTF-8");
    CSV("\xFF\xFE"
        "a\0,\0\n\0",
        "!the file is in UTF-16: save it as CSV in UTF-8");
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

    assert_int_equal(strlen(rows), strlen("1[a|b]2[1|]L") + CSV_CELL_LIMIT_BYTES);
    free(rows);
    for (size_t i = 6; i < size - 1; i += 60000)
        data[i] = ',';
    rows = read_csv(data, size, 1000, 100000);
    assert_true(strlen(rows) <= CSV_ROW_LIMIT_BYTES + 200 && strchr(rows, 'T'));
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

static enum phone_verdict fake_phone(void *context, struct str text, char out[PHONE_TEXT_SIZE])
{
    (void)context;
    if (text.length > 15 || text.data[0] != '+')
        return text.data[0] == '0' ? PHONE_NO_COUNTRY : PHONE_INVALID;
    memcpy(out, text.data, text.length);
    out[text.length] = 0;
    return PHONE_OK;
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

/* COPY lines and errors, or "!" and the sentence; the ids are checked to grow and left out. */
static char *read_list(const char *data, size_t size, size_t split)
{
    const struct call_list_options options = {.row_limit = 8,
                                              .normalise_phone = fake_phone,
                                              .is_time_zone = fake_zone,
                                              .random = fake_random,
                                              .now_ms = 0x0123456789AB};
    struct call_list *list = call_list_new(&options);
    struct buf out, shown;
    struct err err = {0};
    const char *const *errors;
    char last[UUID_TEXT_SIZE] = "";

    buf_init(&out, 0);
    buf_init(&shown, 0);
    bool ok = call_list_feed(list, (struct str){data, split}, &out, &err) &&
              call_list_feed(list, (struct str){data + split, size - split}, &out, &err) &&
              call_list_end(list, &out, &err);

    for (size_t at = 0; ok && at < out.length;) {
        const char *line = out.data + at, *end = memchr(line, '\n', out.length - at);
        char id[UUID_TEXT_SIZE] = "";

        memcpy(id, line, UUID_TEXT_LENGTH);
        assert_true(strcmp(id, last) > 0 && id[14] == '7' && strchr("89ab", id[19]));
        assert_memory_equal(id, "01234567-89ab", 13);
        memcpy(last, id, sizeof(id));
        buf_put(&shown, line + UUID_TEXT_SIZE, (size_t)(end - line) - UUID_TEXT_SIZE);
        buf_put_char(&shown, '\n');
        at = (size_t)(end - out.data) + 1;
    }
    size_t count = call_list_errors(list, &errors);

    for (size_t i = 0; ok && i < count; i++)
        buf_printf(&shown, "%s\n", errors[i]);
    if (!ok)
        buf_printf(&shown, "!%s", err.message);
    buf_done(&out);
    call_list_free(list);
    return buf_take_cstr(&shown);
}

static void check_list(const char *data, size_t size, const char *expected)
{
    for (size_t split = 0; split <= size; split++) {
        char *shown = read_list(data, size, split);

        assert_string_equal(shown, expected);
        free(shown);
    }
}
#define LIST(data, expected) check_list((data), sizeof(data) - 1, (expected))

static void test_call_lists(void **state)
{
    (void)state;
    LIST("Phone_Number , name,note\n+1,Ann,\"a\tb\\c\nd\"\"e\"\n +2 ,,\n",
         "+1\tAnn\t0\t\\N\t{\"note\":\"a\\\\tb\\\\\\\\c\\\\nd\\\\\"e\"}\n+2\t\\N\t0\t\\N\t{"
         "\"note\":\"\"}\n");
    LIST("phone_number,contact_name,name,priority,timezone,,x,x\n+1,A,B,-5,Europe/Berlin,1,2,3\n",
         "+1\tA\t-5\tEurope/"
         "Berlin\t{\"name\":\"B\",\"column_6\":\"1\",\"x\":\"2\",\"x_2\":\"3\"}\n");
    LIST("phone_number,priority,timezone\n,1\nx,1\n0,1\n+1,1.5\n+1,1001\n+1,,Mars\n+1,,,x\n+1,"
         "\xff\n",
         "Row 2: phone_number is empty\nRow 3: phone_number \"x\" is not a valid phone number\n"
         "Row 4: phone_number \"0\" is not a valid phone number: it has no country code (begin "
         "with +)\n"
         "Row 5: priority \"1.5\" is not a whole number from -1000 to 1000\n"
         "Row 6: priority \"1001\" is not a whole number from -1000 to 1000\nRow 7: timezone "
         "\"Mars\" is not known\n"
         "Row 8: 4 cells, but there are only 3 columns\nRow 9: column 2 is not valid UTF-8\n");
    LIST("phone_number\n\n\"\"\n+1\n", "+1\t\\N\t0\t\\N\t{}\n");
    LIST("phone_number\n", "");
}

static void test_call_lists_that_are_refused(void **state)
{
    (void)state;
    LIST("", "!the file is empty");
    LIST("\r\n\n", "!the file is empty");
    LIST("a,b\n1,2\n", "!the file has no column phone_number; its first row has: a, b");
    LIST("phone_number,PHONE_NUMBER\n", "!the file has two columns PHONE_NUMBER");
    LIST("phone_number,priority,Priority\n", "!the file has two columns Priority");
    LIST("phone_number,\xC8\n",
         "!the file's first row is not valid UTF-8: save the file as CSV in UTF-8");
    LIST("phone_number\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "!the file has more than 8 rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_period),
        cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_csv_that_is_broken),
        cmocka_unit_test(test_csv_memory_is_bounded),
        cmocka_unit_test(test_call_lists),
        cmocka_unit_test(test_call_lists_that_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
