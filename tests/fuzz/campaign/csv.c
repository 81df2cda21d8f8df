/* A call list in two pieces gives the same as in one, however often its rows ask for a pause. */
#include "domain/csv.h"
#include "domain/call_list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool phone(void *context, struct str text, struct phone_answer *ret_answer)
{
    (void)context;
    strcpy(ret_answer->e164, "+1");
    strcpy(ret_answer->problem, "is none");
    return text.length % 2;
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

static void feed(struct csv_reader *reader, struct call_list *list, struct str bytes, bool is_end,
                 struct err *err)
{
    while (!err_is_set(err) && !err_is_set(call_list_err(list)) &&
           csv_reader_read(reader, &bytes, is_end, err) == LIST_PAUSED)
        ;
}

static void read_list(struct str first, struct str second, size_t pause, struct buf *out)
{
    const struct call_list_options options = {.row_limit = 1000,
                                              .error_rows = 500,
                                              .pause_bytes = pause,
                                              .header = {.phone_aliases = "phone,\xD1\x82"},
                                              .normalise_phone = phone,
                                              .is_time_zone = zone,
                                              .random = zero};
    struct call_list *list = call_list_new(&options);
    struct csv_reader *reader = csv_reader_new(call_list_on_row, list);
    struct err err = {0};

    buf_init(out, 64 << 20);
    call_list_set_out(list, out);
    feed(reader, list, first, false, &err);
    feed(reader, list, second, true, &err);
    buf_put_cstr(out, err.message);
    buf_put_cstr(out, call_list_err(list)->message);
    buf_put_cstr(out, call_list_column_names(list));
    buf_printf(out, "%lld", (long long)call_list_error_count(list));
    csv_reader_free(reader);
    call_list_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t split = size ? data[0] * size / 256 : 0;
    struct buf whole, pieces;

    read_list((struct str){text, size}, (struct str){text, 0}, SIZE_MAX, &whole);
    read_list((struct str){text, split}, (struct str){text + split, size - split}, 1, &pieces);
    if (!str_equal(buf_str(&whole), buf_str(&pieces)))
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
