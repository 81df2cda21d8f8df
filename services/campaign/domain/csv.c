#include "domain/csv.h"

#include "base/buf.h"

#include <stdlib.h>

/* What the next byte is part of. Feeding may stop and go on in any of these. */
enum state {
    AT_CELL,     /* the first byte of a cell */
    IN_PLAIN,    /* a cell without quotes */
    IN_QUOTES,   /* between quotes: everything counts */
    AFTER_QUOTE, /* a quote inside quotes: its first half or the end of the cell */
};

struct csv_reader {
    csv_on_row *on_row;
    void *context;
    struct buf head; /* the first row, until its end shows the delimiter */
    bool head_done, head_in_quotes;
    size_t head_scanned;
    char delimiter;
    enum state state;
    bool after_cr;     /* the last byte ended a row and was CR: an LF belongs to it */
    int64_t row;       /* number of the row being read, from 1 */
    struct buf text;   /* the row's cells, one after the other */
    size_t cell_start; /* of the cell being read, in text */
    size_t cell_bytes; /* its length, also beyond what is kept */
    size_t starts[CSV_COLUMN_LIMIT + 1];
    struct str cells[CSV_COLUMN_LIMIT];
    size_t count;
    size_t long_cell;
    bool is_too_long, has_quotes;
};

struct csv_reader *csv_reader_new(csv_on_row *on_row, void *context)
{
    struct csv_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    reader->on_row = on_row;
    reader->context = context;
    reader->row = 1;
    buf_init(&reader->head, CSV_ROW_LIMIT_BYTES + CSV_ROW_LIMIT_BYTES / 2);
    buf_init(&reader->text, CSV_ROW_LIMIT_BYTES + 1);
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

/* ---- Cells and rows ---- */

static void keep(struct csv_reader *reader, const char *data, size_t size)
{
    size_t room =
        CSV_CELL_LIMIT_BYTES > reader->cell_bytes ? CSV_CELL_LIMIT_BYTES - reader->cell_bytes : 0;

    reader->cell_bytes += size;
    if (size > room) {
        if (!reader->long_cell)
            reader->long_cell = reader->count + 1;
        size = room;
    }
    if (reader->text.length + size > CSV_ROW_LIMIT_BYTES) {
        reader->is_too_long = true;
        size = CSV_ROW_LIMIT_BYTES - reader->text.length;
    }
    buf_put(&reader->text, data, size);
}

static void end_cell(struct csv_reader *reader)
{
    if (reader->count < CSV_COLUMN_LIMIT) {
        reader->starts[reader->count] = reader->cell_start;
        reader->starts[reader->count + 1] = reader->text.length;
    } else { /* counted, not kept */
        reader->text.length = reader->starts[CSV_COLUMN_LIMIT];
    }
    reader->count++;
    reader->cell_start = reader->text.length;
    reader->cell_bytes = 0;
    reader->state = AT_CELL;
}

static bool end_row(struct csv_reader *reader, struct err *err)
{
    bool is_blank = reader->count == 0 && reader->cell_bytes == 0 && !reader->has_quotes;
    bool go_on = true;

    end_cell(reader);
    if (reader->text.failed)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    if (!is_blank) {
        size_t kept = reader->count < CSV_COLUMN_LIMIT ? reader->count : CSV_COLUMN_LIMIT;

        /* a row of empty cells has no memory yet */
        const char *text = reader->text.data ? reader->text.data : "";

        for (size_t i = 0; i < kept; i++)
            reader->cells[i] =
                (struct str){text + reader->starts[i], reader->starts[i + 1] - reader->starts[i]};
        const struct csv_row row = {reader->row, reader->cells, reader->count, reader->long_cell,
                                    reader->is_too_long};

        go_on = reader->on_row(reader->context, &row);
    }
    buf_reset(&reader->text);
    reader->cell_start = 0;
    reader->count = 0;
    reader->long_cell = 0;
    reader->is_too_long = false;
    reader->has_quotes = false;
    reader->row++;
    return go_on;
}

static bool broken(const struct csv_reader *reader, const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                   "the file's quoting is broken: row %lld, column %zu: %s", (long long)reader->row,
                   reader->count + 1, what);
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
        while (p < end && *p != reader->delimiter && *p != '"' && *p != '\n' && *p != '\r' &&
               *p != 0)
            p++;
    }
    return (size_t)(p - at);
}

