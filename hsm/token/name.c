/* SPDX-License-Identifier: GPL-3.0-or-later */
/* name.c - what our keys are called in the token. Every profile id is checked here, so that no
 * name can be made to mean another profile's key. */
#include "hsm/token/name.h"
#include "daemon/base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OURS "sealrelay "

static enum err profile_check(const char *profile)
{
    return profile && id_is_valid(profile) ? ERR_OK
                                           : err_note(ERR_USAGE, "profile", "not a profile id");
}

enum err name_ca(const char *profile, key_label out)
{
    enum err e = profile_check(profile);

    if (!e)
        (void)snprintf(out, KEY_LABEL_MAX, NAME_CA "%s", profile);
    return e;
}

enum err name_kek(const char *profile, uint32_t generation, key_label out)
{
    enum err e = profile_check(profile);

    if (!e)
        (void)snprintf(out, KEY_LABEL_MAX, OURS "kek %s %010" PRIu32, profile, generation);
    return e;
}

enum err name_kek_prefix(const char *profile, key_label out)
{
    enum err e = profile_check(profile);

    if (!e)
        (void)snprintf(out, KEY_LABEL_MAX, OURS "kek %s ", profile);
    return e;
}

void name_data(const char *prefix, uint32_t generation, int64_t created_s, key_label out)
{
    (void)snprintf(out, KEY_LABEL_MAX, "%s%010" PRIu32 " %" PRId64, prefix, generation, created_s);
}

enum err name_data_read(const char *label, const char *prefix, uint32_t *generation_out,
                        int64_t *created_s_out)
{
    const char *number = label + strlen(prefix);
    char *end;
    unsigned long long generation = strtoull(number, &end, 10);
    long long created;

    if (end != number + 10 || *end != ' ' || generation > UINT32_MAX)
        return ERR_FORMAT;
    number = end + 1;
    created = strtoll(number, &end, 10);
    if (end == number || *end)
        return ERR_FORMAT;
    *generation_out = (uint32_t)generation;
    *created_s_out = created;
    return ERR_OK;
}

bool name_is_ours(struct bytes label, bool *ca_out)
{
    size_t ours = strlen(OURS), ca = strlen(NAME_CA);

    if (label.len >= KEY_LABEL_MAX || label.len <= ours || memcmp(label.data, OURS, ours) != 0 ||
        memchr(label.data, '\0', label.len))
        return false;
    *ca_out = label.len > ca && memcmp(label.data, NAME_CA, ca) == 0;
    return true;
}
