/* SPDX-License-Identifier: ISC */
/* The scrape worker: tables of handlers, start, end. */

#define LOG_COMPONENT "scrape manager"

#include <sys/resource.h>

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "ipc/broker.h"
#include "ipc/worker.h"
#include "workers/scrape/scrape.h"

#define PENDING_BYTES_DEFAULT	(256ULL << 20)

struct main_ctx {
	struct scrape	 s;		/* first: handlers get it as ctx */
	struct worker	*w;
	struct event	*drain;		/* while stopping */
	int64_t		 drain_until_ns;
};

static void
on_broker(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct main_ctx *c = ctx;

	broker_on_message(c->s.broker, ch, m);
}

/* scheme://host[:port]/… of the external URL; port of the listener. */
static void
split_urls(struct scrape_options *o, struct str external, struct str listen)
{
	const char *p = memmem(external.p, external.n, "://", 3), *end;

	if (p != NULL) {
		o->external_scheme = str_from(external.p,
		    (size_t)(p - external.p));
		p += 3;
		end = memchr(p, '/', (size_t)(external.p + external.n - p));
		if (end == NULL)
			end = external.p + external.n;
		o->external_host = str_from(p, (size_t)(end - p));
	}
	if ((p = memchr(listen.p, ',', listen.n)) != NULL)
		listen.n = (size_t)(p - listen.p);
	p = memrchr(listen.p, ':', listen.n);
	if (p != NULL)
		o->listen_port = str_from(p + 1,
		    (size_t)(listen.p + listen.n - p - 1));
}

static void
set_options(struct main_ctx *c)
{
	struct scrape_options *o = &c->s.opt;
	struct worker *w = c->w;

	o->instance = worker_instance(w);
	o->n_instances = worker_n_instances(w);
	o->adjust_timestamps = worker_flag_bool(w, "scrape.adjust-timestamps");
	o->tolerance_ns = worker_flag_go_duration_ns(w,
	    "scrape.timestamp-tolerance");
	o->type_and_unit_labels = worker_feature(w, "type-and-unit-labels");
	o->hostname = worker_flag(w, "brazier.hostname");
	o->max_body_bytes = (uint64_t)worker_flag_bytes(w,
	    "scrape.max-body-size");
	split_urls(o, worker_flag(w, "brazier.external-url"),
	    worker_flag(w, "web.listen-address"));
}

/* A generation whose files have all been read. */
static void
on_prepared(struct scrape *s, uint32_t gen, const struct err *err)
{
	struct main_ctx *c = (struct main_ctx *)(void *)s;

	worker_prepared(c->w, gen, err);
}

