/* unary: a request with one JSON body in and one out. */
#ifndef GATEWAY_CALL_UNARY_H
#define GATEWAY_CALL_UNARY_H

#include "gateway/call/request.h"

/* request->route is a unary method; from here on it answers. */
void unary_start(struct request *request);
/* Answers 406 and gives false when the client does not take application/json. */
bool unary_accepts_json(struct request *request);
/* The service's reply as the answer, with status, ETag, Location. */
void unary_answer(struct request *request, struct str reply);
/* Path, query and body to the request's wire form, in the arena. False: answered. */
bool unary_transcode(struct request *request, struct str body, struct str *ret_wire);

#endif
