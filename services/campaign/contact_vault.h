/* contact_vault: what call lists bring, encrypted as it lies in the database: where each value
 * belongs, and how it is stored.
 *   contact_data       an object; sealed: a JSON string. An array: layers that an upload with
 *                      on_duplicate=update has put over each other, each an object or a string; a
 *                      later one's keys win.
 *   errors' content    a JSON array of cells; sealed: text
 *   files for later    bytes */
#ifndef DIALPLANE_CAMPAIGN_CONTACT_VAULT_H
#define DIALPLANE_CAMPAIGN_CONTACT_VAULT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "vault/vault.h"

/* A contact is its campaign and its number: that names a row of call_task_contacts, and both are
 * known before there is a task. */
void contact_data_place(struct vault_place *place, const struct uuid *campaign, struct str phone);
void upload_content_place(struct vault_place *place, const struct uuid *upload, int64_t row);
void upload_chunk_place(struct vault_place *place, const struct uuid *upload, int64_t number);

/* The contact_data of a row as the JSON object that it stands for: `stored` itself, or in the
 * arena. NULL data: err is INTERNAL (see vault_open) or RESOURCE_EXHAUSTED. */
struct str contact_data_open(const struct vault *vault, const struct uuid *campaign,
                             struct str phone, struct str stored, struct arena *arena,
                             struct err *err);
/* False: it is a layer over another, or not as it would be stored now. */
bool contact_data_is_current(const struct vault *vault, struct str stored);
/* Appends the object as it is stored now: itself, or a JSON string. False when memory is short. */
bool contact_data_seal(const struct vault *vault, const struct uuid *campaign, struct str phone,
                       struct str object, struct buf *out);

#endif
