/* Any text, masked: what is left holds no phone number any more, and no byte that was not there
 * except the dots. */
#include "base/mask.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf once, twice, phone;

    buf_init(&once, 0);
    buf_init(&twice, 0);
    buf_init(&phone, 0);
    mask_phones_in_text(&once, text);
    mask_phones_in_text(&twice, buf_str(&once));
    if (!str_equal(buf_str(&once), buf_str(&twice)))
        abort();
    mask_phone(&phone, text);
    if (phone.length > sizeof("+999" MASK_DOTS "9999"))
        abort();
    mask_text_has_phone(text, STR_LITERAL("+12015550100"));
    buf_done(&phone);
    buf_done(&twice);
    buf_done(&once);
    return 0;
}
