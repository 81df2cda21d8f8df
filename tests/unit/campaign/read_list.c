/* Reads a list on standard input as the service would and prints what comes of it: a line of JSON
 * for each row, {"row": 2, "cells": [...]}, and one at the end, {"format": …, "charset": …,
 * "sheet": …, "error": …, "reason": …, "rows": …, "peak_kb": …}.
 *
 *   read_list [--charset X] [--sheet X] [--gzip] [--piece BYTES] [--pause] [--quiet]
 *             [--spool DIRECTORY] [--spool-limit BYTES] [--unpacked-limit BYTES] [--xls-limit
 * BYTES] */
#include "readers/reader.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct run {
    bool pauses, is_quiet;
    int64_t rows, cells;
    struct buf line;
};

static bool on_row(void *context, const struct list_row *row)
{
    struct run *run = context;
    size_t count = row->count < LIST_COLUMN_LIMIT ? row->count : LIST_COLUMN_LIMIT;

    run->rows++;
    run->cells += (int64_t)count;
    if (run->is_quiet)
        return true;
    buf_reset(&run->line);
    buf_printf(&run->line, "{\"row\": %lld, \"cells\": [", (long long)row->number);
    for (size_t i = 0; i < count; i++) {
        buf_put_cstr(&run->line, i ? ", " : "");
        buf_put_json_string(&run->line, row->cells[i]);
    }
    buf_printf(&run->line, "], \"count\": %zu, \"long_cell\": %zu, \"too_long\": %s}\n", row->count,
               row->long_cell, row->is_too_long ? "true" : "false");
    fwrite(run->line.data, 1, run->line.length, stdout);
    return !run->pauses || run->rows % 2;
}

static void put_text(struct buf *line, const char *key, const char *text)
{
    buf_printf(line, "\"%s\": ", key);
    if (text && *text)
        buf_put_json_string(line, str_from(text));
    else
        buf_put_cstr(line, "null");
    buf_put_cstr(line, ", ");
}

/* LIST_ENDED or LIST_FAILED. */
static enum list_result read_all(struct reader *reader, size_t piece_bytes, struct err *err)
{
    char *piece = malloc(piece_bytes);
    enum list_result result = LIST_NEEDS_INPUT;

    while (piece && result == LIST_NEEDS_INPUT) {
        size_t got = fread(piece, 1, piece_bytes, stdin);
        struct str in = {piece, got};

        do
            result = reader_read(reader, &in, got == 0, err);
        while (result == LIST_PAUSED);
    }
    free(piece);
    return result;
}

/* (What getrusage() says is that of the process which started this one, when that was larger.) */
static long peak_kb(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long peak = -1;

    while (file && fgets(line, sizeof(line), file))
        if (!strncmp(line, "VmHWM:", 6))
            peak = strtol(line + 6, NULL, 10);
    if (file)
        fclose(file);
    return peak;
}

static void print_end(struct run *run, const struct reader *reader, const struct err *err)
{
    struct buf *line = &run->line;

    buf_reset(line);
    buf_put_char(line, '{');
    put_text(line, "format", reader ? reader_format_name(reader_format(reader)) : NULL);
    put_text(line, "charset", reader ? reader_charset(reader) : NULL);
    put_text(line, "sheet", reader ? reader_sheet(reader) : NULL);
    put_text(line, "error", err->message);
    put_text(line, "reason", err->reason);
    buf_printf(line, "\"rows\": %lld, \"cells\": %lld, \"peak_kb\": %ld}\n", (long long)run->rows,
               (long long)run->cells, peak_kb());
    fwrite(line->data, 1, line->length, stdout);
}

int main(int argc, char **argv)
{
    struct reader_limits limits = {NULL, INT64_C(256) << 20, INT64_C(2) << 30, INT64_C(32) << 20};
    struct run run = {.rows = 0};
    struct reader_options options = {.limits = &limits, .on_row = on_row, .context = &run};
    size_t piece = 65536;
    struct err err = {0};

    buf_init(&run.line, 64 << 20);
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

        if (!strcmp(name, "--gzip"))
            options.is_gzip = true;
        else if (!strcmp(name, "--pause"))
            run.pauses = true;
        else if (!strcmp(name, "--quiet"))
            run.is_quiet = true;
        else if (!strcmp(name, "--charset") && ++i)
            options.charset = value;
        else if (!strcmp(name, "--sheet") && ++i)
            options.sheet = value;
        else if (!strcmp(name, "--piece") && ++i)
            piece = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--spool") && ++i)
            limits.spool_directory = value;
        else if (!strcmp(name, "--spool-limit") && ++i)
            limits.spool_bytes = strtoll(value, NULL, 10);
        else if (!strcmp(name, "--unpacked-limit") && ++i)
            limits.unpacked_bytes = strtoll(value, NULL, 10);
        else if (!strcmp(name, "--xls-limit") && ++i)
            limits.xls_bytes = strtoll(value, NULL, 10);
        else
            return 2;
    }
    struct reader *reader = reader_new(&options, &err);

    if (reader && read_all(reader, piece, &err) == LIST_FAILED && !err_is_set(&err))
        return 3; /* a failure without a sentence */
    print_end(&run, reader, &err);
    reader_free(reader);
    buf_done(&run.line);
    return 0;
}
