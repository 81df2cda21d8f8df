#include "readers/reader.h"

#include "base/buf.h"
#include "domain/csv.h"
#include "readers/charset.h"
#include "readers/gunzip.h"
#include "readers/spool.h"
#include "readers/xls.h"
#include "readers/xlsx.h"

#include <stdlib.h>

/* Of the beginning, to know the format by. */
#define MAGIC_BYTES ((size_t)512)
/* Gzip of up to so many bytes is unpacked in one go. */
#define PIECES_IN_ONE_GO 64

struct reader {
    struct reader_limits limits;
    char *directory, *said_charset, *sheet;
    bool is_gzip_said;
    list_on_row *on_row;
    void *context;
    /* the outer stream */
    bool outer_is_known;
    bool has_first; /* a first byte that came alone */
    char first;
    struct gunzip *gunzip; /* NULL: none */
    struct str unpacked;   /* and not read yet */
    bool is_unpacked;      /* its end has come */
    struct buf start;      /* collected to know outer stream and format by */
    struct str start_left; /* what is unread of it */
    /* the inner one */
    enum reader_format format;
    struct charset *charset;
    struct str text; /* converted and not read yet */
    bool is_text_end;
    struct csv_reader *csv;
    struct spool spool;
    struct xlsx *xlsx;
    struct xls *xls;
};

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

struct reader *reader_new(const struct reader_options *options, struct err *err)
{
    struct reader *reader;

    if (options->charset && !charset_is_known(options->charset)) {
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "charset \"%.40s\" is not known",
                options->charset);
        return NULL;
    }
    reader = calloc(1, sizeof(*reader));
    if (!reader) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
        return NULL;
    }
    reader->spool = SPOOL_CLOSED;
    reader->limits = *options->limits;
    reader->directory = copy(options->limits->spool_directory);
    reader->limits.spool_directory = reader->directory;
    reader->said_charset = copy(options->charset);
    reader->sheet = copy(options->sheet);
    reader->is_gzip_said = options->is_gzip;
    reader->on_row = options->on_row;
    reader->context = options->context;
    buf_init(&reader->start, 2 * MAGIC_BYTES);
    return reader;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    gunzip_free(reader->gunzip);
    charset_free(reader->charset);
    csv_reader_free(reader->csv);
    xlsx_free(reader->xlsx);
    xls_free(reader->xls);
    spool_close(&reader->spool);
    buf_done(&reader->start);
    free(reader->directory);
    free(reader->said_charset);
    free(reader->sheet);
    free(reader);
}

enum reader_format reader_format(const struct reader *reader)
{
    return reader->format;
}

const char *reader_charset(const struct reader *reader)
{
    return reader->format == READER_CSV ? charset_name(reader->charset) : NULL;
}

const char *reader_sheet(const struct reader *reader)
{
    if (reader->xlsx)
        return xlsx_sheet_name(reader->xlsx);
    return reader->xls ? xls_sheet_name(reader->xls) : NULL;
}

const char *reader_format_name(enum reader_format format)
{
    static const char *const names[] = {NULL, "csv", "xlsx", "xls"};

    return names[format];
}

bool reader_charset_is_known(const char *charset)
{
    return charset_is_known(charset);
}

/* ---- Formats by their first bytes ---- */

#define ZIP_MAGIC "PK\x03\x04"
#define OLE_MAGIC "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"

/* What people upload by mistake, and what it is called. */
static const struct {
    struct str magic;
    const char *name;
} others[] = {
    {{"PK\x05\x06", 4}, "an empty zip archive"},
    {{"%PDF-", 5}, "a PDF document"},
    {{"\x89PNG", 4}, "a picture (PNG)"},
    {{"\xFF\xD8\xFF", 3}, "a picture (JPEG)"},
    {{"GIF8", 4}, "a picture (GIF)"},
    {{"Rar!", 4}, "a RAR archive"},
    {{"7z\xBC\xAF\x27\x1C", 6}, "a 7z archive"},
    {{"\xFD"
      "7zXZ",
      5},
     "compressed with xz"},
    {{"BZh", 3}, "compressed with bzip2"},
    {{"\x28\xB5\x2F\xFD", 4}, "compressed with zstd"},
    {{"{\\rtf", 5}, "an RTF document"},
    {{"<!DOCTYPE", 9}, "a web page (HTML)"},
    {{"<html", 5}, "a web page (HTML)"},
    {{"<table", 6}, "a web page (HTML)"},
    {{"<?xml", 5}, "an XML document"},
    {{"SQLite format 3", 15}, "an SQLite database"},
};

