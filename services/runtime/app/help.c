/* --help, made from the table of settings, and the flag that was probably meant. */
#include "app/internal.h"

#include <string.h>

#define WIDTH 96
#define INDENT 8

static const char *placeholder(const struct app_setting *setting)
{
    switch (setting->kind) {
    case APP_TEXT:
        return " TEXT";
    case APP_INT:
        return " N";
    case APP_DURATION:
        return " DURATION";
    case APP_SIZE:
        return " SIZE";
    case APP_RATIO:
        return " RATIO";
    case APP_BOOL:
        break;
    }
    return "";
}

/* Words of `text` in lines of at most WIDTH columns, each indented. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column && column + 1 + word > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            column = (size_t)fprintf(out, "%*s", INDENT, "");
        else
            column += (size_t)fprintf(out, " ");
        column += (size_t)fprintf(out, "%.*s", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_setting(FILE *out, const char *process, const struct app_setting *setting)
{
    char variable[80], tail[1200];
    app_variable_name(process, setting, variable, sizeof(variable));
    fprintf(out, "  --%s%s%s\n", setting->kind == APP_BOOL ? "[no-]" : "", setting->name,
            placeholder(setting));
    if (!setting->default_text || !setting->default_text[0])
        snprintf(tail, sizeof(tail), "%s [%s]", setting->help, variable);
    else
        snprintf(tail, sizeof(tail), "%s [%s; default %s]", setting->help, variable,
                 setting->default_text);
    print_wrapped(out, tail);
}

void app_print_help(FILE *out, const char *process, const char *summary,
                    const struct app_setting *settings, size_t count)
{
    fprintf(out, "%s %s\n%s\n\n", process, app_version, summary);
    fprintf(out, "Usage: %s [--NAME VALUE | --NAME=VALUE]...\n", process);
    fprintf(out, "A flag beats its environment variable, the variable beats the default.\n\n");
    for (size_t i = 0; i < count; i++)
        print_setting(out, process, &settings[i]);
    fprintf(out, "  --help\n");
    print_wrapped(out, "shows this and exits");
    fprintf(out, "  --version\n");
    print_wrapped(out, "shows the version and exits");
}

size_t app_name_distance(const char *a, const char *b)
{
    size_t row[64], width = strlen(b);
    if (width >= 64)
        return 64;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[width];
}

const char *app_nearest_flag(const char *typed, const struct app_setting *settings, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(typed) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = app_name_distance(typed, settings[i].name);
        if (d <= best && d < strlen(settings[i].name)) {
            nearest = settings[i].name;
            best = d;
        }
    }
    return nearest;
}
