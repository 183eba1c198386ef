/* SPDX-License-Identifier: GPL-3.0-or-later */
/* control.h - the operator's socket of the relay: one JSON object in, one out, per SOCK_SEQPACKET
 * connection turn.
 *
 * Request {"verb": "alias.add", ...}; answer {"ok": true, ...} or {"ok": false, "error":
 * "ERR_EXISTS", "text": "...", "note": "..."}. Long lists come in pages ("next"). File mode and
 * peer uid are checked. One thread serves all clients, a request at a time; a client that does not
 * take its answer or falls silent is dropped. */
#ifndef SEALRELAY_CONTROL_H
#define SEALRELAY_CONTROL_H

#include "daemon/base/err.h"

#include <sys/types.h>

struct cJSON;

/* One packet in either direction: what a SEQPACKET socket takes whole under the kernel's default
 * limits (net.core.wmem_default, 208 KiB). Longer lists are paged by their verbs. */
#define CONTROL_PACKET_MAX_BYTES (128u * 1024)

/* One verb: fills answer (an object already) or says why not. */
typedef enum err (*control_fn)(void *ctx, const struct cJSON *request, struct cJSON *answer);

struct control_verb {
    const char *name;
    control_fn fn;
};

/* Descriptors that may come along with a request: files a verb reads or writes. */
#define CONTROL_FILES_MAX 2

/* control_file - one of the descriptors that came with the request a verb is serving, -1: none.
 * Borrowed: closed when the verb returns. For verbs only, on the server's thread. */
int control_file(size_t nth);

struct control;
/* control_start - serve verbs at path (mode 0660) from a thread of its own.
 *   uid  the one uid besides root that may connect; (uid_t)-1: root only, and our own */
enum err control_start(const char *path, uid_t uid, const struct control_verb *verbs,
                       size_t n_verbs, void *ctx, struct control **out);
void control_stop(struct control *c);

/* control_call - the client's side. request: borrowed; answer_out: given.
 * Errors: ERR_NET (relay not running), ERR_TIMEOUT, and what the answer's "error" names. */
enum err control_call(const char *path, const struct cJSON *request, unsigned timeout_ms,
                      struct cJSON **answer_out);
/* control_call_files - the same, with descriptors for control_file(); borrowed. */
enum err control_call_files(const char *path, const struct cJSON *request,
                            const int files[CONTROL_FILES_MAX], unsigned timeout_ms,
                            struct cJSON **answer_out);

#endif
