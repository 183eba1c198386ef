/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scratch.h - a private folder a test works in, and what lies in it afterwards. */
#ifndef SEALRELAY_TESTS_SCRATCH_H
#define SEALRELAY_TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

typedef char scratch_path[256];

/* scratch_new - an empty folder below TMPDIR or /tmp; aborts when that fails. */
void scratch_new(scratch_path dir_out);
/* scratch_remove - the folder and all in it. */
void scratch_remove(const char *dir);
/* scratch_join - dir/name. */
void scratch_join(const char *dir, const char *name, scratch_path out);
/* scratch_holds - do these bytes occur in any file of the folder, at any depth? */
bool scratch_holds(const char *dir, const char *marker);
/* scratch_files - how many regular files lie in dir/name; 0 when there is no such folder. */
size_t scratch_files(const char *dir, const char *name);
/* scratch_sql - run statements on dir/name as a foreign program would; aborts on failure. */
void scratch_sql(const char *dir, const char *name, const char *statements);

#endif
