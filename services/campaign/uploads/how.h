/* how: what an uploader says about a file, from the request to the reader, and kept for later. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_HOW_H
#define DIALPLANE_CAMPAIGN_UPLOADS_HOW_H

#include "campaign.h"
#include "upload_workers.h"

#define HOW_MAPPINGS_MOST 16
#define FINGERPRINT_SIZE 33

struct how {
    struct upload_options options; /* borrows from the request and from here */
    struct column_mapping mappings[HOW_MAPPINGS_MOST];
};

/* region: the campaign's; NULL: the service's. The request must live as long. */
void how_read(const Dialplane__V1__UploadCallListRequest *request,
              const struct campaign_service *service, const char *region, struct how *ret_how);
/* The request without file and names, serialized: for call_list_uploads.settings. Data NULL: the
 * arena is exhausted. */
struct str how_pack(const Dialplane__V1__UploadCallListRequest *request, struct arena *arena);
Dialplane__V1__UploadCallListRequest *how_unpack(struct str settings, struct arena *arena);

/* Whether two uploads are the same: of what the uploader says and every byte of the file. Not
 * against an adversary: whoever makes two files collide deceives himself. */
struct fingerprint;
struct fingerprint *fingerprint_new(struct str settings);
void fingerprint_free(struct fingerprint *fingerprint);
void fingerprint_add(struct fingerprint *fingerprint, struct str bytes);
void fingerprint_format(const struct fingerprint *fingerprint, char out[FINGERPRINT_SIZE]);

#endif
