#include "json/double.h"

#include <double-conversion/double-to-string.h>
#include <double-conversion/string-to-double.h>

#include <limits>

namespace
{
using double_conversion::DoubleToStringConverter;
using double_conversion::StringBuilder;
using double_conversion::StringToDoubleConverter;

/* ECMAScript's thresholds for the exponent, but a negative zero keeps its sign. Built on first use,
 * then only read. */
const DoubleToStringConverter &writer()
{
    static const DoubleToStringConverter converter(
        DoubleToStringConverter::EMIT_POSITIVE_EXPONENT_SIGN, nullptr, nullptr, 'e', -6, 21, 6, 0);

    return converter;
}

const StringToDoubleConverter &reader()
{
    static const StringToDoubleConverter converter(StringToDoubleConverter::NO_FLAGS, 0.0,
                                                   std::numeric_limits<double>::quiet_NaN(),
                                                   nullptr, nullptr);

    return converter;
}

template <typename Write> std::size_t write_text(bool negative_zero, char *out, Write write)
{
    if (negative_zero) {
        memcpy(out, "-0.0", 4);
        return 4;
    }
    StringBuilder builder(out, JSON_DOUBLE_TEXT_SIZE);

    write(&builder);
    return static_cast<std::size_t>(
        builder.position()); /* its destructor adds a NUL: there is room */
}
} // namespace

extern "C" size_t json_double_shortest(double value, char out[JSON_DOUBLE_TEXT_SIZE])
{
    return write_text(value == 0 && 1 / value < 0, out,
                      [value](StringBuilder *builder) { writer().ToShortest(value, builder); });
}

extern "C" size_t json_float_shortest(float value, char out[JSON_DOUBLE_TEXT_SIZE])
{
    return write_text(value == 0 && 1 / value < 0, out, [value](StringBuilder *builder) {
        writer().ToShortestSingle(value, builder);
    });
}

extern "C" double json_double_read(const char *text, size_t length)
{
    int processed;

    return reader().StringToDouble(text, static_cast<int>(length), &processed);
}

extern "C" float json_float_read(const char *text, size_t length)
{
    int processed;

    return reader().StringToFloat(text, static_cast<int>(length), &processed);
}
