#include "gateway/call/safe_headers.h"

static bool says(const struct answer_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (str_equal_cstr(headers->list[i].name, name))
            return true;
    return false;
}

void safe_headers_add(struct request *request, struct answer_headers *headers)
{
    const struct gateway *gateway = request->worker->gateway;

    answer_header(headers, "x-content-type-options", STR_LITERAL("nosniff"));
    answer_header(headers, "cross-origin-resource-policy", STR_LITERAL("same-origin"));
    if (!says(headers, "cache-control"))
        answer_header(headers, "cache-control", STR_LITERAL("no-store"));
    if (gateway->hsts[0] && exchange_is_secure(request->exchange))
        answer_header(headers, "strict-transport-security", str_from(gateway->hsts));
}

void safe_headers_add_page(struct answer_headers *headers, const char *policy)
{
    answer_header(headers, "content-security-policy", str_from(policy));
    answer_header(headers, "x-frame-options", STR_LITERAL("DENY"));
    answer_header(headers, "referrer-policy", STR_LITERAL("no-referrer"));
    answer_header(headers, "cross-origin-opener-policy", STR_LITERAL("same-origin"));
    answer_header(headers, "permissions-policy",
                  STR_LITERAL("camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
}
