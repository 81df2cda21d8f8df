#include "gateway/live/event.h"

#include "base/wire.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdlib.h>

static void read_seq_and_type(struct live_event *event, const struct schema_message *message,
                              struct str wire)
{
    const struct schema_field *seq = schema_find_field(message, STR_LITERAL("seq"));
    struct wire_reader reader;

    if (seq && (seq->repeated || seq->type == SCHEMA_STRING || seq->type == SCHEMA_MESSAGE))
        seq = NULL;
    event->has_seq = seq != NULL;
    wire_reader_init(&reader, wire);
    while (wire_reader_next(&reader)) {
        if (seq && reader.number == seq->number && reader.type == 0) {
            event->seq = reader.integer;
            continue;
        }
        const struct schema_field *field = schema_find_field_by_number(message, reader.number);
        if (message->tagged_union && field && field->oneof >= 0)
            event->type = field->name;
    }
}

struct live_event *live_event_new(const struct schema *schema, const struct schema_message *message,
                                  struct str wire, struct buf *scratch, struct err *err)
{
    struct live_event *event = calloc(1, sizeof(*event));

    buf_reset(scratch);
    if (!event) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "Out of memory");
        return NULL;
    }
    if (!json_print(schema, message, wire, JSON_PRINT_CONTRACT, scratch, err)) {
        err_set(err, ERR_INTERNAL, NULL, "A message of the service could not be read");
        free(event);
        return NULL;
    }
    buf_put_char(scratch, '\n');
    event->frames[LIVE_LINES] =
        scratch->failed ? NULL : shared_bytes_new(scratch->data, scratch->length);
    if (!event->frames[LIVE_LINES]) {
        err_set(err, ERR_RESOURCE_EXHAUSTED, NULL, "Out of memory");
        free(event);
        return NULL;
    }
    event->bytes = sizeof(*event) + event->frames[LIVE_LINES]->length;
    read_seq_and_type(event, message, wire);
    return event;
}

void live_event_free(struct live_event *event)
{
    if (!event)
        return;
    for (int form = 0; form < LIVE_FORMS; form++)
        shared_bytes_unref(event->frames[form]);
    free(event);
}

static struct shared_bytes *make_frame(const struct live_event *event, enum live_form form,
                                       struct buf *scratch)
{
    const struct shared_bytes *line = event->frames[LIVE_LINES];
    struct str json = {line->data, line->length - 1};

    if (form == LIVE_WEBSOCKET)
        return websocket_encode_text(json);
    /* https://html.spec.whatwg.org/multipage/server-sent-events.html: JSON has no raw line ends, so
     * one data line is enough. */
    buf_reset(scratch);
    if (event->has_seq)
        buf_printf(scratch, "id: %" PRIu64 "\n", event->seq);
    if (event->type)
        buf_printf(scratch, "event: %s\n", event->type);
    buf_put_cstr(scratch, "data: ");
    buf_put_str(scratch, json);
    buf_put_cstr(scratch, "\n\n");
    return scratch->failed ? NULL : shared_bytes_new(scratch->data, scratch->length);
}

struct shared_bytes *live_event_frame(struct live_event *event, enum live_form form,
                                      struct buf *scratch, size_t *total)
{
    if (!event->frames[form]) {
        event->frames[form] = make_frame(event, form, scratch);
        if (event->frames[form]) {
            event->bytes += event->frames[form]->length;
            *total += event->frames[form]->length;
        }
    }
    return event->frames[form];
}
