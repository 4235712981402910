/* SPDX-License-Identifier: ISC */
/*
 * One job: its settings, its HTTP client, its loops. A new configuration is
 * planned beside the old (pool_plan_make: everything that can fail) and then
 * applied, which cannot fail: both lists of targets are sorted by hash, one
 * walk tells which go on, which come and which go.
 */

#define LOG_COMPONENT "scrape manager"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

#define SYSTEM_CA	"/etc/ssl/certs/ca-certificates.crt"

/* --- plans --- */

static void
plan_drop(struct pool_plan *plan, const struct scrape_conf *conf,
    struct labels discovered)
{
	plan->dropped_total++;
	if (conf->keep_dropped_targets != 0 &&
	    plan->n_dropped >= conf->keep_dropped_targets)
		return;
	if (vec_grow(&plan->dropped, &plan->cap_dropped, plan->n_dropped + 1,
	    sizeof(*plan->dropped)) == -1)
		fatal("out of memory for dropped targets");
	plan->dropped[plan->n_dropped++] = discovered;
}

static bool
is_ours(const struct scrape *s, uint64_t hash)
{
	return s->opt.n_instances < 2 ||
	    hash % s->opt.n_instances == s->opt.instance;
}

static void
plan_address(struct scrape *s, struct pool_plan *plan,
    const struct target_group *g, struct str address)
{
	struct labels discovered = { NULL, 0 };
	struct err e = ERR_INIT;
	struct target *t;

	if (target_new(plan->conf, address, g, &t, &plan->dropped_arena,
	    &discovered, &e) == -1) {
		plan->n_failed++;
		/* one worker tells, not each of them */
		if (s->opt.instance == 0)
			log_error("Creating target failed",
			    F_STRN("scrape_pool", plan->conf->job_name),
			    F_STRN("address", address), F_ERR(&e));
		return;
	}
	if (t == NULL) {
		if (is_ours(s, labels_hash(discovered)))
			plan_drop(plan, plan->conf, discovered);
		return;
	}
	plan->n_all++;
	if (!is_ours(s, t->hash)) {
		target_free(t);
		return;
	}
	if (vec_grow(&plan->targets, &plan->cap, plan->n + 1,
	    sizeof(*plan->targets)) == -1)
		fatal("out of memory for targets");
	plan->targets[plan->n++] = t;
}

