/* app/internal: settings while they are being read. */
#ifndef DIALPLANE_APP_INTERNAL_H
#define DIALPLANE_APP_INTERNAL_H

#include "app/app.h"

#include <stdio.h>

/* The variable of a setting: DIALPLANE_LISTEN, or DIALPLANE_CAMPAIGN_LISTEN for one of the
 * process's own. */
void app_variable_name(const char *process, const struct app_setting *setting, char *out,
                       size_t out_size);

void app_print_help(FILE *out, const char *process, const char *summary,
                    const struct app_setting *settings, size_t count);

/* The known flag that is nearest to what was typed; NULL when none is near. */
const char *app_nearest_flag(const char *typed, const struct app_setting *settings, size_t count);

#endif
