/* SPDX-License-Identifier: GPL-3.0-or-later */
/* message.h - requests and responses as bytes and back, in memory that is wiped when freed.
 *
 * Opened data keys and content keys pass through here: everything protobuf-c allocates is
 * overwritten on its way back to the heap. */
#ifndef SEALRELAY_HSM_MESSAGE_H
#define SEALRELAY_HSM_MESSAGE_H

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

#include <hsm.pb-c.h>

/* message_pack - append a message's encoding. Errors: ERR_NOMEM; ERR_TOO_BIG (over FRAME_MAX). */
enum err message_pack(const ProtobufCMessage *m, struct buf *out);

/* request_parse, response_parse - decode one packet. out: given, request_free/response_free.
 * Errors: ERR_FORMAT (not such a message). */
enum err request_parse(struct bytes packet, Seal__Request **out);
enum err response_parse(struct bytes packet, Seal__Response **out);
void request_free(Seal__Request **r);
void response_free(Seal__Response **r);

/* message_bytes - a bytes field as a slice; message_data - a slice as a bytes field (borrowed). */
struct bytes message_bytes(ProtobufCBinaryData d);
ProtobufCBinaryData message_data(struct bytes b);

/* err_parse - the error whose err_name() this is; ERR_BUG for an unknown name. */
enum err err_parse(const char *name);

#endif