static int
by_hash(const void *a, const void *b)
{
	const struct target *x = *(struct target *const *)a;
	const struct target *y = *(struct target *const *)b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Equal labels and URL: one target. */
static void
plan_unique(struct pool_plan *plan)
{
	size_t i, n = 0;

	if (plan->n > 1)
		qsort(plan->targets, plan->n, sizeof(*plan->targets), by_hash);
	for (i = 0; i < plan->n; i++) {
		if (n > 0 && plan->targets[n - 1]->hash ==
		    plan->targets[i]->hash) {
			target_free(plan->targets[i]);
			plan->n_all--;
		} else
			plan->targets[n++] = plan->targets[i];
	}
	plan->n = n;
}

int
pool_plan_make(struct scrape *s, struct scrape_conf *conf,
    struct pool_plan *plan, struct err *err)
{
	bool https = false;
	size_t i, k;

	(void)err;
	memset(plan, 0, sizeof(*plan));
	plan->conf = conf;
	arena_init(&plan->dropped_arena, 0);
	for (i = 0; i < conf->n_groups; i++)
		for (k = 0; k < conf->groups[i].targets.n; k++)
			plan_address(s, plan, &conf->groups[i],
			    conf->groups[i].targets.s[k]);
	plan_unique(plan);
	for (i = 0; i < plan->n && !https; i++)
		https = str_has_prefix(plan->targets[i]->url,
		    STR_LIT("https:"));
	/* a client without https needs no roots: another client */
	plan->http_key = conf->key ^ (https ? 1 : 0);
	plan->cache_key = conf->key;
	return 0;
}

void
pool_plan_clear(struct pool_plan *plan)
{
	size_t i;

	for (i = 0; i < plan->n; i++)
		target_free(plan->targets[i]);
	free(plan->targets);
	free(plan->dropped);
	arena_clear(&plan->dropped_arena);
	memset(plan, 0, sizeof(*plan));
}

/* --- the client --- */

static bool
has_https(const struct pool *p)
{
	size_t i;

	for (i = 0; i < p->n_loops; i++)
		if (str_has_prefix(p->loops[i]->target->url,
		    STR_LIT("https:")))
			return true;
	return false;
}

/* The text of a file; NULL-pointer string while it cannot be used. */
static struct str
file_pem(struct pool *p, struct file_text *f, const char *what)
{
	if (f->read_ns == 0) {
		err_set(&p->client_err, ERR_UNAVAILABLE,
		    "unable to load specified %s %s: not read yet", what,
		    f->path);
		return str_from(NULL, 0);
	}
	if (f->err.kind != ERR_NONE) {
		p->client_err = f->err;
		err_wrap(&p->client_err, "unable to load specified %s", what);
		return str_from(NULL, 0);
	}
	f->changed = false;
	return secret_reveal(&f->text);
}

static int
client_tls(struct pool *p, struct http_client_conf *c)
{
	const struct tls_conf *t = &p->conf->http.tls;

	if (t->has_ref)
		return err_set(&p->client_err, ERR_BAD_DATA,
		    "cannot use secret ref without manager");
	c->ca_pem = t->ca;
	c->cert_pem = t->cert;
	c->key_pem = secret_reveal(&t->key);
	if (p->ca != NULL &&
	    (c->ca_pem = file_pem(p, p->ca, "CA cert")).p == NULL)
		return -1;
	if (p->cert != NULL && (c->cert_pem = file_pem(p, p->cert,
	    "client cert")).p == NULL)
		return -1;
	if (p->key != NULL && (c->key_pem = file_pem(p, p->key,
	    "client key")).p == NULL)
		return -1;
	c->server_name = t->server_name;
	c->insecure = t->insecure_skip_verify;
	c->tls_min = (int)t->min_version;
	c->tls_max = (int)t->max_version;
	return 0;
}

/* Which files the client is made of. */
static void
client_files(struct pool *p)
{
	const struct tls_conf *t = &p->conf->http.tls;

	p->ca = p->cert = p->key = NULL;
	if (t->ca_file.n != 0)
		p->ca = files_get(p->s, t->ca_file);
	else if (t->ca.n == 0 && !t->insecure_skip_verify && has_https(p))
		p->ca = files_get(p->s, STR_LIT(SYSTEM_CA));
	if (t->cert_file.n != 0)
		p->cert = files_get(p->s, t->cert_file);
	if (t->key_file.n != 0)
		p->key = files_get(p->s, t->key_file);
}

/*
 * Ends the client; loops that were asking ask again, so that a new
 * certificate or setting costs no scrape.
 */
static void
drop_client(struct pool *p, bool ask_again)
{
	struct http_client *old = p->client;
	size_t i;

	if (old == NULL)
		return;
	p->client = NULL;
	for (i = 0; i < p->n_loops; i++) {
		struct loop *l = p->loops[i];

		if (l->fetch == NULL)
			continue;
		fetch_cancel(l);
		if (ask_again)
			loop_ask_again(l);
	}
	http_client_free(old);
}

static bool
files_changed(struct pool *p)
{
	struct file_text *all[] = { p->ca, p->cert, p->key };
	bool changed = false;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i] == NULL)
			continue;
		files_refresh(p->s, all[i]);
		changed |= all[i]->changed;
	}
	return changed;
}

struct http_client *
pool_client(struct pool *p)
{
	struct http_client_conf c = { .follow_redirects =
	    p->conf->http.follow_redirects };

	if (files_changed(p))
		drop_client(p, true);
	if (p->client != NULL)
		return p->client;
	if (p->conf->http.proxy.url.n != 0 ||
	    p->conf->http.proxy.from_environment) {
		err_set(&p->client_err, ERR_UNAVAILABLE,
		    "proxies are not supported for scraping yet");
		return NULL;
	}
	client_files(p);
	if (client_tls(p, &c) == 0)
		p->client = http_client_new(p->s->http, &c, &p->client_err);
	return p->client;
}

/* --- metrics --- */

static char *
job_label(const struct pool *p)
{
	struct buf b;

	buf_init(&b, 0);
	metrics_label(&b, "scrape_job", p->conf->job_name);
	buf_add_byte(&b, 0);
	if (buf_failed(&b))
		fatal("out of memory");
	return b.p;
}

static void
open_metrics(struct pool *p)
{
	struct metrics *m = p->s->metrics;
	char *label = job_label(p);

	p->m.sync_total = metrics_get(m, METRIC_POOL_SYNCS, label);
	p->m.sync_failed = metrics_get(m, METRIC_TARGET_SYNC_FAILED, label);
	p->m.targets = metrics_get(m, METRIC_POOL_TARGETS, label);
	p->m.target_limit = metrics_get(m, METRIC_POOL_TARGET_LIMIT, label);
	p->m.metadata_entries = metrics_get(m, METRIC_TARGET_METADATA_ENTRIES,
	    label);
	p->m.metadata_bytes = metrics_get(m, METRIC_TARGET_METADATA_BYTES,
	    label);
	p->m.sync_length = metrics_summary(m, METRIC_TARGET_SYNC_LENGTH,
	    label);
	free(label);
}

