/* The opening handshake of RFC 6455 §4.2: what the request must have, and the answer to its key. */
#include "gateway/http/websocket.h"

#include <string.h>

#define KEY_LENGTH 24 /* 16 bytes in base64 */
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SHA1_BYTES 20

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool key_is_valid(struct str key)
{
    size_t i;
    if (key.length != KEY_LENGTH || key.data[22] != '=' || key.data[23] != '=') {
        return false;
    }
    for (i = 0; i < 22; i++) {
        if (!memchr(base64_digits, key.data[i], 64)) {
            return false;
        }
    }
    return true;
}

static const char *check_version(const struct head *head, unsigned *ret_status)
{
    const struct str name = STR_LITERAL("sec-websocket-version");
    const struct header *version = head_find(head, name);

    if (version && head_count(head, name) == 1 && str_equal_cstr(version->value, "13")) {
        return NULL;
    }
    *ret_status = version ? 426 : 400;
    return "the WebSocket version must be 13";
}

const char *websocket_check_connect(const struct head *head, bool has_ended, unsigned *ret_status)
{
    *ret_status = 501;
    if (!str_equal_cstr(head->protocol, "websocket")) {
        return "the only protocol that can be connected to is websocket";
    }
    *ret_status = 400;
    if (has_ended) {
        return "a WebSocket's stream stays open";
    }
    return check_version(head, ret_status);
}

const char *websocket_check_request(const struct head *head, struct str method, bool has_body,
                                    unsigned *ret_status)
{
    const struct str key_name = STR_LITERAL("sec-websocket-key");
    const struct header *key = head_find(head, key_name);
    const char *wrong;

    *ret_status = 400;
    if (!str_equal_cstr(method, "GET") || has_body) {
        return "a WebSocket is opened by a GET without a body";
    }
    if (!head_has_token(head, STR_LITERAL("connection"), STR_LITERAL("upgrade"))) {
        return "a WebSocket needs the header connection: upgrade";
    }
    wrong = check_version(head, ret_status);
    if (wrong) {
        return wrong;
    }
    if (!key || head_count(head, key_name) != 1 || !key_is_valid(key->value)) {
        return "sec-websocket-key is missing or malformed";
    }
    return NULL;
}

static uint32_t rotate(uint32_t value, unsigned by)
{
    return (value << by) | (value >> (32 - by));
}

static void sha1_block(uint32_t h[5], const uint8_t *block)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    unsigned i;
    for (i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (; i < 80; i++) {
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (i = 0; i < 80; i++) {
        uint32_t f, k, next;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        next = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* FIPS 180-4 SHA-1 of a text that fits two blocks with its padding: a label, not a secret, so that
 * no crypto library is needed here. */
static void sha1(const uint8_t *data, size_t length, uint8_t out[SHA1_BYTES])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    size_t bits = length * 8;
    unsigned i;
    memcpy(blocks, data, length);
    blocks[length] = 0x80;
    blocks[126] = (uint8_t)(bits >> 8);
    blocks[127] = (uint8_t)bits;
    sha1_block(h, blocks);
    sha1_block(h, blocks + 64);
    for (i = 0; i < SHA1_BYTES; i++) {
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void websocket_accept_key(struct str key, char out[WEBSOCKET_ACCEPT_SIZE])
{
    uint8_t text[KEY_LENGTH + sizeof(GUID) - 1], digest[SHA1_BYTES + 1];
    size_t i;
    memcpy(text, key.data, KEY_LENGTH);
    memcpy(text + KEY_LENGTH, GUID, sizeof(GUID) - 1);
    sha1(text, sizeof(text), digest);
    digest[SHA1_BYTES] = 0;
    for (i = 0; i < 7; i++) {
        uint32_t group =
            (uint32_t)digest[3 * i] << 16 | (uint32_t)digest[3 * i + 1] << 8 | digest[3 * i + 2];
        out[4 * i] = base64_digits[group >> 18];
        out[4 * i + 1] = base64_digits[group >> 12 & 63];
        out[4 * i + 2] = base64_digits[group >> 6 & 63];
        out[4 * i + 3] = base64_digits[group & 63];
    }
    out[27] = '='; /* 20 bytes: the last group has two */
    out[28] = '\0';
}
