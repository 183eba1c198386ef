/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cleaning.h - one user, one alias, two correspondents, for all tests of cleaning. */
#ifndef SEALRELAY_TESTS_CLEAN_CLEANING_H
#define SEALRELAY_TESTS_CLEAN_CLEANING_H

#include "daemon/clean/clean.h"

#define CLEANING_MAILBOX "jane.roe@home.example"
#define CLEANING_ALIAS   "shop@relay.example"
#define CLEANING_DOMAIN  "relay.example"
#define CLEANING_REVERSE "r-abcdefghijklmnop@relay.example" /* bob@corp.example */
#define CLEANING_REAL    "bob@corp.example"
#define CLEANING_OTHER   "r-ponmlkjihgfedcba@relay.example" /* eve@net.example */
#define CLEANING_NOW_S   1795334400                         /* Sun, 22 Nov 2026 08:00:00 +0000 */

/* clean_message - clean a whole message of which nothing is encrypted: header and entity in one.
 * <own-1@home.example> is an id of the user's, mapped to <mapped-1@relay.example>;
 * <known@home.example> is known as the correspondent's. */
enum err clean_message(struct bytes raw, struct clean_output *out, struct clean_refusal *refusal);
/* clean_entity - the same with an outer header of its own. */
enum err clean_entity(struct bytes outer, struct bytes entity, struct clean_output *out,
                      struct clean_refusal *refusal);

#endif
