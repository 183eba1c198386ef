/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hanging_module.c - a PKCS#11 module that is SoftHSM until a file appears; then it hangs as long
 * as the file is there. For a service in a process of its own.
 *
 * SEALRELAY_TEST_MODULE names the module behind it, SEALRELAY_TEST_HANG the file. */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY_MS 20

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out);

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST hanging;

static void hang(void)
{
    const char *file = getenv("SEALRELAY_TEST_HANG");

    while (file && access(file, F_OK) == 0)
        (void)poll(NULL, 0, LOOK_EVERY_MS);
}

static CK_RV hanging_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    hang();
    return real->C_GetSessionInfo(session, info);
}

static CK_RV hanging_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                               CK_OBJECT_HANDLE key)
{
    hang();
    return real->C_SignInit(session, mechanism, key);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out)
{
    const char *module = getenv("SEALRELAY_TEST_MODULE");
    void *library = module ? dlopen(module, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library ? dlsym(library, "C_GetFunctionList") : NULL;
    CK_C_GetFunctionList get;

    memcpy(&get, &symbol, sizeof get);
    if (!symbol || get(&real) != CKR_OK)
        return CKR_GENERAL_ERROR;
    hanging = *real;
    hanging.C_GetSessionInfo = hanging_session_info;
    hanging.C_SignInit = hanging_sign_init;
    *out = &hanging;
    return CKR_OK;
}
