/* SPDX-License-Identifier: GPL-3.0-or-later */
/* faulty_module.h - a PKCS#11 module that is SoftHSM, but for the faults a test asks for.
 *
 * The test loads it itself first, finds the control by dlsym("faulty_control") and keeps it loaded;
 * what it counts and does then outlasts every token_open and token_close. */
#ifndef SEALRELAY_TESTS_FAULTY_MODULE_H
#define SEALRELAY_TESTS_FAULTY_MODULE_H

#include <p11-kit/pkcs11.h>
#include <stdatomic.h>

struct faulty_control {
    const char *module; /* the SoftHSM behind it; set before the first token_open */
    /* counted */
    atomic_uint initialisations;
    atomic_uint logins;
    /* faults; 0: none */
    CK_FLAGS token_flags;    /* added to C_GetTokenInfo's */
    CK_RV initialise_answer; /* of every C_Initialize */
    CK_RV login_answer;      /* of C_Login, which tries nothing then */
    CK_RV open_answer;       /* of C_OpenSession once sessions_left is 0 */
    atomic_int sessions_left;
    CK_RV sign_answer; /* of the next sign_failures calls of C_SignInit */
    atomic_int sign_failures;
    CK_RV probe_answer;        /* of C_GetSessionInfo */
    CK_MECHANISM_TYPE hidden;  /* a mechanism C_GetMechanismList leaves out */
    CK_ATTRIBUTE_TYPE ignored; /* an attribute C_GenerateKey overlooks */
    CK_ATTRIBUTE_TYPE unknown; /* an attribute C_GenerateKey and ...Pair refuse */
};

#endif
