/* Where traces go, and how many of them. */
#include "app/app.h"

#include <stdlib.h>

static const char *or_default(const char *variable, const char *otherwise)
{
    const char *text = getenv(variable);

    return text && text[0] ? text : otherwise;
}

void app_trace_settings(struct app_setting out[APP_TRACE_SETTINGS],
                        struct app_trace_settings *values)
{
    out[0] = (struct app_setting){
        .name = "otlp-endpoint",
        .kind = APP_TEXT,
        .default_text = or_default("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        .ret_value = &values->endpoint,
        .help = "collector that takes traces by OTLP over gRPC, HOST:PORT or http://HOST:PORT; "
                "else OTEL_EXPORTER_OTLP_ENDPOINT, else none are recorded"};
    out[1] = (struct app_setting){
        .name = "trace-ratio",
        .kind = APP_RATIO,
        .default_text = or_default("OTEL_TRACES_SAMPLER_ARG", "1"),
        .ret_value = &values->ratio,
        .help = "how many of the traces that begin here are recorded, 0 to 1; a caller's "
                "traceparent decides for itself. Else OTEL_TRACES_SAMPLER_ARG"};
}