static int
scrape_on_start(void *ctx, struct worker *w, struct err *err)
{
	struct main_ctx *c = ctx;

	(void)err;
	c->w = w;
	c->s.base = worker_base(w);
	c->s.metrics = worker_metrics(w);
	c->s.prepared = on_prepared;
	set_options(c);
	/* libcurl and OpenSSL read files of their own now or never */
	http_client_setup();
	c->s.http = http_loop_new(c->s.base);
	scrape_init(&c->s);
	if ((c->s.broker = broker_new(worker_supervisor(w))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/*
 * A quarter of the memory this process may have is for waiting batches. New
 * series end at half of it: a cache that is compacted is there twice.
 */
static int
scrape_on_locked(void *ctx, struct err *err)
{
	struct main_ctx *c = ctx;
	struct rlimit l;

	(void)err;
	c->s.opt.max_pending_bytes = PENDING_BYTES_DEFAULT;
	if (getrlimit(RLIMIT_DATA, &l) == 0 && l.rlim_cur != RLIM_INFINITY) {
		c->s.opt.max_pending_bytes = l.rlim_cur / 4;
		c->s.opt.max_heap_bytes = l.rlim_cur / 2;
	}
	return 0;
}

static int
scrape_on_prepare(void *ctx, uint32_t gen, struct str blob, struct err *err)
{
	struct main_ctx *c = ctx;

	return conf_prepare(&c->s, gen, blob, err);
}

static void
scrape_on_commit(void *ctx, uint32_t gen)
{
	struct main_ctx *c = ctx;

	conf_commit(&c->s, gen);
}

static void
scrape_on_abort(void *ctx, uint32_t gen)
{
	struct main_ctx *c = ctx;

	conf_abort(&c->s, gen);
}

static void
scrape_on_run(void *ctx)
{
	struct main_ctx *c = ctx;

	scrape_run(&c->s);
}

/* Until storage has acknowledged everything, or the time is over. */
static void
on_drain(int fd, short what, void *arg)
{
	struct main_ctx *c = arg;
	struct timeval tick = { 0, 10000 };

	(void)fd;
	(void)what;
	if (scrape_is_drained(&c->s) ||
	    mono_now().ns > c->drain_until_ns) {
		if (!scrape_is_drained(&c->s))
			log_warn("Storage has not acknowledged all samples",
			    F_UINT("batches", c->s.appender.n_pending));
		worker_stopped(c->w);
	} else
		evtimer_add(c->drain, &tick);
}

static void
scrape_on_stop(void *ctx, uint32_t deadline_ms)
{
	struct main_ctx *c = ctx;

	scrape_stop(&c->s);
	c->drain_until_ns = mono_add_ms(mono_now(),
	    (int64_t)deadline_ms * 3 / 4).ns;
	if ((c->drain = evtimer_new(c->s.base, on_drain, c)) == NULL)
		worker_stopped(c->w);
	else
		on_drain(-1, 0, c);
}

static void
scrape_on_peer_up(void *ctx, struct ipc_channel *ch)
{
	struct main_ctx *c = ctx;
	enum role peer = ipc_channel_ends(ch).peer;

	if (peer == ROLE_STORAGE)
		appender_attach(&c->s.appender, ch);
	else if (peer == ROLE_RESOLVER)
		resolver_attach(&c->s.resolver, ch);
}

static void
scrape_on_peer_down(void *ctx, struct ipc_channel *ch, enum peer_cause cause,
    const char *why)
{
	struct main_ctx *c = ctx;

	(void)cause;
	(void)why;
	appender_detach(&c->s.appender, ch);
	resolver_detach(&c->s.resolver, ch);
}

static const struct ipc_handler from_supervisor[] = {
	{ IPC_OPENED, on_broker },
	{ IPC_GLOBBED, on_broker },
	{ IPC_CHANGED, on_broker }
};
static const struct ipc_handler from_storage[] = {
	{ IPC_ACK, appender_on_ack }
};
static const struct ipc_handler from_resolver[] = {
	{ IPC_RESOLVED, resolver_on_resolved }
};
static const struct ipc_handler from_web[] = {
	{ IPC_TARGETS_GET, targets_on_get }
};
#define TABLE(t) (t), sizeof(t) / sizeof((t)[0])
static const struct worker_peer peers[] = {
	{ ROLE_STORAGE, TABLE(from_storage) },
	{ ROLE_RESOLVER, TABLE(from_resolver) },
	{ ROLE_WEB, TABLE(from_web) }
};

static const struct worker_role role = {
	.role = ROLE_SCRAPE,
	.handlers = from_supervisor,
	.n_handlers = sizeof(from_supervisor) / sizeof(from_supervisor[0]),
	.peers = peers,
	.n_peers = sizeof(peers) / sizeof(peers[0]),
	.start = scrape_on_start,
	.locked = scrape_on_locked,
	.prepare = scrape_on_prepare,
	.commit = scrape_on_commit,
	.abort = scrape_on_abort,
	.run = scrape_on_run,
	.stop = scrape_on_stop,
	.peer_up = scrape_on_peer_up,
	.peer_down = scrape_on_peer_down
};

int
main(void)
{
	struct main_ctx c;

	memset(&c, 0, sizeof(c));
	return worker_main(&role, &c);
}
