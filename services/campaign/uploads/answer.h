/* answer: what an upload has answered, once more, from its record. */
#ifndef DIALPLANE_CAMPAIGN_UPLOADS_ANSWER_H
#define DIALPLANE_CAMPAIGN_UPLOADS_ANSWER_H

struct rpc_call;

/* Replies to an UploadCallList call (or fails it), then calls done. upload_id stays until then. */
void answer_upload(struct rpc_call *call, const char *upload_id, void (*done)(void *context),
                   void *context);

#endif
