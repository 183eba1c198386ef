/* SPDX-License-Identifier: GPL-3.0-or-later */
/* softhsm_fixture.h - a private SoftHSM token in a temporary folder, for any test that needs one.
 *
 * Every fixture has its own configuration, token folder, PIN file and state folder; nothing of the
 * machine's own SoftHSM is touched. Missing SoftHSM is a failure, never a skip. The token is made
 * by softhsm2-util in a child process, so make fixtures before the module is loaded. */
#ifndef SEALRELAY_TESTS_SOFTHSM_FIXTURE_H
#define SEALRELAY_TESTS_SOFTHSM_FIXTURE_H

#include "daemon/base/err.h"

#define SOFTHSM_FIXTURE_PIN   "48151623"
#define SOFTHSM_FIXTURE_LABEL "sealrelay-test"

struct softhsm_fixture {
    char dir[64];       /* everything below lies here; mode 0700 */
    char conf[96];      /* softhsm2.conf; SOFTHSM2_CONF of this process names it */
    char pin_file[96];  /* mode 0600, SOFTHSM_FIXTURE_PIN */
    char state_dir[96]; /* empty, for token_options.state_dir and such */
    char uri[96];       /* "pkcs11:token=sealrelay-test" */
    const char *module; /* path of libsofthsm2.so */
};

/* softhsm_fixture_new - make the folder and one initialised token, set SOFTHSM2_CONF.
 * Errors: ERR_CONFIG (no SoftHSM on this machine), ERR_IO; the note says what. */
enum err softhsm_fixture_new(struct softhsm_fixture *f);

/* softhsm_fixture_add_token - one more token of the same PIN, named by label. */
enum err softhsm_fixture_add_token(struct softhsm_fixture *f, const char *label);

/* softhsm_fixture_free - remove the folder. Close the token (C_Finalize) before. */
void softhsm_fixture_free(struct softhsm_fixture *f);

#endif
