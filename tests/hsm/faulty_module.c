/* SPDX-License-Identifier: GPL-3.0-or-later */
/* faulty_module.c - SoftHSM with faults on demand: its function list, a few entries replaced. */
#include "tests/hsm/faulty_module.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define TEMPLATE_MAX 64

extern struct faulty_control faulty_control;
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out);

struct faulty_control faulty_control = {.sessions_left = -1};

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST faulty;

static CK_RV faulty_initialize(void *args)
{
    atomic_fetch_add(&faulty_control.initialisations, 1);
    return faulty_control.initialise_answer ? faulty_control.initialise_answer
                                            : real->C_Initialize(args);
}

static CK_RV faulty_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = real->C_GetTokenInfo(slot, info);

    if (rv == CKR_OK)
        info->flags |= faulty_control.token_flags;
    return rv;
}

static CK_RV faulty_open(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                         CK_SESSION_HANDLE *session)
{
    int left = atomic_load(&faulty_control.sessions_left);

    if (left == 0)
        return faulty_control.open_answer;
    if (left > 0)
        atomic_fetch_sub(&faulty_control.sessions_left, 1);
    return real->C_OpenSession(slot, flags, application, notify, session);
}

static CK_RV faulty_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG len)
{
    atomic_fetch_add(&faulty_control.logins, 1);
    return faulty_control.login_answer ? faulty_control.login_answer
                                       : real->C_Login(session, user, pin, len);
}

static CK_RV faulty_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                              CK_OBJECT_HANDLE key)
{
    if (atomic_load(&faulty_control.sign_failures) > 0) {
        atomic_fetch_sub(&faulty_control.sign_failures, 1);
        return faulty_control.sign_answer;
    }
    return real->C_SignInit(session, mechanism, key);
}

static CK_RV faulty_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    return faulty_control.probe_answer ? faulty_control.probe_answer
                                       : real->C_GetSessionInfo(session, info);
}

static CK_RV faulty_mechanisms(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
    CK_RV rv = real->C_GetMechanismList(slot, list, n);

    for (CK_ULONG i = 0; rv == CKR_OK && list && i < *n; i++)
        if (list[i] == faulty_control.hidden)
            list[i--] = list[--*n];
    return rv;
}

/* The template without what is to be ignored; false when it holds what is not known. */
static bool filter(const CK_ATTRIBUTE *attrs, CK_ULONG n, CK_ATTRIBUTE *out, CK_ULONG *n_out)
{
    *n_out = 0;
    for (CK_ULONG i = 0; i < n && i < TEMPLATE_MAX; i++) {
        if (faulty_control.unknown && attrs[i].type == faulty_control.unknown)
            return false;
        if (!faulty_control.ignored || attrs[i].type != faulty_control.ignored)
            out[(*n_out)++] = attrs[i];
    }
    return true;
}

static CK_RV faulty_generate(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                             CK_ATTRIBUTE *attrs, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
    CK_ATTRIBUTE kept[TEMPLATE_MAX];
    CK_ULONG n_kept;

    if (!filter(attrs, n, kept, &n_kept))
        return CKR_ATTRIBUTE_TYPE_INVALID;
    return real->C_GenerateKey(session, mechanism, kept, n_kept, key);
}

static CK_RV faulty_generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                                  CK_ATTRIBUTE *public, CK_ULONG n_public, CK_ATTRIBUTE *private,
                                  CK_ULONG n_private, CK_OBJECT_HANDLE *public_key,
                                  CK_OBJECT_HANDLE *private_key)
{
    CK_ATTRIBUTE kept[TEMPLATE_MAX], kept_public[TEMPLATE_MAX];
    CK_ULONG n_kept, n_kept_public;

    if (!filter(private, n_private, kept, &n_kept) ||
        !filter(public, n_public, kept_public, &n_kept_public))
        return CKR_ATTRIBUTE_TYPE_INVALID;
    return real->C_GenerateKeyPair(session, mechanism, kept_public, n_kept_public, kept, n_kept,
                                   public_key, private_key);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out)
{
    void *library = dlopen(faulty_control.module, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library ? dlsym(library, "C_GetFunctionList") : NULL;
    CK_C_GetFunctionList get;

    memcpy(&get, &symbol, sizeof get);
    if (!symbol || get(&real) != CKR_OK)
        return CKR_GENERAL_ERROR;
    faulty = *real;
    faulty.C_Initialize = faulty_initialize;
    faulty.C_GetTokenInfo = faulty_token_info;
    faulty.C_OpenSession = faulty_open;
    faulty.C_Login = faulty_login;
    faulty.C_SignInit = faulty_sign_init;
    faulty.C_GetSessionInfo = faulty_session_info;
    faulty.C_GetMechanismList = faulty_mechanisms;
    faulty.C_GenerateKey = faulty_generate;
    faulty.C_GenerateKeyPair = faulty_generate_pair;
    *out = &faulty;
    return CKR_OK;
}
