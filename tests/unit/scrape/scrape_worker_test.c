/* SPDX-License-Identifier: ISC */
/*
 * The scrape worker in one process with a target and a storage of the
 * test's: what reaches storage for bodies, failures, limits, a lost storage
 * and changes of the configuration.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define IDS_MAX		4096
#define SAMPLES_MAX	100000

struct stored {
	char	series[256];
	int64_t	t_ms;
	double	v;
};

struct world {
	struct event_base	*base;
	struct scrape		 s;
	/* the target */
	struct evconnlistener	*listener;
	int			 port;
	const char		*status;
	const char		*type;
	char			 body[4096];
	char			 head[4096];	/* last request */
	int			 n_requests;
	/* storage */
	struct ipc_channel	*worker_end, *storage_end;
	char			 series[IDS_MAX][256];
	struct stored		 stored[SAMPLES_MAX];
	size_t			 n_stored;
	int			 n_batches, n_resent, n_forgotten;
	bool			 mute;		/* no acknowledgements */
	uint32_t		 generation;
};

static struct world *w;

/* --- the target --- */

static void
on_request(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer *out = bufferevent_get_output(bev);
	size_t n = evbuffer_get_length(in);

	(void)arg;
	if (evbuffer_search(in, "\r\n\r\n", 4, NULL).pos == -1)
		return;
	if (n > sizeof(w->head) - 1)
		n = sizeof(w->head) - 1;
	evbuffer_copyout(in, w->head, n);
	w->head[n] = '\0';
	evbuffer_drain(in, evbuffer_get_length(in));
	w->n_requests++;
	evbuffer_add_printf(out, "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\n\r\n%s", w->status, w->type,
	    strlen(w->body), w->body);
}

