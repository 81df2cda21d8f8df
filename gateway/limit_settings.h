/* limit_settings: the settings that say how much of anything a client may take. */
#ifndef GATEWAY_LIMIT_SETTINGS_H
#define GATEWAY_LIMIT_SETTINGS_H

#include "app/app.h"
#include "gateway/call/limits.h"
#include "gateway/http/server.h"

struct limit_settings {
    struct limits_options rates;
    int64_t header_timeout_us, header_bytes, header_count, body_timeout_us, write_timeout_us,
        least_rate_bytes, streams, connections_per_address, resets, control_frames,
        websocket_frames, websocket_message_bytes, output_memory_bytes, body_memory_bytes;
};

#define LIMIT_SETTINGS 26
void limit_settings_list(struct app_setting out[LIMIT_SETTINGS], struct limit_settings *values);
/* Into the limits of each thread's server; limits' networks are borrowed. */
void limit_settings_apply(const struct limit_settings *values, const struct limits *limits,
                          struct http_limits *http);

#endif
