/* double: shortest decimal text of floating-point numbers and back; a C face on
 * libdouble-conversion. */
#ifndef DIALPLANE_JSON_DOUBLE_H
#define DIALPLANE_JSON_DOUBLE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Enough for either function below. */
#define JSON_DOUBLE_TEXT_SIZE 32

/* The shortest decimal text that reads back as `value`, which is finite: "0.1", "1e+21", "-0.0".
 * Not NUL-terminated; returns its length. */
size_t json_double_shortest(double value, char out[JSON_DOUBLE_TEXT_SIZE]);
/* The same for a float: the shortest text that reads back as the float. */
size_t json_float_shortest(float value, char out[JSON_DOUBLE_TEXT_SIZE]);
/* The double nearest to a text that is a JSON number (not checked here); infinite when out of
 * range. */
double json_double_read(const char *text, size_t length);
/* The float nearest to it, rounded once from the text. */
float json_float_read(const char *text, size_t length);

#ifdef __cplusplus
}
#endif
#endif
