/* SPDX-License-Identifier: GPL-3.0-or-later */
/* err.c - the error table as code, and the calling thread's note. */
#include "daemon/base/err.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

/* The functions themselves, not their stand-ins for the analyzer. */
#undef err_note
#undef err_note_openssl

struct err_entry {
    const char *name;
    enum err_class class;
    const char *status;
    const char *text;
};

#define ERR_ROW(name, class, status, text) [name] = {#name, class, status, text},
static const struct err_entry err_entries[ERR_COUNT] = {ERR_TABLE(ERR_ROW)};

static _Thread_local struct err_note thread_note;

static const struct err_entry *err_entry(enum err e)
{
    return &err_entries[(unsigned)e < ERR_COUNT ? e : ERR_BUG];
}

enum err_class err_class(enum err e)
{
    return err_entry(e)->class;
}

const char *err_name(enum err e)
{
    return err_entry(e)->name;
}

const char *err_status(enum err e)
{
    return err_entry(e)->status;
}

const char *err_text(enum err e)
{
    return err_entry(e)->text;
}

/* Notes end in logs: nothing unprintable passes. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            *s = '?';
}

enum err err_note(enum err e, const char *action, const char *fmt, ...)
{
    va_list args;

    if (thread_note.action[0])
        return e;
    (void)snprintf(thread_note.action, sizeof thread_note.action, "%s", action);
    va_start(args, fmt);
    (void)vsnprintf(thread_note.detail, sizeof thread_note.detail, fmt, args);
    va_end(args);
    make_printable(thread_note.action);
    make_printable(thread_note.detail);
    return e;
}

enum err err_note_openssl(enum err e, const char *action)
{
    char text[200] = "no detail";
    unsigned long code = ERR_peek_error();

    if (code)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return err_note(e, action, "%s", text);
}

const struct err_note *err_note_get(void)
{
    return &thread_note;
}

void err_note_clear(void)
{
    thread_note.action[0] = '\0';
    thread_note.detail[0] = '\0';
}
