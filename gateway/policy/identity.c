#include "gateway/policy/identity.h"

#include "base/uuid.h"

static const char hex_digits[] = "0123456789abcdef";

static void put_hex(char *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = hex_digits[bytes[i] >> 4];
        out[2 * i + 1] = hex_digits[bytes[i] & 15];
    }
}

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

static bool is_hex(const char *text, size_t length, bool *ret_all_zero)
{
    *ret_all_zero = true;
    for (size_t i = 0; i < length; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
        if (text[i] != '0')
            *ret_all_zero = false;
    }
    return true;
}

/* version "-" trace-id "-" parent-id "-" flags; a later version may be longer, "ff" is forbidden.
 */
static bool traceparent_is_valid(struct str text)
{
    bool zero;

    if (text.length < 55 || text.data[2] != '-' || text.data[35] != '-' || text.data[52] != '-')
        return false;
    if (!is_hex(text.data, 2, &zero) || (text.data[0] == 'f' && text.data[1] == 'f'))
        return false;
    if (zero ? text.length != 55 : (text.length > 55 && text.data[55] != '-'))
        return false;
    if (!is_hex(text.data + 3, 32, &zero) || zero)
        return false;
    if (!is_hex(text.data + 36, 16, &zero) || zero)
        return false;
    return is_hex(text.data + 53, 2, &zero);
}

void identity_init(struct identity *identity, struct str request_id_header,
                   struct str traceparent_header, const struct clock *clock,
                   struct entropy *entropy)
{
    uint8_t random[24];
    char *out = identity->traceparent;

    if (is_safe_id(request_id_header)) {
        memcpy(identity->request_id, request_id_header.data, request_id_header.length);
        identity->request_id[request_id_header.length] = '\0';
        identity->request_id_length = request_id_header.length;
    } else {
        make_request_id(identity, clock, entropy);
    }

    entropy->fill(entropy, random, sizeof(random));
    random[15] |= 1; /* neither id may be all zeros */
    random[23] |= 1;
    memcpy(out, "00-", 3);
    if (traceparent_is_valid(traceparent_header)) {
        memcpy(out + 3, traceparent_header.data + 3, 32);
        memcpy(out + 53, traceparent_header.data + 53, 2);
    } else {
        put_hex(out + 3, random, 16);
        memcpy(out + 53, "01", 2);
    }
    out[35] = '-';
    put_hex(out + 36, random + 16, 8);
    out[52] = '-';
    out[55] = '\0';
    memcpy(identity->trace_id, out + 3, 32);
    identity->trace_id[32] = '\0';
}
