/* Phone numbers: a repaired text stays repaired, what comes out is a plus and up to 15 digits, and
 * the short way through phone.cc agrees with the whole one (a letter at the front makes it that).
 */
#include "phone.h"
#include "domain/phone_text.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ways(const char *text, size_t length, const char *region)
{
    char whole[24] = "", quick[24] = "", marked[PHONE_TEXT_LIMIT_BYTES + 4];
    enum phone_result result = phone_normalise(text, length, region, quick);

    if (result == PHONE_RESULT_OK && (quick[0] != '+' || strlen(quick) < 3 || strlen(quick) > 16 ||
                                      strspn(quick + 1, "0123456789") != strlen(quick) - 1))
        abort();
    if (text[0] != '+' || strspn(text, "+0123456789 ()-") != length)
        return;
    snprintf(marked, sizeof(marked), "~%s", text);
    if (phone_normalise(marked, length + 1, region, whole) != result ||
        (result == PHONE_RESULT_OK && strcmp(whole, quick)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const regions[] = {NULL, "RU", "US", "DE", "AR", "AU", "CN", "IT"};
    struct phone_text phone, again;
    char out[24], other[24];

    if (!size || !utf8_is_valid((const char *)data + 1, size - 1) || memchr(data + 1, 0, size - 1))
        return 0;
    const char *region = regions[data[0] % 8];
    struct str text = str_trim((struct str){(const char *)data + 1, size - 1});

    if (!text.length || !phone_text_repair(text, &phone))
        return 0;
    if (phone.length > PHONE_TEXT_LIMIT_BYTES || phone.text[phone.length])
        abort();
    if (phone.is_bare && (!phone_text_repair(str_from(phone.text), &again) || !again.is_bare ||
                          strcmp(again.text, phone.text)))
        abort();
    check_ways(phone.text, phone.length, region);
    if (phone.is_bare)
        phone_read_digits(phone.text, phone.length, region, out, other);
    if (!*phone_reason(phone.text, phone.length, region))
        abort();
    return 0;
}
