#include "domain/csv.h"

#include "base/buf.h"

#include <stdlib.h>

/* The first lines that show the delimiter: that many, or as many as fit. */
#define HEAD_LINES 10
#define HEAD_BYTES ((size_t)64 * 1024)
#define SURE_LINES 2

/* What the next byte is part of. Reading may stop and go on in any of these. */
enum state {
    AT_CELL,     /* the first byte of a cell */
    IN_PLAIN,    /* a cell without quotes */
    IN_QUOTES,   /* between quotes: everything counts */
    AFTER_QUOTE, /* a quote inside quotes: its first half or the end of the cell */
};

struct csv_reader {
    list_on_row *on_row;
    void *context;
    const char *charset;
    struct buf head;     /* the first lines, until they show the delimiter; then what is unread */
    size_t head_at;      /* read of it */
    unsigned head_lines; /* that are not blank */
    bool head_in_quotes, head_line_has_text;
    bool head_done;
    char delimiter;
    bool is_special[256]; /* bytes that mean something outside quotes */
    enum state state;
    bool after_cr;     /* the last byte ended a row and was CR: an LF belongs to it */
    int64_t row;       /* number of the row being read, from 1 */
    struct buf text;   /* the row's cells, one after the other */
    size_t cell_start; /* of the cell being read, in text */
    size_t cell_bytes; /* its length, also beyond what is kept */
    size_t starts[LIST_COLUMN_LIMIT + 1];
    struct str cells[LIST_COLUMN_LIMIT];
    size_t count;
    size_t long_cell;
    bool is_too_long, has_quotes;
};

struct csv_reader *csv_reader_new(list_on_row *on_row, void *context)
{
    struct csv_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    reader->on_row = on_row;
    reader->context = context;
    reader->row = 1;
    buf_init(&reader->head, LIST_ROW_LIMIT_BYTES + 2 * HEAD_BYTES);
    buf_init(&reader->text, LIST_ROW_LIMIT_BYTES + 1);
    return reader;
}

void csv_reader_free(struct csv_reader *reader)
{
    if (!reader)
        return;
    buf_done(&reader->head);
    buf_done(&reader->text);
    free(reader);
}

void csv_reader_set_charset(struct csv_reader *reader, const char *charset)
{
    reader->charset = charset;
}

char csv_reader_delimiter(const struct csv_reader *reader)
{
    return reader->delimiter;
}

/* ---- Cells and rows ---- */

static void keep(struct csv_reader *reader, const char *data, size_t size)
{
    size_t room =
        LIST_CELL_LIMIT_BYTES > reader->cell_bytes ? LIST_CELL_LIMIT_BYTES - reader->cell_bytes : 0;

    reader->cell_bytes += size;
    if (size > room) {
        if (!reader->long_cell)
            reader->long_cell = reader->count + 1;
        size = room;
    }
    if (reader->text.length + size > LIST_ROW_LIMIT_BYTES) {
        reader->is_too_long = true;
        size = LIST_ROW_LIMIT_BYTES - reader->text.length;
    }
    if (reader->text.capacity - reader->text.length > size) { /* the way of nearly every cell */
        memcpy(reader->text.data + reader->text.length, data, size);
        reader->text.length += size;
    } else {
        buf_put(&reader->text, data, size);
    }
}

static void end_cell(struct csv_reader *reader)
{
    if (reader->count < LIST_COLUMN_LIMIT) {
        reader->starts[reader->count] = reader->cell_start;
        reader->starts[reader->count + 1] = reader->text.length;
    } else { /* counted, not kept */
        reader->text.length = reader->starts[LIST_COLUMN_LIMIT];
    }
    reader->count++;
    reader->cell_start = reader->text.length;
    reader->cell_bytes = 0;
    reader->state = AT_CELL;
}

/* What a byte led to. */
enum step { GO_ON, PAUSE, FAIL };

static enum step fail(struct err *err, enum err_code code, const char *sentence)
{
    err_set(err, code, NULL, "%s", sentence);
    return FAIL;
}

static enum step end_row(struct csv_reader *reader, struct err *err)
{
    bool is_blank = reader->count == 0 && reader->cell_bytes == 0 && !reader->has_quotes;
    bool go_on = true;

    end_cell(reader);
    if (reader->text.failed)
        return fail(err, ERR_RESOURCE_EXHAUSTED, "memory is short");
    if (!is_blank) {
        size_t kept = reader->count < LIST_COLUMN_LIMIT ? reader->count : LIST_COLUMN_LIMIT;

        /* a row of empty cells has no memory yet */
        const char *text = reader->text.data ? reader->text.data : "";

        for (size_t i = 0; i < kept; i++)
            reader->cells[i] =
                (struct str){text + reader->starts[i], reader->starts[i + 1] - reader->starts[i]};
        const struct list_row row = {
            .number = reader->row,
            .cells = reader->cells,
            .count = reader->count,
            .long_cell = reader->long_cell,
            .is_too_long = reader->is_too_long,
            .charset = reader->charset,
        };

        go_on = reader->on_row(reader->context, &row);
    }
    buf_reset(&reader->text);
    reader->cell_start = 0;
    reader->count = 0;
    reader->long_cell = 0;
    reader->is_too_long = false;
    reader->has_quotes = false;
    reader->row++;
    return go_on ? GO_ON : PAUSE;
}

