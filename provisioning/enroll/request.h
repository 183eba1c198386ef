/* SPDX-License-Identifier: GPL-3.0-or-later */
/* request.h - the relay's request file: the only thing the user's tool ever takes from the relay
 * before the root exists. Every value is checked here; what passes may stand in a certificate. */
#ifndef SEALRELAY_ENROLL_REQUEST_H
#define SEALRELAY_ENROLL_REQUEST_H

#include "hsm/issue/certificate.h"
#include "provisioning/enroll/json.h"

#define REQUEST_FILE_MAX_BYTES (64u * 1024)
#define REQUEST_NAMES_MAX      16 /* relay domains, and addresses */

/* The file's values; owned. */
struct request {
    char *format;
    char *profile;
    char *country;
    char *organisation;
    char *root_name;
    char *intermediate_name;
    struct json_list relay_domains;
    struct json_list addresses;
    char *ca_key_type;
    char *user_key_type;
    int64_t root_days;
    int64_t intermediate_days;
    int64_t user_days;
    char *crl_url;
    char *aia_url;
    char *policy_oid;
    char *csr;
};

/* request_read - parse and check a request file's text; out is cleared on error.
 * Errors: ERR_FORMAT (the note names the field and what it must be), ERR_NOMEM. */
enum err request_read(struct bytes text, struct request *out);
void request_clear(struct request *r);

/* request_csr_key - the key of the intermediate's CSR; nothing else of the CSR is used.
 *   key_out  given: EVP_PKEY_free
 * Errors: ERR_FORMAT (not one CSR, its signature fails, not the key type the request names). */
enum err request_csr_key(const struct request *r, EVP_PKEY **key_out);

/* request_values - the values of the certificates below and of the root; borrows from r. */
struct cert_values request_values(const struct request *r);

#endif
