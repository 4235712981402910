/* SPDX-License-Identifier: ISC */
/*
 * A job's targets. A reload makes a plan beside the pool (target list,
 * shard, keys that tell what changed); applying it merges two lists sorted
 * by target hash: new targets get a loop, known ones go on, the rest ends.
 */

#define LOG_COMPONENT "scrape manager"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/vec.h"
#include "workers/scrape/scrape.h"

/* The system's trusted roots, where Debian's ca-certificates puts them. */
#define SYSTEM_ROOTS	"/etc/ssl/certs/ca-certificates.crt"

/* --- plans --- */

/* Hash of the job without what does not change label sets. */
static uint64_t
cache_key(const struct scrape_conf *conf)
{
	struct scrape_conf bare = *conf;
	struct scrape_confs one = { .jobs = &bare, .n_jobs = 1 };
	struct buf b;
	uint64_t h;

	bare.interval_ms = bare.timeout_ms = 0;
	bare.sample_limit = 0;
	bare.n_groups = 0;
	http_conf_init(&bare.http);
	buf_init(&b, 0);
	scrape_confs_encode(&one, &b);
	h = hash_xxh64(b.p, b.n);
	buf_clear(&b);
	return h;
}

static uint64_t
http_key(const struct scrape_conf *conf)
{
	struct buf b;
	uint64_t h;

	buf_init(&b, 0);
	http_conf_encode(&conf->http, &b);
	h = hash_xxh64(b.p, b.n);
	if (b.p != NULL)
		explicit_bzero(b.p, b.n);
	buf_clear(&b);
	return h;
}

static void
plan_add_dropped(struct scrape *s, struct pool_plan *plan,
    struct labels discovered)
{
	uint64_t keep = plan->conf->keep_dropped_targets;

	/* each is counted by one worker */
	if (labels_hash(discovered) % s->opt.n_instances != s->opt.instance)
		return;
	plan->dropped_total++;
	if (keep != 0 && plan->n_dropped >= keep)
		return;
	if (vec_grow(&plan->dropped, &plan->cap_dropped, plan->n_dropped + 1,
	    sizeof(*plan->dropped)) == -1)
		fatal("out of memory for targets");
	plan->dropped[plan->n_dropped++] = discovered;
}

static void
plan_add(struct scrape *s, struct pool_plan *plan, struct str address,
    const struct target_group *group, size_t index)
{
	struct err err = ERR_INIT;
	struct labels discovered;
	struct target *t;

	if (target_new(plan->conf, address, group, &t, &plan->dropped_arena,
	    &discovered, &err) == -1) {
		err_wrap(&err, "instance %zu in group %.*s", index,
		    STR_ARG(group->source));
		log_error("Creating target failed",
		    F_STRN("scrape_pool", plan->conf->job_name), F_ERR(&err));
		plan->n_failed++;
		return;
	}
	if (t == NULL) {
		plan_add_dropped(s, plan, discovered);
		return;
	}
	if (vec_grow(&plan->targets, &plan->cap, plan->n + 1,
	    sizeof(struct target *)) == -1)
		fatal("out of memory for targets");
	plan->targets[plan->n++] = t;
}