static enum step broken(const struct csv_reader *reader, const char *what, struct err *err)
{
    err_set(err, ERR_INVALID_ARGUMENT, NULL,
            "the file's quoting is broken: row %lld, column %zu: %s", (long long)reader->row,
            reader->count + 1, what);
    return FAIL;
}

/* ---- Bytes ---- */

/* How many bytes from `at` on have no meaning of their own in this state. */
static size_t ordinary(const struct csv_reader *reader, const char *at, const char *end)
{
    const char *p = at;

    if (reader->state == IN_QUOTES) {
        while (p < end && *p != '"' && *p != 0)
            p++;
    } else {
        const bool *is_special = reader->is_special;

        while (p < end && !is_special[(unsigned char)*p])
            p++;
    }
    return (size_t)(p - at);
}

static enum step take_byte(struct csv_reader *reader, char byte, struct err *err)
{
    if (byte == 0) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL,
                "row %lld has a NUL byte: this is not a text file; save the list as CSV in UTF-8 "
                "or as .xlsx",
                (long long)reader->row);
        return FAIL;
    }
    if (reader->state == IN_QUOTES) { /* only a quote comes here */
        reader->state = AFTER_QUOTE;
        return GO_ON;
    }
    if (byte == '"') {
        if (reader->state == AFTER_QUOTE) {
            keep(reader, "\"", 1);
            reader->state = IN_QUOTES;
            return GO_ON;
        }
        if (reader->state == IN_PLAIN)
            return broken(reader, "a quote inside a cell that does not begin with one", err);
        reader->state = IN_QUOTES;
        reader->has_quotes = true;
        return GO_ON;
    }
    if (byte == reader->delimiter) {
        end_cell(reader);
        return GO_ON;
    }
    reader->after_cr = byte == '\r';
    return end_row(reader, err);
}

/* Takes bytes from the front of `in` until a row asks for a pause. */
static enum step parse(struct csv_reader *reader, struct str *in, struct err *err)
{
    const char *at = in->data, *end = in->data + in->length;
    enum step step = GO_ON;

    while (at < end && step == GO_ON) {
        if (reader->after_cr) {
            reader->after_cr = false;
            if (*at == '\n') {
                at++;
                continue;
            }
        }
        size_t run = ordinary(reader, at, end);

        if (run) {
            if (reader->state == AFTER_QUOTE)
                return broken(reader, "text follows the closing quote", err);
            if (reader->state == AT_CELL)
                reader->state = IN_PLAIN;
            keep(reader, at, run);
            at += run;
        } else {
            step = take_byte(reader, *at++, err);
        }
    }
    *in = (struct str){at, (size_t)(end - at)};
    return step;
}

/* ---- The first lines ---- */

static const char candidates[] = {',', ';', '\t', '|'};

#define CANDIDATES (sizeof(candidates))

/* Cells by each candidate in the line that begins at *at; moves behind it. False: the line has no
 * end in these bytes. */
static bool count_line(const char *data, size_t size, size_t *at, bool is_end,
                       size_t counts[CANDIDATES])
{
    bool in_quotes = false;
    size_t i = *at;

    memset(counts, 0, CANDIDATES * sizeof(*counts));
    for (; i < size; i++) {
        if (data[i] == '"')
            in_quotes = !in_quotes;
        if (in_quotes)
            continue;
        if (data[i] == '\n' || data[i] == '\r')
            break;
        for (size_t c = 0; c < CANDIDATES; c++)
            counts[c] += data[i] == candidates[c];
    }
    *at = i + 1;
    return i < size || is_end;
}

/* The one that the first line has most of, unless the lines below have another one as often as the
 * first and never that: names with commas in a file with semicolons. */
