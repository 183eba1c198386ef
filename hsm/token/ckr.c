/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ckr.c - what each PKCS#11 return code is called and what it means to us, as one table.
 *
 * Dead: the module, token, session or log-in is gone; only C_Finalize and fresh handles help.
 * CKR_OPERATION_ACTIVE is among them: a session stuck in an operation is no use to anybody, and
 * closing it would destroy the session objects it made. So are handles of ours that the token does
 * not know any more: SoftHSM forgets a key for good when its file cannot be opened once. */
#include "hsm/token/cryptoki.h"

enum fate { LIVES, VAGUE, DEAD };

struct ckr_row {
    CK_RV code;
    const char *name;
    enum err err;
    enum fate fate;
};

#define CKR_ROW(code, err, fate)                                                                   \
    {                                                                                              \
        code, #code, err, fate                                                                     \
    }

static const struct ckr_row ckr_rows[] = {
    CKR_ROW(CKR_OK, ERR_OK, LIVES),
    CKR_ROW(CKR_HOST_MEMORY, ERR_NOMEM, LIVES),
    CKR_ROW(CKR_SLOT_ID_INVALID, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_GENERAL_ERROR, ERR_HSM_AWAY, VAGUE),
    CKR_ROW(CKR_FUNCTION_FAILED, ERR_HSM_AWAY, VAGUE),
    CKR_ROW(CKR_ARGUMENTS_BAD, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_ATTRIBUTE_READ_ONLY, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_ATTRIBUTE_SENSITIVE, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_ATTRIBUTE_TYPE_INVALID, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_ATTRIBUTE_VALUE_INVALID, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_DATA_INVALID, ERR_FORMAT, LIVES),
    CKR_ROW(CKR_DATA_LEN_RANGE, ERR_FORMAT, LIVES),
    CKR_ROW(CKR_DEVICE_ERROR, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_DEVICE_MEMORY, ERR_HSM_AWAY, LIVES),
    CKR_ROW(CKR_DEVICE_REMOVED, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_ENCRYPTED_DATA_INVALID, ERR_FORMAT, LIVES),
    CKR_ROW(CKR_ENCRYPTED_DATA_LEN_RANGE, ERR_FORMAT, LIVES),
    CKR_ROW(CKR_FUNCTION_NOT_SUPPORTED, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_KEY_HANDLE_INVALID, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_KEY_SIZE_RANGE, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_KEY_TYPE_INCONSISTENT, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_KEY_NOT_WRAPPABLE, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_KEY_UNEXTRACTABLE, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_MECHANISM_INVALID, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_MECHANISM_PARAM_INVALID, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_OBJECT_HANDLE_INVALID, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_OPERATION_ACTIVE, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_OPERATION_NOT_INITIALIZED, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_PIN_INCORRECT, ERR_PIN, LIVES),
    CKR_ROW(CKR_PIN_INVALID, ERR_PIN, LIVES),
    CKR_ROW(CKR_PIN_LEN_RANGE, ERR_PIN, LIVES),
    CKR_ROW(CKR_PIN_EXPIRED, ERR_PIN, LIVES),
    CKR_ROW(CKR_PIN_LOCKED, ERR_PIN, LIVES),
    CKR_ROW(CKR_SESSION_CLOSED, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_SESSION_COUNT, ERR_BUSY, LIVES),
    CKR_ROW(CKR_SESSION_HANDLE_INVALID, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_TEMPLATE_INCOMPLETE, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_TEMPLATE_INCONSISTENT, ERR_REFUSED, LIVES),
    CKR_ROW(CKR_TOKEN_NOT_PRESENT, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_TOKEN_NOT_RECOGNIZED, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_TOKEN_WRITE_PROTECTED, ERR_CONFIG, LIVES),
    CKR_ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_USER_NOT_LOGGED_IN, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_USER_PIN_NOT_INITIALIZED, ERR_CONFIG, LIVES),
    CKR_ROW(CKR_WRAPPED_KEY_INVALID, ERR_HSM_AWAY, LIVES),
    CKR_ROW(CKR_WRAPPED_KEY_LEN_RANGE, ERR_HSM_AWAY, LIVES),
    CKR_ROW(CKR_WRAPPING_KEY_HANDLE_INVALID, ERR_HSM_AWAY, DEAD),
    CKR_ROW(CKR_BUFFER_TOO_SMALL, ERR_FORMAT, LIVES),
    CKR_ROW(CKR_CRYPTOKI_NOT_INITIALIZED, ERR_HSM_AWAY, DEAD),
};

static const struct ckr_row ckr_unknown = {0, "CKR_?", ERR_HSM_AWAY, VAGUE};

static const struct ckr_row *ckr_row(CK_RV rv)
{
    for (size_t i = 0; i < sizeof ckr_rows / sizeof *ckr_rows; i++)
        if (ckr_rows[i].code == rv)
            return &ckr_rows[i];
    return &ckr_unknown;
}

const char *ckr_name(CK_RV rv)
{
    return ckr_row(rv)->name;
}

enum err ckr_err(CK_RV rv)
{
    return ckr_row(rv)->err;
}

bool ckr_is_dead(CK_RV rv)
{
    return ckr_row(rv)->fate == DEAD;
}

bool ckr_is_vague(CK_RV rv)
{
    return ckr_row(rv)->fate == VAGUE;
}
