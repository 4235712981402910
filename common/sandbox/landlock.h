/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_SANDBOX_LANDLOCK_H
#define BRAZIER_COMMON_SANDBOX_LANDLOCK_H

#include "common/base/err.h"
#include "common/sandbox/table.h"

/*
 * Closes file system, TCP and signals as far as the kernel's Landlock goes
 * (at most abi_max if that is not 0). data_dir_fd: the directory that the
 * row's data grants are about, -1 = none. *abi_out: the ABI in force, 0 when
 * the kernel has none. Needs no_new_privs. -1 when it should hold and fails.
 */
int	 landlock_enter(const struct sandbox_row *row, int data_dir_fd,
	    int abi_max, int *abi_out, struct err *err);

#endif
