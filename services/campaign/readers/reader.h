/* reader: a contact list in whatever format its bytes turn out to be (never by its name), bytes in,
 * rows out.
 *
 *   bytes ─ gunzip ─┬─ charset ─ csv ────────────────────────▶ rows   text: streams
 *                   ├─ spool ─ zip ─ xlsx (expat) ───────────▶ rows   a zip's directory is at its
 * end └─ spool ─ a process of its own (freexl) ▶ rows   .xls
 *
 * Spooled files are unlinked before the first byte is written, so that nothing is left behind
 * whatever happens. A reader blocks on files and on decompression: never on the loop's thread. Used
 * by one thread at a time. */
#ifndef DIALPLANE_CAMPAIGN_READERS_READER_H
#define DIALPLANE_CAMPAIGN_READERS_READER_H

#include "base/err.h"
#include "domain/list_row.h"

/* Bounds of what a file may cost; all in bytes. */
struct reader_limits {
    const char *spool_directory; /* NULL: /tmp */
    int64_t spool_bytes;         /* a spreadsheet as it arrives */
    int64_t unpacked_bytes;      /* what compressed data may grow to, in one file */
    int64_t xls_bytes;           /* an .xls as it arrives */
};

enum reader_format { READER_UNKNOWN, READER_CSV, READER_XLSX, READER_XLS };

struct reader_options {
    const struct reader_limits *limits;
    const char *charset; /* of a text file, reader_charset_is_known(); NULL: detected */
    const char
        *sheet;   /* of a spreadsheet: its name, or its number from 1; NULL: the first visible */
    bool is_gzip; /* it was said to be; without that it is found out */
    list_on_row *on_row;
    void *context;
};

struct reader;
/* NULL with err INVALID_ARGUMENT (an unknown charset) or RESOURCE_EXHAUSTED. Texts of the options
 * are copied. */
struct reader *reader_new(const struct reader_options *options, struct err *err);
void reader_free(struct reader *reader);
/* Takes bytes from the front of `in`; is_end: nothing comes after them. What it has taken must stay
 * where it is until LIST_NEEDS_INPUT. It pauses when a row asked
 * for it, and by itself after some milliseconds of work, so that others get their turn. Errors:
 * INVALID_ARGUMENT (what is wrong with the file, and what would be right), RESOURCE_EXHAUSTED with
 * REASON_TOO_LARGE, INTERNAL (the spool). */
enum list_result reader_read(struct reader *reader, struct str *in, bool is_end, struct err *err);
/* What it turned out to be; READER_UNKNOWN until that is known. */
enum reader_format reader_format(const struct reader *reader);

/* The charset that a text file is in, as it was said or found ("windows-1251"); NULL: not known
 * yet, or no text file. */
const char *reader_charset(const struct reader *reader);
/* The name of the sheet that is read; NULL: not known yet, or no spreadsheet. */
const char *reader_sheet(const struct reader *reader);

/* "csv", "xlsx", "xls"; NULL for READER_UNKNOWN. */
const char *reader_format_name(enum reader_format format);
/* True for what `charset` may be, in any case: utf-8, utf-16, windows-1251, koi8-r, ... */
bool reader_charset_is_known(const char *charset);

#endif
