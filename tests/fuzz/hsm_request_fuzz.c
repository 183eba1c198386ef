/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hsm_request_fuzz.c - bytes from a client into the key service's door: decode, check, name. */
#include "hsm/proto/request.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(request_free) Seal__Request *request = NULL;

    err_note_clear();
    if (request_parse((struct bytes){data, size}, &request) || !request_is_whole(request))
        return 0;
    /* What passed the door has a verb with a name. */
    if (!request_check(request) && strcmp(request_verb_name(request->verb_case), "none") == 0)
        __builtin_trap();
    return 0;
}
