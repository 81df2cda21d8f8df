/* HTTP/2 frames after the preface: the first byte says in what pieces they arrive. */
#include "../../unit/http/harness.h"
#include "gateway/http/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness harness;
    size_t piece, at;
    if (size < 1) {
        return 0;
    }
    harness_init(&harness, h2_new, NULL);
    harness_feed(&harness, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    piece = data[0] & 0x7f ? data[0] & 0x7f : size;
    for (at = 1; at < size; at += piece) {
        harness_feed(&harness, data + at, piece < size - at ? piece : size - at);
    }
    harness_release(&harness);
    harness_timeout(&harness);
    if (data[0] & 0x80) {
        harness_eof(&harness);
    }
    harness_done(&harness);
    return 0;
}
