/* One body read whole and read in pieces must say the same. */
#include "base/buf.h"
#include "gateway/route/multipart.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_part(void *context, const struct multipart_part *part)
{
    buf_put_str(context, part->name);
    buf_put_str(context, part->file_name);
    buf_put_str(context, part->content_type);
    buf_put_char(context, '|');
    return true;
}

static bool on_data(void *context, struct str data)
{
    buf_put_str(context, data);
    return true;
}

static bool on_part_end(void *context)
{
    buf_put_char(context, '/');
    return true;
}

static bool read_in(struct str body, size_t step, struct buf *record)
{
    static const struct multipart_handler handler = {on_part, on_data, on_part_end};
    struct multipart multipart;
    struct err err = {0};

    multipart_init(&multipart, STR_LITERAL("B"), &handler, record);
    for (size_t at = 0; at < body.length; at += step) {
        size_t part = body.length - at < step ? body.length - at : step;
        if (!multipart_feed(&multipart, (struct str){body.data + at, part}, &err))
            return false;
    }
    return multipart_end(&multipart, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size ? 1 + data[0] % 16 : 1;
    struct str body = {(const char *)data + (size ? 1 : 0), size ? size - 1 : 0};
    struct buf whole = {0}, pieces = {0};
    bool fine = read_in(body, body.length + 1, &whole);

    if (fine != read_in(body, step, &pieces) ||
        (fine && !str_equal(buf_str(&whole), buf_str(&pieces))))
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
