#include "contact_phone.h"

#include "domain/phone_text.h"
#include "phone.h"

#include <stdio.h>

static enum phone_result read_text(const struct phone_text *phone, const char *region,
                                   struct phone_answer *answer, char other[PHONE_TEXT_SIZE])
{
    return phone->is_bare
               ? phone_read_digits(phone->text, phone->length, region, answer->e164, other)
               : phone_normalise(phone->text, phone->length, region, answer->e164);
}

bool contact_phone(struct str text, const char *region, struct phone_answer *ret_answer)
{
    struct phone_text phone;
    char other[PHONE_TEXT_SIZE];

    if (!phone_text_repair(text, &phone)) {
        snprintf(ret_answer->problem, sizeof(ret_answer->problem), "%s", phone.problem);
        return false;
    }
    switch (read_text(&phone, region, ret_answer, other)) {
    case PHONE_RESULT_OK:
        return true;
    case PHONE_RESULT_NO_COUNTRY:
        snprintf(ret_answer->problem, sizeof(ret_answer->problem),
                 "is not a valid phone number: it has no country code (begin with +)");
        break;
    case PHONE_RESULT_AMBIGUOUS:
        snprintf(ret_answer->problem, sizeof(ret_answer->problem),
                 "could be %s or %s: write it with + and its country code", ret_answer->e164,
                 other);
        break;
    case PHONE_RESULT_INVALID:
        snprintf(ret_answer->problem, sizeof(ret_answer->problem),
                 "is not a valid phone number: %s", phone_reason(phone.text, phone.length, region));
        break;
    }
    return false;
}
