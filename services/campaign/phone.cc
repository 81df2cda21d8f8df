#include "phone.h"

#include <cstring>
#include <phonenumbers/phonenumberutil.h>
#include <set>
#include <string>

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

/* Its logger is silent unless set: it would log numbers that it cannot read. */
static const PhoneNumberUtil *util()
{
    return PhoneNumberUtil::GetInstance();
}

enum phone_result phone_normalise(const char *text, size_t length, const char *region, char *out)
{
    try {
        std::string number(text, length);
        if (number.size() > 2 && number.compare(0, 2, "00") == 0)
            number.replace(0, 2, "+");
        PhoneNumber parsed;
        std::string e164;
        PhoneNumberUtil::ErrorType error = util()->Parse(number, region ? region : "ZZ", &parsed);
        if (error == PhoneNumberUtil::INVALID_COUNTRY_CODE_ERROR &&
            number.find('+') == std::string::npos)
            return PHONE_RESULT_NO_COUNTRY;
        if (error != PhoneNumberUtil::NO_PARSING_ERROR || parsed.has_extension() ||
            !util()->IsPossibleNumber(parsed))
            return PHONE_RESULT_INVALID;
        util()->Format(parsed, PhoneNumberUtil::E164, &e164);
        if (e164.size() > 16)
            return PHONE_RESULT_INVALID;
        std::memcpy(out, e164.c_str(), e164.size() + 1);
        return PHONE_RESULT_OK;
    } catch (...) { /* out of memory */
        return PHONE_RESULT_INVALID;
    }
}

int phone_region_is_known(const char *region)
{
    try {
        std::set<std::string> regions;
        util()->GetSupportedRegions(&regions);
        return regions.count(region) != 0;
    } catch (...) {
        return 0;
    }
}
