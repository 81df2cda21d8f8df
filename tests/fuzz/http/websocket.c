/* WebSocket frames behind the opening handshake: the first byte says in what pieces they arrive. */
#include "../../unit/http/harness.h"
#include "gateway/http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char open[] = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct harness harness;
    size_t piece, at;
    if (size < 1) {
        return 0;
    }
    harness_init(&harness, h1_new, NULL);
    harness_feed(&harness, open, sizeof(open) - 1);
    piece = data[0] & 0x7f ? data[0] & 0x7f : size;
    for (at = 1; at < size; at += piece) {
        harness_feed(&harness, data + at, piece < size - at ? piece : size - at);
    }
    if (data[0] & 0x80) {
        harness_eof(&harness);
    }
    harness_timeout(&harness);
    harness_done(&harness);
    return 0;
}
