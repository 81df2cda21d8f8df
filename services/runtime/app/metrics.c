/* Prometheus text exposition format 0.0.4. */
#include "app/app.h"

#include <math.h>

/* Newlines and backslashes are escaped in HELP. */
static void put_help(struct buf *out, const char *help)
{
    for (; *help; help++) {
        if (*help == '\n')
            buf_put_cstr(out, "\\n");
        else if (*help == '\\')
            buf_put_cstr(out, "\\\\");
        else
            buf_put_char(out, *help);
    }
}

void metrics_family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s ", name);
    put_help(out, help);
    buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_sample(struct buf *out, const char *name, const char *labels, double value)
{
    buf_put_cstr(out, name);
    if (labels && labels[0])
        buf_printf(out, "{%s}", labels);
    if (isnan(value))
        buf_put_cstr(out, " NaN\n");
    else if (isinf(value))
        buf_put_cstr(out, value > 0 ? " +Inf\n" : " -Inf\n");
    else if (fabs(value) < 1e15 && value >= floor(value) && value <= floor(value))
        buf_printf(out, " %lld\n", (long long)value);
    else
        buf_printf(out, " %.17g\n", value);
}
