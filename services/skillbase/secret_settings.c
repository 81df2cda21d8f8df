#include "secret_settings.h"

static struct secret_names *names;

bool secret_settings_open(const char *text, struct err *err)
{
    names = secret_names_new(text, err);
    return names != NULL;
}

void secret_settings_close(void)
{
    secret_names_free(names);
    names = NULL;
}

const struct secret_names *secret_settings_names(void)
{
    return names;
}
