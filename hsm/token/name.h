/* SPDX-License-Identifier: GPL-3.0-or-later */
/* name.h - what our keys are called in the token (CKA_LABEL), written and read in one place.
 *
 * Internal to hsm/token.
 *   sealrelay ca PROFILE | sealrelay kek PROFILE GENERATION | sealrelay record | sealrelay journal
 *   sealrelay store GENERATION CREATED | sealrelay spool GENERATION CREATED
 * Numbers are decimal with leading zeroes, so names sort by generation. */
#ifndef SEALRELAY_HSM_TOKEN_NAME_H
#define SEALRELAY_HSM_TOKEN_NAME_H

#include "hsm/token/keyring.h"

#define NAME_CA      "sealrelay ca "
#define NAME_RECORD  "sealrelay record"
#define NAME_JOURNAL "sealrelay journal"
#define NAME_SPOOL   "sealrelay spool "
#define NAME_STORE   "sealrelay store "

/* Errors of both: ERR_USAGE (profile is no id). */
enum err name_ca(const char *profile, key_label out);
enum err name_kek(const char *profile, uint32_t generation, key_label out);
/* name_kek_prefix - what all generations of a profile's KEK begin with. */
enum err name_kek_prefix(const char *profile, key_label out);
void name_data(const char *prefix, uint32_t generation, int64_t created_s, key_label out);
/* name_data_read - generation and creation time of a spool or store key. Errors: ERR_FORMAT. */
enum err name_data_read(const char *label, const char *prefix, uint32_t *generation_out,
                        int64_t *created_s_out);
/* name_is_ours - a label we may have written; ca_out: a CA key's. */
bool name_is_ours(struct bytes label, bool *ca_out);

#endif
