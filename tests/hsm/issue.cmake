# SPDX-License-Identifier: GPL-3.0-or-later
# What the key service decides, with the user's side as test code: "tests/hsm/issue_kit.h".
seal_library(issue_kit SOURCES issue_kit.c issue_case.c
             USES seal_softhsm_fixture seal_issue PkgConfig::CMOCKA)
seal_test(authority_test SOURCES authority_test.c USES seal_issue_kit)
seal_test(issue_test SOURCES issue_test.c USES seal_issue_kit)
seal_test(alias_cert_test SOURCES alias_cert_test.c USES seal_issue_kit)
seal_test(journal_test SOURCES journal_test.c USES seal_journal seal_softhsm_fixture)
seal_test(record_test SOURCES record_test.c USES seal_issue_kit)
seal_test(enrol_test SOURCES enrol_test.c USES seal_issue_kit)
seal_test(request_test SOURCES request_test.c USES seal_issue_kit)
seal_test(journal_line_test SOURCES journal_line_test.c USES seal_journal_text)
seal_test(tamper_test SOURCES tamper_test.c USES seal_issue_kit)
