/* secret_settings: which keys of tools' settings this process takes for secrets (--secret-keys). */
#ifndef DIALPLANE_SKILLBASE_SECRET_SETTINGS_H
#define DIALPLANE_SKILLBASE_SECRET_SETTINGS_H

#include "base/err.h"
#include "domain/secret_names.h"

/* Once, at start; `text` as secret_names_new() takes it. False: err says what is wrong with it. */
bool secret_settings_open(const char *text, struct err *err);
void secret_settings_close(void);
/* A handler's check has nothing but its request, which is why this is no part of the context. */
const struct secret_names *secret_settings_names(void);

#endif