static bool take_byte(struct csv_reader *reader, char byte, struct err *err)
{
    if (byte == 0)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "row %lld has a NUL byte: this is not a text file in UTF-8",
                       (long long)reader->row);
    if (reader->state == IN_QUOTES) { /* only a quote comes here */
        reader->state = AFTER_QUOTE;
        return true;
    }
    if (byte == '"') {
        if (reader->state == AFTER_QUOTE) {
            keep(reader, "\"", 1);
            reader->state = IN_QUOTES;
            return true;
        }
        if (reader->state == IN_PLAIN)
            return broken(reader, "a quote inside a cell that does not begin with one", err);
        reader->state = IN_QUOTES;
        reader->has_quotes = true;
        return true;
    }
    if (byte == reader->delimiter) {
        end_cell(reader);
        return true;
    }
    reader->after_cr = byte == '\r';
    return end_row(reader, err);
}

static bool parse(struct csv_reader *reader, struct str bytes, struct err *err)
{
    const char *at = bytes.data, *end = bytes.data + bytes.length;

    while (at < end) {
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
        } else if (!take_byte(reader, *at++, err)) {
            return false;
        }
    }
    return true;
}

/* ---- The first row ---- */

static char sniff(const char *data, size_t size)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    size_t counts[sizeof(candidates)] = {0};
    bool in_quotes = false;
    size_t best = 0;

    for (size_t i = 0; i < size; i++) {
        if (data[i] == '"')
            in_quotes = !in_quotes;
        for (size_t c = 0; c < sizeof(candidates) && !in_quotes; c++)
            counts[c] += data[i] == candidates[c];
    }
    for (size_t c = 1; c < sizeof(candidates); c++)
        if (counts[c] > counts[best])
            best = c;
    return candidates[best];
}

static bool finish_head(struct csv_reader *reader, struct err *err)
{
    struct str head = buf_str(&reader->head);
    size_t line = reader->head_scanned;
    bool parsed;

    reader->head_done = true;
    if (head.length >= 2 && ((head.data[0] == '\xFF' && head.data[1] == '\xFE') ||
                             (head.data[0] == '\xFE' && head.data[1] == '\xFF')))
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the file is in UTF-16: save it as CSV in UTF-8");
    if (head.length >= 3 && !memcmp(head.data, "\xEF\xBB\xBF", 3)) {
        head.data += 3;
        head.length -= 3;
        line -= line < 3 ? line : 3;
    }
    reader->delimiter = sniff(head.data, line < head.length ? line : head.length);
    parsed = parse(reader, head, err);
    buf_done(&reader->head);
    buf_init(&reader->head, 0);
    return parsed;
}

bool csv_reader_feed(struct csv_reader *reader, struct str bytes, struct err *err)
{
    if (reader->head_done)
        return parse(reader, bytes, err);
    /* As much as shows the end of the first line that is not blank; the rest of the piece goes
     * straight to the rows. */
    for (size_t i = 0; i < bytes.length; i++) {
        char byte = bytes.data[i];

        if (byte == '"')
            reader->head_in_quotes = !reader->head_in_quotes;
        bool is_end =
            (byte == '\n' || byte == '\r') && !reader->head_in_quotes && reader->head_scanned > 0;
        bool is_blank = (byte == '\n' || byte == '\r') && reader->head_scanned == 0;

        reader->head_scanned += !is_blank;
        if (!is_end)
            continue;
        buf_put(&reader->head, bytes.data, i + 1);
        if (reader->head.failed)
            break;
        struct str rest = {bytes.data + i + 1, bytes.length - i - 1};

        reader->head_scanned = reader->head.length;
        return finish_head(reader, err) && parse(reader, rest, err);
    }
    if (!reader->head.failed)
        buf_put(&reader->head, bytes.data, bytes.length);
    if (reader->head.failed || reader->head.length > CSV_ROW_LIMIT_BYTES)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "the file's first row does not end within 1 MB%s",
                       reader->head_in_quotes ? ": a quote in it is never closed" : "");
    return true;
}

bool csv_reader_end(struct csv_reader *reader, struct err *err)
{
    if (!reader->head_done) {
        reader->head_scanned = reader->head.length;
        if (!finish_head(reader, err))
            return false;
    }
    if (reader->state == IN_QUOTES)
        return broken(reader, "the quote that begins here is never closed", err);
    /* The last line may lack its newline. */
    if (reader->state != AT_CELL || reader->count > 0)
        return end_row(reader, err);
    return true;
}
