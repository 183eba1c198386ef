/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request_json_fuzz.c - a hostile relay's request file into the user's tool: the JSON reader, then
 * the checks of the request. What passes must be what the certificates may hold. */
#include "daemon/base/id.h"
#include "daemon/base/utf8.h"
#include "hsm/issue/name.h"
#include "provisioning/enroll/names.h"
#include "provisioning/enroll/request.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    char *text;
};

/* A string that was read can be written, and reads back the same. */
static void check_round_trip(const char *s)
{
    static const struct json_key key = {"text", offsetof(struct text, text), JSON_STRING, true};
    CLEANUP(buf_clear) struct buf json = {0};
    struct text back = {0};

    buf_append_str(&json, "{");
    json_add_string(&json, "text", bytes_of(s));
    buf_append_str(&json, "}");
    if (json_read(buf_bytes(&json), &key, 1, &back) || strcmp(back.text, s) != 0)
        __builtin_trap();
    json_clear(&key, 1, &back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_key keys[] = {
        {"text", offsetof(struct text, text), JSON_STRING, true}};
    CLEANUP(request_clear) struct request r = {0};
    struct text t = {0};

    err_note_clear();
    if (!json_read((struct bytes){data, size}, keys, 1, &t))
        check_round_trip(t.text);
    json_clear(keys, 1, &t);
    if (request_read((struct bytes){data, size}, &r))
        return 0;
    check_round_trip(r.csr);
    if (!id_is_valid(r.profile) || !utf8_is_printable(bytes_of(r.organisation)))
        __builtin_trap();
    for (size_t i = 0; i < r.addresses.n; i++)
        if (!name_is_address(r.addresses.items[i]))
            __builtin_trap();
    for (size_t i = 0; i < r.relay_domains.n; i++)
        if (!name_is_domain(r.relay_domains.items[i]))
            __builtin_trap();
    return 0;
}