static char sniff(const char *data, size_t size, bool is_end)
{
    size_t first[CANDIDATES] = {0}, agree[CANDIDATES] = {0}, line[CANDIDATES];
    size_t at = 0, best = 0;
    bool has_first = false;

    for (unsigned lines = 0; at < size && lines < HEAD_LINES;) {
        size_t start = at;

        if (!count_line(data, size, &at, is_end, line) && has_first)
            break;
        if (at == start + 1) /* blank */
            continue;
        lines++;
        if (!has_first) {
            memcpy(first, line, sizeof(first));
            has_first = true;
            continue;
        }
        for (size_t c = 0; c < CANDIDATES; c++)
            agree[c] += line[c] == first[c];
    }
    for (size_t c = 1; c < CANDIDATES; c++)
        if (first[c] > first[best] ||
            (first[c] && first[c] == first[best] && agree[c] > agree[best]))
            best = c;
    for (size_t c = 0, most = best; c < CANDIDATES; c++)
        if (first[c] && agree[c] >= SURE_LINES && !agree[most] && agree[c] > agree[best])
            best = c;
    return candidates[best];
}

/* "sep=;" as Excel writes and obeys it; the length of that line, 0: it is none. */
static size_t separator_line(struct str head, char *ret_delimiter)
{
    size_t length;

    if (head.length < 6 || !str_equal_ignore_case((struct str){head.data, 4}, STR_LITERAL("sep=")))
        return 0;
    length = head.data[5] == '\r' && head.length > 6 && head.data[6] == '\n' ? 7 : 6;
    if (head.data[5] != '\r' && head.data[5] != '\n')
        return 0;
    *ret_delimiter = head.data[4];
    return memchr(candidates, head.data[4], CANDIDATES) ? length : 0;
}

static void finish_head(struct csv_reader *reader, bool is_end)
{
    struct str head = buf_str(&reader->head);

    reader->head_done = true;
    if (head.length >= 3 && !memcmp(head.data, "\xEF\xBB\xBF", 3))
        reader->head_at = 3;
    head = str_after(head, reader->head_at);
    size_t said = separator_line(head, &reader->delimiter);

    reader->head_at += said;
    if (!said)
        reader->delimiter = sniff(head.data, head.length, is_end);
    const char special[] = {0, '"', '\n', '\r', reader->delimiter};

    for (size_t i = 0; i < sizeof(special); i++)
        reader->is_special[(unsigned char)special[i]] = true;
}

/* Moves bytes from `in` to the head until it is enough to know the delimiter. */
static enum list_result gather_head(struct csv_reader *reader, struct str *in, bool is_end,
                                    struct err *err)
{
    while (in->length) {
        size_t size = in->length < HEAD_BYTES ? in->length : HEAD_BYTES;
        size_t begin = reader->head.length;

        buf_put(&reader->head, in->data, size);
        *in = str_after(*in, size);
        if (reader->head.failed)
            break;
        for (size_t i = begin; i < begin + size; i++) {
            char byte = reader->head.data[i];
            bool is_line_end = (byte == '\n' || byte == '\r') && !reader->head_in_quotes;

            if (byte == '"')
                reader->head_in_quotes = !reader->head_in_quotes;
            if (is_line_end && reader->head_line_has_text)
                reader->head_lines++;
            reader->head_line_has_text = !is_line_end;
        }
        if (reader->head_lines >= HEAD_LINES ||
            (reader->head_lines && reader->head.length >= HEAD_BYTES)) {
            finish_head(reader, false);
            return LIST_PAUSED;
        }
        if (reader->head.length > LIST_ROW_LIMIT_BYTES)
            break;
    }
    if (reader->head.failed || reader->head.length > LIST_ROW_LIMIT_BYTES) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "the file's first row does not end within 1 MB%s",
                reader->head_in_quotes ? ": a quote in it is never closed" : "");
        return LIST_FAILED;
    }
    if (!is_end)
        return LIST_NEEDS_INPUT;
    finish_head(reader, true);
    return LIST_PAUSED;
}

static enum list_result result_of(enum step step)
{
    return step == FAIL ? LIST_FAILED : LIST_PAUSED;
}

enum list_result csv_reader_read(struct csv_reader *reader, struct str *in, bool is_end,
                                 struct err *err)
{
    enum step step;

    if (!reader->head_done) {
        enum list_result result = gather_head(reader, in, is_end, err);

        if (result != LIST_PAUSED)
            return result;
    }
    if (reader->head_at < reader->head.length) {
        struct str head = str_after(buf_str(&reader->head), reader->head_at);

        step = parse(reader, &head, err);
        reader->head_at = reader->head.length - head.length;
        if (step != GO_ON)
            return result_of(step);
        buf_done(&reader->head);
        buf_init(&reader->head, 0);
        reader->head_at = 0;
    }
    step = in->length ? parse(reader, in, err) : GO_ON;
    if (step != GO_ON)
        return result_of(step);
    if (!is_end)
        return LIST_NEEDS_INPUT;
    if (reader->state == IN_QUOTES)
        return result_of(broken(reader, "the quote that begins here is never closed", err));
    /* The last line may lack its newline. */
    if (reader->state != AT_CELL || reader->count > 0)
        step = end_row(reader, err);
    return step == FAIL ? LIST_FAILED : LIST_ENDED;
}
