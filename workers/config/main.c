/* SPDX-License-Identifier: ISC */
/* The config worker: start, handlers, end. See config_worker.h. */

#include "workers/config/config_worker.h"

#include <stdlib.h>

#include <event2/event.h>

#include "common/base/wire.h"
#include "ipc/broker.h"

static void
on_load_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	config_worker_load(arg);
}

/*
 * The load waits for the broker's answers on this very channel, so it runs
 * from an event of its own.
 */
static void
config_on_load(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct config_worker *cw = ctx;
	const struct msg_load *msg = m->data;
	struct wire_reader r;
	struct str path;

	wire_reader_init(&r, msg + 1, m->n - sizeof(*msg));
	path = wire_get_str(&r);
	if (!wire_end(&r) || cw->loading) {
		ipc_violation(ch, m, cw->loading ?
		    "a load is under way" : "malformed path");
		return;
	}
	free(cw->path);
	cw->path = str_dup(path);
	if (cw->path == NULL)
		fatal("out of memory");
	cw->request = m->id;
	cw->loading = true;
	event_active(cw->ev_load, 0, 0);
}

static void
config_on_broker(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct config_worker *cw = ctx;

	broker_on_message(cw->broker, ch, m);
}

static int
config_start(void *ctx, struct worker *w, struct err *err)
{
	struct config_worker *cw = ctx;

	cw->w = w;
	cw->broker = broker_new(worker_supervisor(w));
	cw->ev_load = event_new(worker_base(w), -1, 0, on_load_event, cw);
	if (cw->broker == NULL || cw->ev_load == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
main(void)
{
	static const struct ipc_handler handlers[] = {
		{ IPC_LOAD, config_on_load },
		{ IPC_OPENED, config_on_broker },
		{ IPC_GLOBBED, config_on_broker },
	};
	const struct worker_role role = {
		.role = ROLE_CONFIG,
		.handlers = handlers,
		.n_handlers = sizeof(handlers) / sizeof(handlers[0]),
		.start = config_start,
	};
	struct config_worker cw = { 0 };

	return worker_main(&role, &cw);
}
