/* A list in whatever format (gzip, charsets, CSV, zip and .xlsx): two pieces give the same as one,
 * however often rows ask for a pause, and every row is within its limits. (.xls is left to its
 * process: campaign_ole has what is ours of it.) */
#include "readers/reader.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    bool pauses;
    int64_t rows, number;
    struct buf shown;
};

static bool on_row(void *context, const struct list_row *row)
{
    struct run *run = context;
    size_t total = 0;

    if (row->number <= run->number || !row->count)
        abort();
    run->number = row->number;
    buf_printf(&run->shown, "%lld:", (long long)row->number);
    for (size_t i = 0; i < row->count && i < LIST_COLUMN_LIMIT; i++) {
        if (row->cells[i].length > LIST_CELL_LIMIT_BYTES)
            abort();
        total += row->cells[i].length;
        buf_put_str(&run->shown, row->cells[i]);
        buf_put_char(&run->shown, '|');
    }
    if (total > LIST_ROW_LIMIT_BYTES)
        abort();
    return !run->pauses || ++run->rows % 2;
}

/* False when it is an .xls. */
static bool feed(struct reader *reader, struct str bytes, bool is_end, struct err *err)
{
    while (!err_is_set(err) && reader_read(reader, &bytes, is_end, err) == LIST_PAUSED)
        if (reader_format(reader) == READER_XLS)
            return false;
    return reader_format(reader) != READER_XLS;
}

static bool read_list(struct str first, struct str second, const char *charset, struct run *run)
{
    const struct reader_limits limits = {NULL, 1 << 20, 4 << 20, 1 << 20};
    const struct reader_options options = {
        .limits = &limits, .charset = charset, .on_row = on_row, .context = run};
    struct err err = {0};
    struct reader *reader = reader_new(&options, &err);

    buf_init(&run->shown, 64 << 20);
    bool is_ours = reader && feed(reader, first, false, &err) && feed(reader, second, true, &err);

    if (is_ours)
        buf_put_cstr(&run->shown, err.message);
    reader_free(reader);
    return is_ours;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const charsets[] = {NULL,     NULL,     NULL,        "windows-1251",
                                           "utf-16", "koi8-r", "shift_jis", "gb18030"};
    struct run whole = {.pauses = false}, pieces = {.pauses = true};
    const char *text = (const char *)data, *charset;

    if (size < 2)
        return 0;
    /* The last two bytes choose; so a seed is a file with two bytes more. */
    size -= 2;
    charset = charsets[data[size] % 8];
    size_t split = data[size + 1] * size / 256;
    bool is_ours =
        read_list((struct str){text, size}, (struct str){text + size, 0}, charset, &whole) &&
        read_list((struct str){text, split}, (struct str){text + split, size - split}, charset,
                  &pieces);

    if (is_ours && !str_equal(buf_str(&whole.shown), buf_str(&pieces.shown)))
        abort();
    buf_done(&whole.shown);
    buf_done(&pieces.shown);
    return 0;
}