static bool begins_with(struct str text, struct str start)
{
    return text.length >= start.length &&
           str_equal_ignore_case((struct str){text.data, start.length}, start);
}

/* An .xls from before 1994 is a bare BIFF stream: a BOF record of version 2, 3 or 4. */
static bool is_bare_biff(struct str start)
{
    static const char versions[] = {0, 2, 4};

    return start.length >= 8 && start.data[0] == 0x09 &&
           memchr(versions, start.data[1], sizeof(versions)) &&
           (start.data[2] == 4 || start.data[2] == 6) && start.data[3] == 0;
}

static bool choose_format(struct reader *reader, struct str start, struct err *err)
{
    struct str text = start;

    if (begins_with(text, (struct str){"\xEF\xBB\xBF", 3}))
        text = (struct str){text.data + 3, text.length - 3};
    text = str_trim(text);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (begins_with(text, others[i].magic))
            return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                           "the file is %s, not a list: save the list as .xlsx, .xls or CSV",
                           others[i].name);
    if (start.length >= 4 && !memcmp(start.data, ZIP_MAGIC, 4))
        reader->format = READER_XLSX;
    else if ((start.length >= 8 && !memcmp(start.data, OLE_MAGIC, 8)) || is_bare_biff(start))
        reader->format = READER_XLS;
    else
        reader->format = READER_CSV;
    if (reader->format == READER_CSV) {
        reader->charset = charset_new(reader->said_charset, err);
        if (!reader->charset)
            return false;
        reader->csv = csv_reader_new(reader->on_row, reader->context);
        return reader->csv || err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    }
    if (reader->said_charset)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "charset is for text files, and the file is a spreadsheet: leave it out");
    return spool_open(
        &reader->spool, reader->limits.spool_directory,
        reader->format == READER_XLS ? reader->limits.xls_bytes : reader->limits.spool_bytes, err);
}

/* ---- Text ---- */

static enum list_result read_text(struct reader *reader, struct str *in, bool is_end,
                                  struct err *err)
{
    for (;;) {
        if (reader->text.length || reader->is_text_end) {
            enum list_result result =
                csv_reader_read(reader->csv, &reader->text, reader->is_text_end, err);

            if (result != LIST_NEEDS_INPUT)
                return result;
        }
        switch (charset_next(reader->charset, in, is_end, &reader->text, err)) {
        case CHARSET_TEXT:
            csv_reader_set_charset(reader->csv, charset_converts_from(reader->charset));
            break;
        case CHARSET_NEEDS_INPUT:
            return LIST_NEEDS_INPUT;
        case CHARSET_ENDED:
            reader->is_text_end = true;
            reader->text = (struct str){0};
            break;
        case CHARSET_FAILED:
            return LIST_FAILED;
        }
    }
}

/* ---- Spreadsheets ---- */

static enum list_result read_sheet(struct reader *reader, struct str *in, bool is_end,
                                   struct err *err)
{
    bool is_xlsx = reader->format == READER_XLSX;

    if (!reader->xlsx && !reader->xls) {
        if (!spool_write(&reader->spool, *in, is_xlsx ? "the .xlsx file" : "the .xls file", err))
            return LIST_FAILED;
        *in = str_after(*in, in->length);
        if (!is_end)
            return LIST_NEEDS_INPUT;
        const struct sheet_options options = {
            .limits = &reader->limits,
            .sheet = reader->sheet,
            .on_row = reader->on_row,
            .context = reader->context,
        };

        if (is_xlsx)
            reader->xlsx = xlsx_open(&reader->spool, &options, err);
        else
            reader->xls = xls_open(&reader->spool, &options, err);
        return reader->xlsx || reader->xls ? LIST_PAUSED : LIST_FAILED;
    }
    return is_xlsx ? xlsx_read(reader->xlsx, err) : xls_read(reader->xls, err);
}

