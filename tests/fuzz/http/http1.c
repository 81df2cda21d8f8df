/* HTTP/1 bytes: the first says in what pieces the rest arrives, and how it ends. */
#include "../../unit/http/harness.h"
#include "gateway/http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness harness;
    size_t piece, at;
    if (size < 1) {
        return 0;
    }
    harness_init(&harness, h1_new, NULL);
    piece = data[0] & 0x7f ? data[0] & 0x7f : size;
    for (at = 1; at < size; at += piece) {
        harness_feed(&harness, data + at, piece < size - at ? piece : size - at);
    }
    harness_release(&harness);
    if (data[0] & 0x80) {
        harness_eof(&harness);
    }
    harness_timeout(&harness);
    harness_done(&harness);
    return 0;
}