static void
drop_metrics(struct pool *p)
{
	static const enum metrics_family all[] = { METRIC_POOL_SYNCS,
	    METRIC_TARGET_SYNC_FAILED, METRIC_POOL_TARGETS,
	    METRIC_POOL_TARGET_LIMIT, METRIC_TARGET_METADATA_ENTRIES,
	    METRIC_TARGET_METADATA_BYTES, METRIC_TARGET_SYNC_LENGTH };
	char *label = job_label(p);
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		metrics_drop(p->s->metrics, all[i], label);
	free(label);
}

/* --- pools --- */

/* Takes over what the plan holds but its targets. */
static void
take_plan(struct pool *p, struct pool_plan *plan)
{
	p->conf = plan->conf;
	p->cache_key = plan->cache_key;
	p->http_key = plan->http_key;
	arena_clear(&p->dropped_arena);
	free(p->dropped);
	p->dropped_arena = plan->dropped_arena;
	p->dropped = plan->dropped;
	p->n_dropped = plan->n_dropped;
	p->dropped_total = plan->dropped_total;
	plan->dropped = NULL;
	arena_init(&plan->dropped_arena, 0);
	free(p->accept);
	p->accept = fetch_accept_header(p->conf);
	p->limit_err.kind = ERR_NONE;
	if (p->conf->target_limit != 0 &&
	    plan->n_all > p->conf->target_limit) {
		err_set(&p->limit_err, ERR_LIMIT, "target_limit exceeded "
		    "(number of targets: %zu, limit: %llu)", plan->n_all,
		    (unsigned long long)p->conf->target_limit);
		metrics_inc(p->s->m.target_limit_hit);
	}
	metrics_set(p->m.target_limit, (double)p->conf->target_limit);
	metrics_add(p->m.sync_failed, (double)plan->n_failed);
	metrics_inc(p->m.sync_total);
}

/* A target that is new here; one that is just ending goes on instead. */
static struct loop *
adopt(struct pool *p, struct target *t)
{
	struct loop *l = loop_revive(p, t);

	if (l == NULL)
		l = loop_new(p, t);
	if (p->s->running)
		loop_start(l);
	return l;
}

/* One walk over both sorted lists. */
static void
sync_targets(struct pool *p, struct pool_plan *plan)
{
	struct loop **now = xcalloc(plan->n, sizeof(*now)), **old = p->loops;
	size_t i, k = 0, n_old = p->n_loops;

	/* what goes must not hold the place of what comes */
	p->loops = now;
	p->n_loops = 0;
	for (i = 0; i < plan->n; i++) {
		struct target *t = plan->targets[i];

		for (; k < n_old && old[k]->target->hash < t->hash; k++)
			loop_end(old[k], false);
		if (k < n_old && old[k]->target->hash == t->hash) {
			now[i] = old[k++];
			loop_update(now[i], t);
		} else
			now[i] = adopt(p, t);
		p->n_loops = i + 1;
	}
	for (; k < n_old; k++)
		loop_end(old[k], false);
	free(old);
	plan->n = 0;
	metrics_set(p->m.targets, (double)p->n_loops);
}

struct pool *
pool_new(struct scrape *s, struct pool_plan *plan)
{
	struct pool *p = xcalloc(1, sizeof(*p));
	int64_t began = mono_now().ns;

	p->s = s;
	p->conf = plan->conf;
	arena_init(&p->dropped_arena, 0);
	open_metrics(p);
	take_plan(p, plan);
	sync_targets(p, plan);
	metrics_inc(s->m.pools);
	metrics_summary_observe(p->m.sync_length,
	    (double)(mono_now().ns - began) / 1e9);
	return p;
}

void
pool_apply(struct pool *p, struct pool_plan *plan)
{
	bool new_client = p->http_key != plan->http_key;
	bool new_cache = p->cache_key != plan->cache_key;
	int64_t began = mono_now().ns;
	size_t i;

	if (new_cache) {
		/* other relabelling: lines mean other series now */
		for (i = 0; i < p->n_loops; i++)
			loop_forget_lines(p->loops[i]);
		metrics_inc(p->s->m.reloads);
	}
	take_plan(p, plan);
	sync_targets(p, plan);
	if (new_client)
		drop_client(p, true);
	metrics_summary_observe(p->m.sync_length,
	    (double)(mono_now().ns - began) / 1e9);
}

void
pool_free(struct pool *p, bool at_once)
{
	size_t i;

	for (i = 0; i < p->n_loops; i++)
		loop_end(p->loops[i], at_once);
	p->n_loops = 0;
	drop_client(p, false);
	drop_metrics(p);
	free(p->loops);
	free(p->dropped);
	arena_clear(&p->dropped_arena);
	free(p->accept);
	free(p);
}
