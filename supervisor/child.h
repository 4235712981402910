/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CHILD_H
#define BRAZIER_SUPERVISOR_CHILD_H

/*
 * What the three files about workers share: children.c starts and stops them,
 * child_messages.c hears them, deaths.c buries them.
 */

#include <stddef.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "supervisor/supervisor.h"

extern const struct ipc_handler child_handlers[];
extern const size_t child_n_handlers;
/* The channel's end; ctx is the child. */
void	 child_on_closed(void *ctx, struct ipc_channel *ch, const char *why);

/* Forgets the process: channel, log, metrics, state. */
void	 child_clear_process(struct child *c);
/* Starts it again after a back-off, which doubles each time. */
void	 child_retry_later(struct child *c);

/* Kills by the kernel's memory killer since boot, to tell deaths apart. */
uint64_t oom_kills(void);

#endif
