#include "gateway/pages/openapi_writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void before_value(struct writer *writer)
{
    if (writer->needs_comma)
        buf_put_char(writer->out, ',');
    writer->needs_comma = true;
}

void write_open(struct writer *writer, char bracket)
{
    before_value(writer);
    buf_put_char(writer->out, bracket);
    writer->needs_comma = false;
}

void write_close(struct writer *writer, char bracket)
{
    buf_put_char(writer->out, bracket);
    writer->needs_comma = true;
}

void write_key(struct writer *writer, const char *key)
{
    before_value(writer);
    buf_put_json_string(writer->out, str_from(key));
    buf_put_char(writer->out, ':');
    writer->needs_comma = false;
}

void write_text(struct writer *writer, const char *text)
{
    before_value(writer);
    buf_put_json_string(writer->out, str_from(text));
}

void write_raw(struct writer *writer, const char *json)
{
    before_value(writer);
    buf_put_cstr(writer->out, json);
}

void write_raw_str(struct writer *writer, struct str json)
{
    before_value(writer);
    buf_put_str(writer->out, json);
}

void write_int(struct writer *writer, long long value)
{
    before_value(writer);
    buf_printf(writer->out, "%lld", value);
}

void write_double(struct writer *writer, double value)
{
    if (value >= -9e15 && value <= 9e15 && floor(value) >= value) {
        write_int(writer, (long long)value);
        return;
    }
    before_value(writer);
    buf_printf(writer->out, "%.17g", value);
}

void write_bool(struct writer *writer, bool value)
{
    write_raw(writer, value ? "true" : "false");
}

void write_member(struct writer *writer, const char *key, const char *text)
{
    write_key(writer, key);
    write_text(writer, text);
}

const char *short_name(const char *full_name)
{
    const char *dot = strrchr(full_name, '.');
    return dot ? dot + 1 : full_name;
}

bool is_path_variable(const struct schema_binding *binding, const char *name)
{
    char variable[128];
    int length = snprintf(variable, sizeof(variable), "{%s}", name);
    return length > 0 && (size_t)length < sizeof(variable) &&
           strstr(binding->template_text, variable) != NULL;
}