static int
by_hash(const void *a, const void *b)
{
	const struct target *x, *y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Sorts, drops duplicates, keeps this worker's share. */
static void
plan_shard(struct scrape *s, struct pool_plan *plan)
{
	uint64_t last = 0;
	size_t n = 0;

	if (plan->n > 0)
		qsort(plan->targets, plan->n, sizeof(struct target *),
		    by_hash);
	for (size_t i = 0; i < plan->n; i++) {
		struct target *t = plan->targets[i];

		if (plan->n_all > 0 && t->hash == last) {
			target_free(t);
			continue;
		}
		plan->n_all++;
		last = t->hash;
		if (t->hash % s->opt.n_instances != s->opt.instance) {
			target_free(t);
			continue;
		}
		plan->wants_roots |= str_has_prefix(t->url,
		    STR_LIT("https:"));
		plan->targets[n++] = t;
	}
	plan->n = n;
}

static void
want_file(struct scrape *s, struct str path)
{
	if (path.n != 0)
		(void)files_get(s, path);
}

/* Starts reading what scrapes will need. */
static void
plan_want_files(struct scrape *s, const struct pool_plan *plan)
{
	const struct http_conf *h = &plan->conf->http;

	want_file(s, h->username_file);
	want_file(s, h->password_file);
	want_file(s, h->credentials_file);
	want_file(s, h->tls.ca_file);
	want_file(s, h->tls.cert_file);
	want_file(s, h->tls.key_file);
	for (size_t i = 0; i < h->n_headers; i++)
		for (size_t k = 0; k < h->headers[i].files.n; k++)
			want_file(s, h->headers[i].files.s[k]);
	if (plan->wants_roots && h->tls.ca.n == 0 && h->tls.ca_file.n == 0)
		want_file(s, STR_LIT(SYSTEM_ROOTS));
}

/* Settings that are read and checked, and change nothing yet. */
static void
warn_without_effect(const struct scrape_conf *conf)
{
	const struct {
		bool		 set;
		const char	*field;
	} fields[] = {
		{ conf->failure_log_file.n != 0, "scrape_failure_log_file" },
		{ conf->scrape_native_histograms,
		    "scrape_native_histograms" },
		{ conf->convert_classic_histograms_to_nhcb,
		    "convert_classic_histograms_to_nhcb" },
		{ conf->http.auth == HTTP_AUTH_OAUTH2, "oauth2" },
		{ conf->http.proxy.url.n != 0 ||
		    conf->http.proxy.from_environment, "proxy_url" }
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].set)
			log_warn("A setting of a scrape job has no effect yet",
			    F_STRN("scrape_pool", conf->job_name),
			    F_STR("field", fields[i].field));
}

void
pool_plan_make(struct scrape *s, struct scrape_conf *conf,
    struct pool_plan *plan)
{
	mono_time start = mono_now();

	memset(plan, 0, sizeof(*plan));
	plan->conf = conf;
	if (s->opt.instance == 0)
		warn_without_effect(conf);
	arena_init(&plan->dropped_arena, 0);
	for (size_t i = 0; i < conf->n_groups; i++)
		for (size_t k = 0; k < conf->groups[i].targets.n; k++)
			plan_add(s, plan, conf->groups[i].targets.s[k],
			    &conf->groups[i], k);
	plan_shard(s, plan);
	plan->http_key = http_key(conf);
	plan->cache_key = cache_key(conf);
	plan_want_files(s, plan);
	plan->took_ns = mono_sub_ns(mono_now(), start);
}

void
pool_plan_clear(struct pool_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		target_free(plan->targets[i]);
	free(plan->targets);
	free(plan->dropped);
	arena_clear(&plan->dropped_arena);
	memset(plan, 0, sizeof(*plan));
}

/* --- the HTTP client --- */

/* Text of a setting that stands in the configuration or in a file. */
static int
tls_text(struct scrape *s, struct str text, struct str file,
    const char *what, struct str *out, uint64_t *versions, struct err *err)
{
	struct file_text *f;

	*out = text;
	if (file.n == 0)
		return 0;
	f = files_get(s, file);
	files_refresh(f);
	*versions += f->version;
	if (f->err.kind != ERR_NONE) {
		*err = f->err;
		return err_wrap(err, "unable to read %s", what);
	}
	*out = secret_reveal(&f->text);
	return 0;
}

/* Sum of the files' versions: it rises when one of them changes. */
static int
client_conf(struct scrape *s, const struct http_conf *h, bool wants_roots,
    struct http_client_conf *out, uint64_t *versions, struct err *err)
{
	struct err ignored = ERR_INIT;

