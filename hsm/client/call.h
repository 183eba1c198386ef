/* SPDX-License-Identifier: GPL-3.0-or-later */
/* call.h - one call to the key service: request out, response in, before the deadline. */
#ifndef SEALRELAY_HSM_CALL_H
#define SEALRELAY_HSM_CALL_H

#include "hsm/hsm.h"
#include "hsm/proto/message.h"

/* request_of - begin a request of one verb, whose member the caller sets. */
Seal__Request request_of(Seal__Request__VerbCase verb);

/* hsm_call - send a request, wait for its answer.
 *   request       borrowed
 *   data_out      the answer's data, all its packets, appended on success; NULL where there is none
 *   response_out  given, response_free(); NULL where only the error matters
 * Repeated on a new connection only when the request certainly did not reach the service.
 * Errors: what the service answered, its note included; ERR_HSM_AWAY (no service, deadline passed,
 * nonsense answered); ERR_BUSY (every connection in use); ERR_TOO_BIG, ERR_NOMEM. */
enum err hsm_call(struct hsm *h, const Seal__Request *request, struct buf *data_out,
                  Seal__Response **response_out);

/* hsm_call_profile - a verb whose whole request is a profile id. */
enum err hsm_call_profile(struct hsm *h, Seal__Request__VerbCase verb, const char *profile,
                          struct buf *data_out);
/* hsm_call_nothing - a verb without a request. */
enum err hsm_call_nothing(struct hsm *h, Seal__Request__VerbCase verb, struct buf *data_out);

/* text_field - a string as protobuf-c wants it: borrowed, never NULL. */
char *text_field(const char *s);

#endif
