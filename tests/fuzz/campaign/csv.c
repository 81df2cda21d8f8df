/* A call list in two pieces gives the same as in one, and never more rows than lines. */
#include "domain/call_list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum phone_verdict phone(void *context, struct str text, char out[PHONE_TEXT_SIZE])
{
    (void)context;
    strcpy(out, "+1");
    return text.length % 2 ? PHONE_OK : PHONE_INVALID;
}

static bool zone(struct str name)
{
    return name.length < 8;
}

static uint64_t zero(void *context)
{
    (void)context;
    return 0;
}

static void read_list(struct str first, struct str second, struct buf *out)
{
    const struct call_list_options options = {
        .row_limit = 1000, .normalise_phone = phone, .is_time_zone = zone, .random = zero};
    struct call_list *list = call_list_new(&options);
    struct err err = {0};

    buf_init(out, 64 << 20);
    if (!call_list_feed(list, first, out, &err) || !call_list_feed(list, second, out, &err) ||
        !call_list_end(list, out, &err))
        buf_put_cstr(out, err.message);
    buf_printf(out, "%lld", (long long)call_list_error_count(list));
    call_list_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t split = size ? data[0] * size / 256 : 0;
    struct buf whole, pieces;

    read_list((struct str){text, size}, (struct str){text, 0}, &whole);
    read_list((struct str){text, split}, (struct str){text + split, size - split}, &pieces);
    if (!str_equal(buf_str(&whole), buf_str(&pieces)))
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
