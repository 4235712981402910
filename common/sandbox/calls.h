/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_SANDBOX_CALLS_H
#define BRAZIER_COMMON_SANDBOX_CALLS_H

#include "common/base/err.h"
#include "common/sandbox/table.h"

/*
 * Installs the seccomp filter of a row: an allow-list, everything else kills
 * the process; a few calls that libraries make just to look around get EPERM
 * instead. Sets no_new_privs. All threads are taken along.
 */
int	 calls_allow(const struct sandbox_row *row, struct err *err);

/* The supervisor's filter: a deny-list (EPERM). */
int	 calls_deny_supervisor(struct err *err);

#endif
