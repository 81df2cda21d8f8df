#include "base/uuid.h"

/* RFC 9562 §6.2 method 1: the 12 bits of rand_a are a counter, seeded below its half in each
 * millisecond so that at least 2048 ids fit; past its end, and while the clock stands or goes back,
 * the time part runs ahead. */
#define COUNTER_BITS 12
#define COUNTER_END (UINT32_C(1) << COUNTER_BITS)

static uint64_t last_ms;
static uint32_t last_counter;

struct uuid uuid_v7(const struct clock *clock, struct entropy *entropy)
{
    int64_t wall = clock->wall_us(clock);
    uint64_t ms = wall > 0 ? (uint64_t)wall / 1000 : 0;
    uint64_t tail = entropy_uint64(entropy);

    if (ms > last_ms) {
        last_ms = ms;
        last_counter = (uint32_t)entropy_uint64(entropy) & (COUNTER_END / 2 - 1);
    } else if (++last_counter == COUNTER_END) {
        last_ms++;
        last_counter = 0;
    }
    struct uuid uuid;

    for (int i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)(last_ms >> (40 - 8 * i));
    uuid.bytes[6] = (uint8_t)(0x70 | last_counter >> 8);
    uuid.bytes[7] = (uint8_t)last_counter;
    for (int i = 0; i < 8; i++)
        uuid.bytes[8 + i] = (uint8_t)(tail >> (56 - 8 * i));
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3F) | 0x80);
    return uuid;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* True where the text form has a hyphen. */
static bool is_hyphen(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

bool uuid_parse(struct str text, struct uuid *ret_uuid)
{
    struct uuid uuid;
    size_t byte = 0;

    if (text.length != UUID_TEXT_LENGTH)
        return false;
    for (size_t i = 0; i < UUID_TEXT_LENGTH;) {
        if (is_hyphen(i)) {
            if (text.data[i++] != '-')
                return false;
            continue;
        }
        int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);

        if (high < 0 || low < 0)
            return false;
        uuid.bytes[byte++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *ret_uuid = uuid;
    return true;
}

void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (is_hyphen(at))
            out[at++] = '-';
        out[at++] = digits[uuid->bytes[i] >> 4];
        out[at++] = digits[uuid->bytes[i] & 15];
    }
    out[at] = '\0';
}
