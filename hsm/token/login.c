/* SPDX-License-Identifier: GPL-3.0-or-later */
/* login.c - when we may try the PIN, and what a refusal leaves behind.
 *
 * A wrong PIN in a file would lock a real token within a few restarts. So: one attempt; none when
 * it would be the last; and a refusal leaves a file in state_dir, after which nobody tries until
 * the operator unlocks. The file is made, durably, before the attempt and only renamed after it: a
 * full disk cannot lose a refusal. */
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "hsm/token/inside.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MARKER_TRYING  "pin-trying"
#define MARKER_REFUSED "pin-refused"

static enum err marker_path(const struct token *t, const char *name, char out[PATH_MAX])
{
    if (snprintf(out, PATH_MAX, "%s/%s", t->options.state_dir, name) >= PATH_MAX)
        return err_note(ERR_CONFIG, "state_dir", "path too long");
    return ERR_OK;
}

enum err login_permitted(struct token *t, struct place *p, CK_FLAGS flags)
{
    char path[PATH_MAX];
    enum err e = marker_path(t, MARKER_REFUSED, path);

    if (e)
        return e;
    if (access(path, F_OK) == 0)
        return err_note(ERR_PIN, "log-in",
                        "%s is there: an earlier PIN was refused; mend the PIN file, then "
                        "`sealctl token unlock`",
                        path);
    if (flags & CKF_USER_PIN_LOCKED)
        return err_note(ERR_PIN, "log-in", "token %s: the user PIN is locked", p->label);
    if (flags & CKF_USER_PIN_FINAL_TRY)
        return err_note(ERR_PIN, "log-in",
                        "token %s: the next wrong PIN would lock it; log in once with the vendor's "
                        "tool",
                        p->label);
    if (!(flags & CKF_USER_PIN_INITIALIZED))
        return err_note(ERR_CONFIG, "log-in", "token %s has no user PIN yet", p->label);
    return ERR_OK;
}

enum err login_begin(struct token *t)
{
    static const char text[] = "A log-in was under way.\n";
    char path[PATH_MAX];
    enum err e = marker_path(t, MARKER_TRYING, path);

    if (e)
        return e;
    return file_write_durable(path, bytes_of(text), 0600);
}

/* The refusal must last: when even that fails, the process still stops trying. */
enum err login_refused(struct token *t, struct place *p, CK_RV rv)
{
    char trying[PATH_MAX], refused[PATH_MAX];
    enum err e = marker_path(t, MARKER_TRYING, trying);

    if (!e)
        e = marker_path(t, MARKER_REFUSED, refused);
    if (!e && rename(trying, refused) != 0)
        e = err_note(ERR_IO, "pin-refused", "%s", strerror(errno));
    if (!e)
        e = dir_sync(refused);
    if (e)
        log_event(LOG_LEVEL_ERROR, "token.login", "-", e, -1, "marker=failed");
    return err_note(ERR_PIN, "C_Login", "token %s: %s (0x%lx)", p->label, ckr_name(rv), rv);
}

void login_accepted(struct token *t)
{
    char path[PATH_MAX];

    if (marker_path(t, MARKER_TRYING, path) == ERR_OK)
        (void)unlink(path);
}

enum err login_forget(struct token *t)
{
    char path[PATH_MAX];
    enum err e = marker_path(t, MARKER_REFUSED, path);

    if (e)
        return e;
    if (unlink(path) != 0)
        return errno == ENOENT ? ERR_OK : err_note(ERR_IO, path, "%s", strerror(errno));
    return dir_sync(path);
}
