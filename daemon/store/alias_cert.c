/* SPDX-License-Identifier: GPL-3.0-or-later */
/* alias_cert.c - keeps aliases' certificates. */
#include "daemon/store/alias_cert.h"
#include "daemon/store/internal.h"

enum err store_alias_cert_get(struct store *s, int64_t alias, const char *profile,
                              struct buf *der_out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT cert FROM alias_cert WHERE alias = ? AND profile = ?",
                           "it", alias, profile);

    e = e ? e : sql_step(db, st);
    if (e)
        return e;
    buf_append_bytes(der_out, sql_blob(st, 0));
    return buf_error(der_out);
}

enum err store_alias_cert_set(struct store *s, int64_t alias, const char *profile, struct bytes der)
{
    CLEANUP(sql_release) struct sql *db = NULL;
    int64_t row = 0;
    enum err e;

    if (!id_is_valid(profile) || !der.len)
        return err_note(ERR_FORMAT, "alias certificate", "profile and certificate are needed");
    db = sql_hold(s->write);
    e = sql_one(db, &row, "SELECT id FROM alias WHERE id = ?", "i", alias);
    return e ? e
             : sql_run(db,
                       "INSERT OR REPLACE INTO alias_cert (alias, profile, cert) VALUES (?, ?, ?)",
                       "itb", alias, profile, der);
}
