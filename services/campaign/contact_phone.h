/* contact_phone: a cell of a call list becomes a phone number, repaired when that has one reading,
 * or a sentence that says why not. Off the loop's thread (phone.h). */
#ifndef DIALPLANE_CAMPAIGN_CONTACT_PHONE_H
#define DIALPLANE_CAMPAIGN_CONTACT_PHONE_H

#include "domain/call_list.h"

/* `text` is trimmed, valid UTF-8 and not empty; region: for numbers without country code, or NULL.
 */
bool contact_phone(struct str text, const char *region, struct phone_answer *ret_answer);

#endif
