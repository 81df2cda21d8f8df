#include "gateway/policy/identity.h"

#include "base/uuid.h"

static bool is_safe_id(struct str text)
{
    if (!text.length || text.length >= REQUEST_ID_SIZE)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                            (byte >= 'A' && byte <= 'Z');
        if (!alphanumeric && (byte == '\0' || !strchr("._:/+=@-", byte)))
            return false;
    }
    return true;
}

/* Not uuid_v7(): that one keeps a counter for one thread, and ids of requests need not be ordered
 * within a millisecond. */
static void make_request_id(struct identity *identity, const struct clock *clock,
                            struct entropy *entropy)
{
    uint64_t ms = (uint64_t)(clock->wall_us(clock) / 1000);
    struct uuid uuid;
    char text[UUID_TEXT_SIZE];

    entropy->fill(entropy, uuid.bytes + 6, sizeof(uuid.bytes) - 6);
    for (unsigned i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    uuid.bytes[6] = (uint8_t)(0x70 | (uuid.bytes[6] & 0x0F));
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3F));
    uuid_format(&uuid, text);
    memcpy(identity->request_id, text, UUID_TEXT_SIZE);
    identity->request_id_length = UUID_TEXT_LENGTH;
}

void identity_init(struct identity *identity, struct str request_id_header,
                   struct str traceparent_header, struct tracer *tracer, const struct clock *clock,
                   struct entropy *entropy)
{
    struct trace_context caller;
    bool has_caller = trace_context_parse(traceparent_header, &caller);

    if (is_safe_id(request_id_header)) {
        memcpy(identity->request_id, request_id_header.data, request_id_header.length);
        identity->request_id[request_id_header.length] = '\0';
        identity->request_id_length = request_id_header.length;
    } else {
        make_request_id(identity, clock, entropy);
    }
    trace_begin(&identity->span, tracer, has_caller ? &caller : NULL, entropy,
                clock->monotonic_us(clock));
    trace_context_format(&identity->span.self.context, identity->traceparent);
    trace_id_format(&identity->span.self.context, identity->trace_id);
}