	*versions = 0;
	memset(out, 0, sizeof(*out));
	if (h->tls.has_ref)
		return err_set(err, ERR_BAD_DATA,
		    "cannot use secret ref without manager");
	if (tls_text(s, h->tls.ca, h->tls.ca_file, "CA cert", &out->ca_pem,
	    versions, err) == -1 ||
	    tls_text(s, h->tls.cert, h->tls.cert_file, "client cert",
	    &out->cert_pem, versions, err) == -1 ||
	    tls_text(s, secret_reveal(&h->tls.key), h->tls.key_file,
	    "client key", &out->key_pem, versions, err) == -1)
		return -1;
	/* without a bundle no https server is trusted: it says so */
	if (wants_roots && out->ca_pem.n == 0 && tls_text(s, STR_EMPTY,
	    STR_LIT(SYSTEM_ROOTS), "roots", &out->ca_pem, versions,
	    &ignored) == -1)
		log_warn("The system's CA certificates cannot be read",
		    F_ERR(&ignored));
	out->server_name = h->tls.server_name;
	out->insecure = h->tls.insecure_skip_verify;
	out->tls_min = (int)h->tls.min_version;
	out->tls_max = (int)h->tls.max_version;
	out->follow_redirects = h->follow_redirects;
	return 0;
}

int
pool_plan_check(struct scrape *s, const struct pool_plan *plan,
    struct err *err)
{
	struct http_client_conf conf;
	struct http_client *c;
	uint64_t versions;

	if (client_conf(s, &plan->conf->http, plan->wants_roots, &conf,
	    &versions, err) == -1)
		goto fail;
	if (conf.ca_pem.n == 0 && conf.cert_pem.n == 0)
		return 0;
	if ((c = http_client_new(s->http, &conf, err)) == NULL)
		goto fail;
	http_client_free(c);
	return 0;
fail:
	return err_wrap(err, "error creating HTTP client for scrape pool %.*s",
	    STR_ARG(plan->conf->job_name));
}

struct http_client *
pool_client(struct pool *p)
{
	struct http_client_conf conf;
	struct http_client *c;
	uint64_t versions;

	p->client_err = (struct err)ERR_INIT;
	if (p->conf->http.proxy.url.n != 0 ||
	    p->conf->http.proxy.from_environment) {
		err_set(&p->client_err, ERR_UNAVAILABLE,
		    "proxies are not supported for scraping yet");
		return NULL;
	}
	if (client_conf(p->s, &p->conf->http, p->wants_roots, &conf,
	    &versions, &p->client_err) == -1)
		return NULL;
	if (p->client != NULL && versions == p->client_files)
		return p->client;
	if ((c = http_client_new(p->s->http, &conf, &p->client_err)) == NULL)
		return NULL;
	http_client_retire(p->client);
	p->client = c;
	p->client_files = versions;
	return c;
}

/* --- pools --- */

static char *
job_label(const struct pool *p)
{
	struct buf b;

	buf_init(&b, 0);
	metrics_label(&b, "scrape_job", p->conf->job_name);
	buf_add_byte(&b, 0);
	if (buf_failed(&b))
		fatal("out of memory for a pool");
	return b.p;
}

static void
open_metrics(struct pool *p)
{
	struct metrics *m = p->s->metrics;
	char *job = job_label(p);

	p->m.sync_total = metrics_get(m, METRIC_POOL_SYNCS, job);
	p->m.sync_failed = metrics_get(m, METRIC_TARGET_SYNC_FAILED, job);
	p->m.targets = metrics_get(m, METRIC_POOL_TARGETS, job);
	p->m.target_limit = metrics_get(m, METRIC_POOL_TARGET_LIMIT, job);
	p->m.metadata_entries = metrics_get(m,
	    METRIC_TARGET_METADATA_ENTRIES, job);
	p->m.metadata_bytes = metrics_get(m, METRIC_TARGET_METADATA_BYTES,
	    job);
	p->m.sync_length = metrics_summary(m, METRIC_TARGET_SYNC_LENGTH, job);
	free(job);
}

static void
drop_metrics(struct pool *p)
{
	static const enum metrics_family families[] = {
		METRIC_POOL_SYNCS, METRIC_TARGET_SYNC_FAILED,
		METRIC_POOL_TARGETS, METRIC_POOL_TARGET_LIMIT,
		METRIC_TARGET_METADATA_ENTRIES, METRIC_TARGET_METADATA_BYTES,
		METRIC_TARGET_SYNC_LENGTH
	};
	char *job = job_label(p);

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		metrics_drop(p->s->metrics, families[i], job);
	free(job);
}