static void
on_target_end(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a,
    int len, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(w->base, fd,
	    BEV_OPT_CLOSE_ON_FREE);

	(void)l;
	(void)a;
	(void)len;
	(void)arg;
	bufferevent_setcb(bev, on_request, NULL, on_target_end, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
start_target(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	w->listener = evconnlistener_new_bind(w->base, on_accept, NULL,
	    LEV_OPT_CLOSE_ON_FREE, 16, (struct sockaddr *)&a, sizeof(a));
	assert_non_null(w->listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(w->listener),
	    (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	w->status = "200 OK";
	w->type = "text/plain; version=0.0.4";
}

/* --- storage --- */

static int
on_declared(void *arg, uint32_t id, struct labels ls)
{
	struct buf b;

	(void)arg;
	assert_true(id < IDS_MAX);
	buf_init(&b, 0);
	labels_format_metric(ls, &b);
	snprintf(w->series[id], sizeof(w->series[id]), "%.*s",
	    STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return 0;
}

static void
on_series(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	(void)ctx;
	(void)ch;
	assert_null(append_series_read(m, on_declared, NULL));
}

static void
on_samples(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct append_samples b;
	struct msg_ack ack = { 0 };
	struct err err = ERR_INIT;

	(void)ctx;
	assert_null(append_samples_read(m, &b));
	for (uint32_t i = 0; i < b.n; i++) {
		struct stored *s = &w->stored[w->n_stored++];

		assert_true(b.ids[i] < IDS_MAX);
		/* declared before it is used */
		assert_true(w->series[b.ids[i]][0] != '\0');
		strcpy(s->series, w->series[b.ids[i]]);
		s->t_ms = b.base_ms + (b.dt_ms == NULL ? 0 : b.dt_ms[i]);
		s->v = b.values[i];
		assert_true(w->n_stored < SAMPLES_MAX);
	}
	w->n_resent += (b.flags & SAMPLES_RESEND) != 0;
	if ((b.flags & SAMPLES_COMMIT) == 0)
		return;
	w->n_batches++;
	ack.seq = b.seq;
	ack.stored = b.n;
	if (!w->mute)
		assert_int_equal(ipc_send(ch, IPC_ACK, 0, &ack, sizeof(ack),
		    NULL, 0, &err), 0);
}

static void
on_forget(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct msg_forget f;
	uint32_t id;

	(void)ctx;
	(void)ch;
	memcpy(&f, m->data, sizeof(f));
	for (uint32_t i = 0; i < f.n; i++) {
		memcpy(&id, (const char *)m->data + sizeof(f) + i * 4, 4);
		assert_true(w->series[id][0] != '\0');
		w->series[id][0] = '\0';
		w->n_forgotten++;
	}
}

static const struct ipc_handler storage_handlers[] = {
	{ IPC_SERIES, on_series },
	{ IPC_SAMPLES, on_samples },
	{ IPC_FORGET, on_forget }
};
static const struct ipc_handler worker_handlers[] = {
	{ IPC_ACK, appender_on_ack }
};

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	(void)ctx;
	(void)ch;
	fail_msg("channel closed: %s", why);
}

static void
storage_up(void)
{
	struct ipc_ends at_worker = { ROLE_SCRAPE, ROLE_STORAGE, 0, 0 };
	struct ipc_ends at_storage = { ROLE_STORAGE, ROLE_SCRAPE, 0, 0 };
	struct err err = ERR_INIT;
	int fds[2];

	memset(w->series, 0, sizeof(w->series));
	assert_int_equal(ipc_pair(fds, &err), 0);
	w->worker_end = ipc_channel_new(w->base, fds[0], at_worker,
	    worker_handlers, 1, on_closed, &w->s);
	w->storage_end = ipc_channel_new(w->base, fds[1], at_storage,
	    storage_handlers, 3, on_closed, NULL);
	assert_true(w->worker_end != NULL && w->storage_end != NULL);
	ipc_channel_set_state(w->worker_end, IPC_RUNNING);
	ipc_channel_set_state(w->storage_end, IPC_RUNNING);
	appender_attach(&w->s.appender, w->worker_end);
}

static void
storage_down(void)
{
	appender_detach(&w->s.appender, w->worker_end);
	ipc_channel_free(w->worker_end);
	ipc_channel_free(w->storage_end);
	w->worker_end = w->storage_end = NULL;
}

/* --- the world --- */

static void
run_ms(int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(w->base, &tv);
	event_base_dispatch(w->base);
}

static int
begin(void **state)
{
	(void)state;
	w = xcalloc(1, sizeof(*w));
	w->base = event_base_new();
	start_target();
	w->s.base = w->base;
	w->s.metrics = metrics_new();
	w->s.opt.n_instances = 1;
	w->s.opt.adjust_timestamps = true;
	w->s.opt.tolerance_ns = 2000000;
	w->s.opt.hostname = STR_LIT("test");
	w->s.opt.max_body_bytes = 1 << 20;
	w->s.opt.max_pending_bytes = 1 << 20;
	w->s.http = http_loop_new(w->base);
	scrape_init(&w->s);
	storage_up();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	scrape_clear(&w->s);
	run_ms(20);	/* the target sees its connections end */
	if (w->worker_end != NULL)
		storage_down();
	http_loop_free(w->s.http);
	metrics_close(w->s.metrics);
	evconnlistener_free(w->listener);
	event_base_free(w->base);
	free(w);
	return 0;
}

/* One job with the test's target; change (may be NULL) edits it. */
static void
configure(void (*change)(struct scrape_conf *c), bool has_target)
{
	struct scrape_confs cs;
	struct scrape_conf *c;
	struct err err = ERR_INIT;
	char address[32];
	struct buf b;

	scrape_confs_init(&cs);
	c = cs.jobs = xcalloc(1, sizeof(*c));
	cs.n_jobs = 1;
	scrape_conf_init(c);
	conf_str_set(&c->job_name, STR_LIT("j"));
	c->interval_ms = c->timeout_ms = 100;
	conf_str_set(&c->metrics_path, STR_LIT("/metrics"));
	conf_str_set(&c->scheme, STR_LIT("http"));
	c->protocols[0] = SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0;
	c->protocols[1] = SCRAPE_PROTOCOL_PROMETHEUS_TEXT_0_0_4;
	c->n_protocols = 2;
	c->honor_timestamps = c->enable_compression = true;
	c->groups = xcalloc(1, sizeof(*c->groups));
	c->n_groups = 1;
	conf_str_set(&c->groups[0].source, STR_LIT("0"));
	snprintf(address, sizeof(address), "127.0.0.1:%d", w->port);
	if (has_target)
		conf_list_add(&c->groups[0].targets, str_c(address));
	if (change != NULL)
		change(c);
	buf_init(&b, 0);
	scrape_confs_encode(&cs, &b);
	scrape_confs_clear(&cs);
	assert_int_equal(conf_prepare(&w->s, ++w->generation, buf_str(&b),
	    &err), 0);
	conf_commit(&w->s, w->generation);
	buf_clear(&b);
}

/* Runs the loop until n more batches have come, or for at most 3 s. */
static void
run_batches(int n)
{
	int until = w->n_batches + n;
	int64_t stop = mono_now().ns + 3000000000LL;

	while (w->n_batches < until && mono_now().ns < stop) {
		struct timeval tick = { 0, 5000 };

		event_base_loopexit(w->base, &tick);
		event_base_dispatch(w->base);
	}
	assert_true(w->n_batches >= until);
}

/* The last sample of a series; NULL when there is none. */
static const struct stored *
last(const char *fmt, ...)
{
	char name[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	for (size_t i = w->n_stored; i > 0; i--)
		if (strcmp(w->stored[i - 1].series, name) == 0)
			return &w->stored[i - 1];
	return NULL;
}

#define TARGET "instance=\"127.0.0.1:%d\", job=\"j\""

static const struct stored *
report(const char *name)
{
	char fmt[128];

	snprintf(fmt, sizeof(fmt), "%s{" TARGET "}", name, w->port);
	return last("%s", fmt);
}

/*
 * Runs until a series' last value is v (NaN: a stale marker). On a busy
 * machine a scrape may miss its short deadline: then it is the next.
 */
static void
wait_for(const char *series, double v)
{
	const struct stored *s;

	for (int i = 0; i < 1000; i++) {
		s = last(series, w->port);
		if (s != NULL && (isnan(v) ? is_stale_nan(s->v) : s->v == v))
			return;
		run_ms(10);
	}
	fail_msg("%s is never %f", series, v);
}

static void
set_body(const char *body)
{
	snprintf(w->body, sizeof(w->body), "%s", body);
}

/* --- tests --- */

static void
test_scrape(void **state)
{
	const struct stored *a, *up;
	int64_t then = wall_now_ms() - 60000;
	char body[256];

	(void)state;
	snprintf(body, sizeof(body), "# TYPE a counter\na{x=\"1\"} 5\n"
	    "a{x=\"2\",job=\"mine\"} 7 %lld\n", (long long)then);
	set_body(body);
	configure(NULL, true);
	scrape_run(&w->s);
	run_batches(2);
	a = last("a{" TARGET ", x=\"1\"}", w->port);
	assert_non_null(a);
	assert_true(a->v == 5);
	up = report("up");
	assert_non_null(up);
	assert_true(up->v == 1 && up->t_ms == a->t_ms);
	a = last("a{exported_job=\"mine\", " TARGET ", x=\"2\"}", w->port);
	assert_non_null(a);
	assert_int_equal(a->t_ms, then);
	assert_true(report("scrape_samples_scraped")->v == 2);
	assert_true(report("scrape_samples_post_metric_relabeling")->v == 2);
	assert_true(report("scrape_series_added")->v == 0);
	assert_non_null(report("scrape_duration_seconds"));
	assert_null(report("scrape_timeout_seconds"));
	assert_non_null(strstr(w->head, "Accept: application/openmetrics-text"
	    ";version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;"
	    "version=0.0.4;q=0.5,*/*;q=0.4\r\n"));
	assert_non_null(strstr(w->head, "Accept-Encoding: gzip\r\n"));
	assert_non_null(strstr(w->head,
	    "X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n"));
}

static void
test_vanished_and_failed(void **state)
{
	const struct stored *s;

	(void)state;
	set_body("a 1\nb 1\n");
	configure(NULL, true);
	scrape_run(&w->s);
	run_batches(1);
	set_body("a 1\n");
	run_batches(2);
	assert_true(is_stale_nan(last("b{" TARGET "}", w->port)->v));
	assert_false(is_stale_nan(last("a{" TARGET "}", w->port)->v));
	w->status = "500 Oops";
	run_batches(2);
	s = last("a{" TARGET "}", w->port);
	assert_true(is_stale_nan(s->v));
	assert_true(report("up")->v == 0);
	assert_string_equal(w->s.pools[0]->loops[0]->last_err.text,
	    "server returned HTTP status 500 Oops");
	w->status = "200 OK";
	set_body("c 1\na 1\nb 1\n");
	run_batches(2);
	set_body("a 1\nbad{\nb 1\n");
	run_batches(2);
	/* what stands before the error has not vanished, the rest has */
	assert_true(last("a{" TARGET "}", w->port)->v == 1);
	assert_true(is_stale_nan(last("b{" TARGET "}", w->port)->v));
	assert_true(is_stale_nan(last("c{" TARGET "}", w->port)->v));
	assert_true(report("up")->v == 0);
	assert_true(report("scrape_samples_scraped")->v == 1);
	w->type = "text/html";
	run_batches(2);
	assert_string_equal(w->s.pools[0]->loops[0]->last_err.text,
	    "received unsupported Content-Type \"text/html\" and no "
	    "fallback_scrape_protocol specified for target");
	w->type = "text/plain";
	set_body("a 2\n");
	run_batches(2);
	assert_true(last("a{" TARGET "}", w->port)->v == 2);
	assert_true(report("up")->v == 1);
}

static void
limit_samples(struct scrape_conf *c)
{
	c->sample_limit = 2;
	c->extra_scrape_metrics = true;
}

static void
limit_labels(struct scrape_conf *c)
{
	c->label_limit = 3;
}

static void
test_limits(void **state)
{
	struct loop *l;

	(void)state;
	set_body("a 1\nb 1\n");
	configure(limit_samples, true);
	scrape_run(&w->s);
	run_batches(2);
	assert_true(report("up")->v == 1);
	assert_true(report("scrape_sample_limit")->v == 2);
	set_body("a 1\nb 1\nc 1\n");
	run_batches(2);
	assert_true(report("up")->v == 0);
	assert_true(report("scrape_samples_scraped")->v == 3);
	assert_true(report("scrape_samples_post_metric_relabeling")->v == 3);
	assert_null(last("c{" TARGET "}", w->port));
	/* it was read before the limit struck: the reference marks it not */
	assert_true(last("a{" TARGET "}", w->port)->v == 1);
	assert_string_equal(w->s.pools[0]->loops[0]->last_err.text,
	    "sample limit exceeded");
	configure(limit_labels, true);
	set_body("a{x=\"1\"} 1\n");
	run_batches(3);
	l = w->s.pools[0]->loops[0];
	assert_string_equal(l->last_err.text, "label_limit exceeded (metric: "
	    "a, number of labels: 4, limit: 3)");
}

static void
drop_b(struct scrape_conf *c)
{
	struct relabel_spec spec = relabel_spec_default();
	struct str source = STR_LIT("__name__");
	struct err err = ERR_INIT;

	spec.action = RELABEL_DROP;
	spec.source_labels = &source;
	spec.n_source_labels = 1;
	spec.has_source_labels = true;
	spec.regex = STR_LIT("b");
	assert_int_equal(relabel_rules_add(&c->metric_relabel, &spec, &err),
	    0);
}

static void
other_interval(struct scrape_conf *c)
{
	c->interval_ms = 50;
	c->timeout_ms = 50;
}

static void
test_reload(void **state)
{
	struct loop *l;

	(void)state;
	set_body("a 1\nb 1\n");
	configure(NULL, true);
	scrape_run(&w->s);
	run_batches(2);
	/* nothing changed: the loop and its cache go on */
	l = w->s.pools[0]->loops[0];
	configure(NULL, true);
	assert_ptr_equal(w->s.pools[0]->loops[0], l);
	run_batches(1);
	assert_true(report("scrape_series_added")->v == 0);
	/* another interval is another target, as its label differs */
	configure(other_interval, true);
	run_batches(4);
	wait_for("a{" TARGET "}", 1);
	/* what relabelling now drops gets its marker after two intervals */
	configure(drop_b, true);
	wait_for("b{" TARGET "}", NAN);
	wait_for("scrape_samples_post_metric_relabeling{" TARGET "}", 1);
}

static void
test_target_removed(void **state)
{
	int64_t seen;

	(void)state;
	set_body("a 1\n");
	configure(NULL, true);
	scrape_run(&w->s);
	run_batches(2);
	seen = report("up")->t_ms;
	configure(NULL, false);
	run_ms(400);
	assert_true(is_stale_nan(last("a{" TARGET "}", w->port)->v));
	assert_true(is_stale_nan(report("up")->v));
	/* stamped with the time of the scrape that was next */
	assert_true(report("up")->t_ms > seen + 50);
	assert_true(report("up")->t_ms < seen + 150);
	assert_null(w->s.ending);
	assert_true(w->n_forgotten > 5);
}

static void
test_storage_away(void **state)
{
	int n;

	(void)state;
	set_body("a 1\n");
	configure(NULL, true);
	scrape_run(&w->s);
	run_batches(2);
	w->mute = true;		/* these will not be acknowledged */
	run_batches(2);
	storage_down();
	n = w->n_requests;
	for (int i = 0; i < 1000 && (w->n_requests < n + 3 ||
	    w->s.appender.n_pending < 5); i++)
		run_ms(10);
	assert_true(w->n_requests >= n + 3);
	assert_true(w->s.appender.n_pending >= 5);
	w->mute = false;
	n = (int)w->s.appender.n_pending;
	storage_up();
	run_batches(n + 1);
	assert_true(w->n_resent >= n);
	assert_int_equal(w->s.appender.n_pending, 0);
	/* stuck: scrapes are skipped and counted */
	storage_down();
	w->s.opt.max_pending_bytes = 1;
	for (int i = 0; i < 1000 &&
	    metrics_value(w->s.m.skipped_stuck) < 1; i++)
		run_ms(10);
	assert_true(metrics_value(w->s.m.skipped_stuck) >= 1);
	assert_true(w->s.appender.n_pending <= 1);
}

static void
test_duplicates_and_future(void **state)
{
	char body[256];

	(void)state;
	snprintf(body, sizeof(body), "a 1\na 2\nb 1 %lld\n",
	    (long long)wall_now_ms() + 3600 * 1000);
	set_body(body);
	configure(NULL, true);
	scrape_run(&w->s);
	run_batches(1);
	assert_true(last("a{" TARGET "}", w->port)->v == 1);
	assert_null(last("b{" TARGET "}", w->port));
	assert_true(report("up")->v == 1);
	assert_true(report("scrape_samples_post_metric_relabeling")->v == 3);
	assert_true(metrics_value(w->s.m.duplicate) == 1);
	assert_true(metrics_value(w->s.m.out_of_bounds) == 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scrape, begin, end),
		cmocka_unit_test_setup_teardown(test_vanished_and_failed,
		    begin, end),
		cmocka_unit_test_setup_teardown(test_limits, begin, end),
		cmocka_unit_test_setup_teardown(test_reload, begin, end),
		cmocka_unit_test_setup_teardown(test_target_removed, begin,
		    end),
		cmocka_unit_test_setup_teardown(test_storage_away, begin, end),
		cmocka_unit_test_setup_teardown(test_duplicates_and_future,
		    begin, end),
	};

	signal(SIGPIPE, SIG_IGN);
	http_client_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
