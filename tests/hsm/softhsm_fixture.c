/* SPDX-License-Identifier: GPL-3.0-or-later */
/* softhsm_fixture.c - makes and removes the private SoftHSM of a test. */
#include "tests/hsm/softhsm_fixture.h"

#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SO_PIN "31415926"

extern char **environ;

static const char *const module_paths[] = {
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
};

static const char *module_find(void)
{
    for (size_t i = 0; i < sizeof module_paths / sizeof *module_paths; i++)
        if (access(module_paths[i], R_OK) == 0)
            return module_paths[i];
    return NULL;
}

static enum err text_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    bool ok = file && fputs(text, file) >= 0;

    if (file && fclose(file) != 0)
        ok = false;
    if (!ok || chmod(path, 0600) != 0)
        return err_note(ERR_IO, path, "cannot write");
    return ERR_OK;
}

enum err softhsm_fixture_add_token(struct softhsm_fixture *f, const char *label)
{
    char tool[] = "softhsm2-util", init[] = "--init-token", slot[] = "--free";
    char label_option[] = "--label", pin_option[] = "--pin", so_option[] = "--so-pin";
    char name[33], pin[] = SOFTHSM_FIXTURE_PIN, so[] = SO_PIN;
    char *argv[] = {tool, init, slot, label_option, name, pin_option, pin, so_option, so, NULL};
    posix_spawn_file_actions_t actions;
    int status = -1;
    pid_t child;

    (void)f;
    if (snprintf(name, sizeof name, "%s", label) >= (int)sizeof name)
        return err_note(ERR_USAGE, "softhsm2-util", "label too long");
    if (posix_spawn_file_actions_init(&actions) != 0)
        return err_note(ERR_NOMEM, "posix_spawn", "out of memory");
    /* Its cheerful line about the slot number would only disturb the test's output. */
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
    if (posix_spawnp(&child, tool, &actions, NULL, argv, environ) != 0)
        child = -1;
    (void)posix_spawn_file_actions_destroy(&actions);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return err_note(ERR_CONFIG, "softhsm2-util", "missing, or exit status %d", status);
    return ERR_OK;
}

static enum err folders_make(struct softhsm_fixture *f)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/tokens", f->dir);
    if (mkdir(path, 0700) != 0 || mkdir(f->state_dir, 0700) != 0)
        return err_note(ERR_IO, "mkdir", "cannot make %s", path);
    return ERR_OK;
}

enum err softhsm_fixture_new(struct softhsm_fixture *f)
{
    char text[256];
    enum err e;

    *f = (struct softhsm_fixture){.module = module_find()};
    if (!f->module)
        return err_note(ERR_CONFIG, "libsofthsm2.so", "not found: install softhsm2");
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/sealrelay-softhsm-XXXXXX");
    if (!mkdtemp(f->dir))
        return err_note(ERR_IO, "mkdtemp", "%s", f->dir);
    (void)snprintf(f->conf, sizeof f->conf, "%s/softhsm2.conf", f->dir);
    (void)snprintf(f->pin_file, sizeof f->pin_file, "%s/pin", f->dir);
    (void)snprintf(f->state_dir, sizeof f->state_dir, "%s/state", f->dir);
    (void)snprintf(f->uri, sizeof f->uri, "pkcs11:token=%s", SOFTHSM_FIXTURE_LABEL);
    (void)snprintf(text, sizeof text,
                   "directories.tokendir = %s/tokens\nobjectstore.backend = file\n"
                   "log.level = ERROR\nslots.removable = false\n",
                   f->dir);
    e = folders_make(f);
    if (!e)
        e = text_write(f->conf, text);
    if (!e)
        e = text_write(f->pin_file, SOFTHSM_FIXTURE_PIN "\n");
    if (!e && setenv("SOFTHSM2_CONF", f->conf, 1) != 0)
        e = err_note(ERR_NOMEM, "setenv", "out of memory");
    if (!e)
        e = softhsm_fixture_add_token(f, SOFTHSM_FIXTURE_LABEL);
    if (e)
        softhsm_fixture_free(f);
    return e;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

void softhsm_fixture_free(struct softhsm_fixture *f)
{
    if (f && f->dir[0])
        (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (f)
        f->dir[0] = '\0';
}