/* The two sorted lists become one; targets are taken out of the plan. */
static void
merge(struct pool *p, struct pool_plan *plan, bool keep_caches)
{
	struct loop **next = xcalloc(plan->n + 1, sizeof(struct loop *));
	size_t i = 0, k;

	for (k = 0; k < plan->n; k++) {
		struct target *t = plan->targets[k];

		while (i < p->n_loops && p->loops[i]->target->hash < t->hash)
			loop_end(p->loops[i++], false);
		if (i < p->n_loops && p->loops[i]->target->hash == t->hash) {
			if (keep_caches) {
				next[k] = p->loops[i++];
				loop_update(next[k], t);
				continue;
			}
			loop_end(p->loops[i++], false);
		}
		next[k] = loop_new(p, t);
	}
	while (i < p->n_loops)
		loop_end(p->loops[i++], false);
	free(p->loops);
	p->loops = next;
	p->n_loops = plan->n;
	plan->n = 0;
}

static void
take_dropped(struct pool *p, struct pool_plan *plan)
{
	arena_clear(&p->dropped_arena);
	free(p->dropped);
	p->dropped_arena = plan->dropped_arena;
	p->dropped = plan->dropped;
	p->n_dropped = plan->n_dropped;
	p->dropped_total = plan->dropped_total;
	arena_init(&plan->dropped_arena, 0);
	plan->dropped = NULL;
}

static void
check_target_limit(struct pool *p, size_t n_all)
{
	p->limit_err = (struct err)ERR_INIT;
	if (p->conf->target_limit == 0 || n_all <= p->conf->target_limit)
		return;
	metrics_inc(p->s->m.target_limit_hit);
	err_set(&p->limit_err, ERR_LIMIT, "target_limit exceeded (number of "
	    "targets: %zu, limit: %llu)", n_all,
	    (unsigned long long)p->conf->target_limit);
}

void
pool_apply(struct pool *p, struct pool_plan *plan)
{
	mono_time start = mono_now();
	bool keep = plan->cache_key == p->cache_key;

	p->conf = plan->conf;
	free(p->accept);
	p->accept = fetch_accept_header(p->conf);
	if (plan->http_key != p->http_key) {
		/* what is under way ends with the settings it began with */
		http_client_retire(p->client);
		p->client = NULL;
	}
	p->wants_roots |= plan->wants_roots;
	p->http_key = plan->http_key;
	p->cache_key = plan->cache_key;
	merge(p, plan, keep);
	take_dropped(p, plan);
	check_target_limit(p, plan->n_all);
	metrics_inc(p->m.sync_total);
	metrics_add(p->m.sync_failed, (double)plan->n_failed);
	metrics_set(p->m.targets, (double)p->n_loops);
	metrics_set(p->m.target_limit, p->s->opt.instance == 0 ?
	    (double)p->conf->target_limit : 0);
	metrics_summary_observe(p->m.sync_length, (double)(plan->took_ns +
	    mono_sub_ns(mono_now(), start)) / 1e9);
}

struct pool *
pool_new(struct scrape *s, struct pool_plan *plan)
{
	struct pool *p = xcalloc(1, sizeof(*p));

	p->s = s;
	p->conf = plan->conf;
	arena_init(&p->dropped_arena, 0);
	p->http_key = plan->http_key;
	p->cache_key = plan->cache_key;
	open_metrics(p);
	metrics_inc(s->m.pools);
	pool_apply(p, plan);
	return p;
}

void
pool_free(struct pool *p, bool at_once)
{
	for (size_t i = 0; i < p->n_loops; i++)
		loop_end(p->loops[i], at_once);
	drop_metrics(p);
	http_client_free(p->client);
	arena_clear(&p->dropped_arena);
	free(p->loops);
	free(p->dropped);
	free(p->accept);
	free(p);
}