/* ---- The way through ---- */

/* Bytes of the list itself, behind the outer stream. */
static enum list_result read_inner(struct reader *reader, struct str *in, bool is_end,
                                   struct err *err)
{
    if (reader->format == READER_UNKNOWN) {
        size_t missing = MAGIC_BYTES - reader->start.length;
        size_t size = in->length < missing ? in->length : missing;

        buf_put(&reader->start, in->data, size);
        *in = str_after(*in, size);
        if (reader->start.length < MAGIC_BYTES && !is_end)
            return LIST_NEEDS_INPUT;
        if (!choose_format(reader, buf_str(&reader->start), err))
            return LIST_FAILED;
        reader->start_left = buf_str(&reader->start);
    }
    while (reader->start_left.length) {
        enum list_result result = reader->format == READER_CSV
                                      ? read_text(reader, &reader->start_left, false, err)
                                      : read_sheet(reader, &reader->start_left, false, err);

        if (result != LIST_NEEDS_INPUT)
            return result;
    }
    return reader->format == READER_CSV ? read_text(reader, in, is_end, err)
                                        : read_sheet(reader, in, is_end, err);
}

/* Two bytes show it; a client may send them one by one. */
static bool choose_outer(struct reader *reader, struct str in, struct err *err)
{
    char second = in.length > !reader->has_first ? in.data[!reader->has_first] : 0;
    char first = reader->has_first ? reader->first : in.length ? in.data[0] : 0;
    bool is_gzip = first == '\x1F' && second == '\x8B';

    reader->outer_is_known = true;
    if (reader->is_gzip_said && !is_gzip)
        return err_set(err, ERR_INVALID_ARGUMENT, NULL,
                       "Content-Encoding says gzip, but the file is not compressed so");
    if (!is_gzip) {
        buf_put(&reader->start, &reader->first, reader->has_first);
        return true;
    }
    reader->gunzip = gunzip_new(reader->limits.unpacked_bytes);
    if (!reader->gunzip)
        return err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "memory is short");
    struct str held = {&reader->first, reader->has_first};

    return !held.length ||
           gunzip_next(reader->gunzip, &held, false, &reader->unpacked, err) != GUNZIP_FAILED;
}

static enum list_result read_gzip(struct reader *reader, struct str *in, bool is_end,
                                  struct err *err)
{
    for (unsigned pieces = 0; pieces < PIECES_IN_ONE_GO; pieces++) {
        if (reader->unpacked.length || reader->is_unpacked) {
            enum list_result result =
                read_inner(reader, &reader->unpacked, reader->is_unpacked, err);

            if (result != LIST_NEEDS_INPUT)
                return result;
        }
        switch (gunzip_next(reader->gunzip, in, is_end, &reader->unpacked, err)) {
        case GUNZIP_BYTES:
            break;
        case GUNZIP_NEEDS_INPUT:
            return LIST_NEEDS_INPUT;
        case GUNZIP_ENDED:
            reader->is_unpacked = true;
            reader->unpacked = (struct str){0};
            break;
        case GUNZIP_FAILED:
            return LIST_FAILED;
        }
    }
    return LIST_PAUSED;
}

enum list_result reader_read(struct reader *reader, struct str *in, bool is_end, struct err *err)
{
    if (!reader->outer_is_known && !is_end && in->length + reader->has_first < 2) {
        if (in->length) {
            reader->first = in->data[0];
            reader->has_first = true;
            *in = str_after(*in, 1);
        }
        return LIST_NEEDS_INPUT;
    }
    if (!reader->outer_is_known && !choose_outer(reader, *in, err))
        return LIST_FAILED;
    return reader->gunzip ? read_gzip(reader, in, is_end, err)
                          : read_inner(reader, in, is_end, err);
}
