/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_COUNTERS_H
#define BRAZIER_IPC_COUNTERS_H

/* The channel's side of struct ipc_counters (see ipc/channel.h). */

struct ipc_counters;

/* type has a row. */
void	 ipc_counters_received(struct ipc_counters *c, unsigned type);
void	 ipc_counters_violation(struct ipc_counters *c);

#endif
