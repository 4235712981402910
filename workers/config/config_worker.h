/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_CONFIG_CONFIG_WORKER_H
#define BRAZIER_WORKERS_CONFIG_CONFIG_WORKER_H

/*
 * The config worker: started for one load, it reads the configuration
 * through the broker, checks it, answers with one sealed blob a role and a
 * verdict, and is stopped. It holds all secrets for that moment and nothing
 * else: no file, no network.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/config/config.h"
#include "ipc/worker.h"

struct broker;
struct event;

struct config_worker {
	struct worker	*w;
	struct broker	*broker;
	struct event	*ev_load;	/* runs the load outside of handlers */
	char		*path;		/* to load; owned */
	uint64_t	 request;	/* id of LOAD */
	bool		 loading;
};

/* How load.c reads: through the broker; arg is a struct config_worker. */
struct config_files config_files_broker(struct config_worker *cw);

/* Loads cw->path and answers LOAD. Not from inside a handler. */
void	 config_worker_load(struct config_worker *cw);

#endif
