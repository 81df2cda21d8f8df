#include "base/err.h"

#include "base/arena.h"

#include <stdio.h>
#include <string.h>

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    return (unsigned)code < sizeof(names) / sizeof(names[0]) ? names[code] : "UNKNOWN";
}

void violations_init(struct violations *violations, struct arena *arena, size_t limit)
{
    *violations = (struct violations){.arena = arena, .limit = limit};
}

void violations_add(struct violations *violations, const char *field, const char *format, ...)
{
    if (violations->count++ >= violations->limit)
        return;
    char message[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    struct violation *violation = ARENA_NEW(violations->arena, struct violation);

    if (!violation)
        return; /* counted all the same: the request is refused, with fewer details */
    violation->field = arena_strdup(violations->arena, field);
    violation->message = arena_strdup(violations->arena, message);
    if (!violation->field || !violation->message)
        return;
    if (violations->last)
        violations->last->next = violation;
    else
        violations->first = violation;
    violations->last = violation;
}

bool err_set(struct err *err, enum err_code code, const char *reason, const char *format, ...)
{
    if (!err)
        return false;
    *err = (struct err){.code = code};
    if (reason)
        snprintf(err->reason, sizeof(err->reason), "%s", reason);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    return false;
}

bool err_set_violations(struct err *err, const struct violations *violations)
{
    const struct violation *only = violations->first;

    if (violations->count == 1 && only)
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%s%s%s", only->field, only->field[0] ? ": " : "",
                only->message);
    else
        err_set(err, ERR_INVALID_ARGUMENT, NULL, "%zu field%s invalid", violations->count,
                violations->count == 1 ? " is" : "s are");
    if (err)
        err->violations = violations;
    return false;
}
