/* SPDX-License-Identifier: ISC */
/*
 * The scrape workers' configuration as memory and as bytes. A job is encoded
 * in two parts, settings and target groups, each with its length, so that
 * their hashes can be taken over the bytes:
 *
 *	magic, version, external labels, n, n × { name, settings, groups }
 */

#include "common/config/blob/scrape_conf.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/wire.h"

#define BLOB_MAGIC	0x46435242U	/* "BRCF" */
#define BLOB_VERSION	1

/* --- memory --- */

void
scrape_conf_init(struct scrape_conf *c)
{
	*c = (struct scrape_conf){ .honor_timestamps = true };
	http_conf_init(&c->http);
	relabel_rules_init(&c->relabel);
	relabel_rules_init(&c->metric_relabel);
}

static void
labels_free(struct label *l, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		conf_str_clear(&l[i].name);
		conf_str_clear(&l[i].value);
	}
	free(l);
}

void
scrape_conf_clear(struct scrape_conf *c)
{
	size_t i;

	conf_str_clear(&c->job_name);
	conf_str_clear(&c->metrics_path);
	conf_str_clear(&c->scheme);
	conf_str_clear(&c->failure_log_file);
	for (i = 0; i < c->n_params; i++) {
		conf_str_clear(&c->params[i].name);
		conf_list_clear(&c->params[i].values);
	}
	free(c->params);
	http_conf_clear(&c->http);
	relabel_rules_clear(&c->relabel);
	relabel_rules_clear(&c->metric_relabel);
	for (i = 0; i < c->n_groups; i++) {
		conf_list_clear(&c->groups[i].targets);
		labels_free(c->groups[i].labels, c->groups[i].n_labels);
		conf_str_clear(&c->groups[i].source);
	}
	free(c->groups);
	scrape_conf_init(c);
}

void
scrape_confs_init(struct scrape_confs *cs)
{
	*cs = (struct scrape_confs){ 0 };
}

void
scrape_confs_clear(struct scrape_confs *cs)
{
	size_t i;

	for (i = 0; i < cs->n_jobs; i++)
		scrape_conf_clear(&cs->jobs[i]);
	free(cs->jobs);
	labels_free(cs->external_labels, cs->n_external_labels);
	scrape_confs_init(cs);
}

/* --- bytes out --- */

static void
labels_encode(const struct label *l, size_t n, struct buf *out)
{
	size_t i;

	wire_put_u32(out, (uint32_t)n);
	for (i = 0; i < n; i++) {
		wire_put_str(out, l[i].name);
		wire_put_str(out, l[i].value);
	}
}

static void
flags_encode(const struct scrape_conf *c, struct buf *out)
{
	wire_put_bool(out, c->honor_labels);
	wire_put_bool(out, c->honor_timestamps);
	wire_put_bool(out, c->track_timestamps_staleness);
	wire_put_bool(out, c->enable_compression);
	wire_put_bool(out, c->scrape_native_histograms);
	wire_put_bool(out, c->always_scrape_classic_histograms);
	wire_put_bool(out, c->convert_classic_histograms_to_nhcb);
	wire_put_bool(out, c->extra_scrape_metrics);
}

static void
limits_encode(const struct scrape_conf *c, struct buf *out)
{
	wire_put_u64(out, c->body_size_limit_bytes);
	wire_put_u64(out, c->sample_limit);
	wire_put_u64(out, c->target_limit);
	wire_put_u64(out, c->label_limit);
	wire_put_u64(out, c->label_name_length_limit);
	wire_put_u64(out, c->label_value_length_limit);
	wire_put_u64(out, c->keep_dropped_targets);
	wire_put_u64(out, c->native_histogram_bucket_limit);
	wire_put_f64(out, c->native_histogram_min_bucket_factor);
}

static void
settings_encode(const struct scrape_conf *c, struct buf *out)
{
	size_t i;

	wire_put_i64(out, c->interval_ms);
	wire_put_i64(out, c->timeout_ms);
	wire_put_u32(out, (uint32_t)c->n_protocols);
	for (i = 0; i < c->n_protocols; i++)
		wire_put_u8(out, (uint8_t)c->protocols[i]);
	wire_put_u8(out, (uint8_t)c->fallback_protocol);
	flags_encode(c, out);
	wire_put_str(out, c->metrics_path);
	wire_put_str(out, c->scheme);
	wire_put_u32(out, (uint32_t)c->n_params);
	for (i = 0; i < c->n_params; i++) {
		wire_put_str(out, c->params[i].name);
		conf_list_encode(&c->params[i].values, out);
	}
	wire_put_str(out, c->failure_log_file);
	limits_encode(c, out);
	wire_put_u8(out, (uint8_t)c->name_validation);
	wire_put_u8(out, (uint8_t)c->name_escaping);
	http_conf_encode(&c->http, out);
	relabel_rules_encode(&c->relabel, out);
	relabel_rules_encode(&c->metric_relabel, out);
}

static void
groups_encode(const struct scrape_conf *c, struct buf *out)
{
	size_t i;

	wire_put_u32(out, (uint32_t)c->n_groups);
	for (i = 0; i < c->n_groups; i++) {
		conf_list_encode(&c->groups[i].targets, out);
		labels_encode(c->groups[i].labels, c->groups[i].n_labels, out);
		wire_put_str(out, c->groups[i].source);
	}
}

/* Secrets pass through part: it is wiped before its memory is given back. */
static void
part_encode(const struct scrape_conf *c,
    void (*encode)(const struct scrape_conf *, struct buf *), struct buf *out)
{
	struct buf part;

	buf_init(&part, 0);
	encode(c, &part);
	if (buf_failed(&part))
		out->failed = true;
	wire_put_str(out, buf_str(&part));
	if (part.p != NULL)
		explicit_bzero(part.p, part.cap);
	buf_clear(&part);
}

void
scrape_confs_encode(const struct scrape_confs *cs, struct buf *out)
{
	size_t i;

	wire_put_u32(out, BLOB_MAGIC);
	wire_put_u32(out, BLOB_VERSION);
	labels_encode(cs->external_labels, cs->n_external_labels, out);
	wire_put_u32(out, (uint32_t)cs->n_jobs);
	for (i = 0; i < cs->n_jobs; i++) {
		wire_put_str(out, cs->jobs[i].job_name);
		part_encode(&cs->jobs[i], settings_encode, out);
		part_encode(&cs->jobs[i], groups_encode, out);
	}
}

/* --- bytes in; -1 without a text: bad bytes or no memory --- */

static int
get_str(struct str *out, struct wire_reader *r)
{
	struct str s = wire_get_str(r);

	return r->failed ? -1 : conf_str_set(out, s);
}

static int
labels_decode(struct label **out, size_t *n_out, struct wire_reader *r)
{
	uint32_t i, n = wire_get_count(r, 8);
	struct label *l;

	l = *out = calloc(n + 1UL, sizeof(*l));
	if (l == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		*n_out = i + 1UL;
		if (get_str(&l[i].name, r) == -1 ||
		    get_str(&l[i].value, r) == -1)
			return -1;
		if (i > 0 && str_cmp(l[i - 1].name, l[i].name) >= 0)
			return -1;
	}
	return r->failed ? -1 : 0;
}

static void
flags_decode(struct scrape_conf *c, struct wire_reader *r)
{
	c->honor_labels = wire_get_bool(r);
	c->honor_timestamps = wire_get_bool(r);
	c->track_timestamps_staleness = wire_get_bool(r);
	c->enable_compression = wire_get_bool(r);
	c->scrape_native_histograms = wire_get_bool(r);
	c->always_scrape_classic_histograms = wire_get_bool(r);
	c->convert_classic_histograms_to_nhcb = wire_get_bool(r);
	c->extra_scrape_metrics = wire_get_bool(r);
}

static void
limits_decode(struct scrape_conf *c, struct wire_reader *r)
{
	c->body_size_limit_bytes = wire_get_u64(r);
	c->sample_limit = wire_get_u64(r);
	c->target_limit = wire_get_u64(r);
	c->label_limit = wire_get_u64(r);
	c->label_name_length_limit = wire_get_u64(r);
	c->label_value_length_limit = wire_get_u64(r);
	c->keep_dropped_targets = wire_get_u64(r);
	c->native_histogram_bucket_limit = wire_get_u64(r);
	c->native_histogram_min_bucket_factor = wire_get_f64(r);
}

static int
protocols_decode(struct scrape_conf *c, struct wire_reader *r)
{
	uint32_t i, n = wire_get_count(r, 1);
	uint8_t p;

	if (n > SCRAPE_N_PROTOCOLS)
		return -1;
	for (i = 0; i < n; i++) {
		p = wire_get_u8(r);
		if (p == SCRAPE_PROTOCOL_NONE || p >= SCRAPE_N_PROTOCOLS)
			return -1;
		c->protocols[c->n_protocols++] = (enum scrape_protocol)p;
	}
	p = wire_get_u8(r);
	if (r->failed || p >= SCRAPE_N_PROTOCOLS)
		return -1;
	c->fallback_protocol = (enum scrape_protocol)p;
	return 0;
}

static int
params_decode(struct scrape_conf *c, struct wire_reader *r)
{
	uint32_t i, n = wire_get_count(r, 8);

	c->params = calloc(n + 1UL, sizeof(*c->params));
	if (c->params == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		c->n_params = i + 1UL;
		if (get_str(&c->params[i].name, r) == -1 ||
		    conf_list_decode(&c->params[i].values, r) == -1)
			return -1;
	}
	return r->failed ? -1 : 0;
}

static int
settings_decode(struct scrape_conf *c, struct wire_reader *r, struct err *err)
{
	uint8_t validation, escaping;

	c->interval_ms = wire_get_i64(r);
	c->timeout_ms = wire_get_i64(r);
	if (r->failed || c->interval_ms <= 0 || c->timeout_ms <= 0 ||
	    protocols_decode(c, r) == -1)
		return -1;
	flags_decode(c, r);
	if (get_str(&c->metrics_path, r) == -1 ||
	    get_str(&c->scheme, r) == -1 || params_decode(c, r) == -1 ||
	    get_str(&c->failure_log_file, r) == -1)
		return -1;
	limits_decode(c, r);
	validation = wire_get_u8(r);
	escaping = wire_get_u8(r);
	if (r->failed || validation > NAME_VALIDATION_LEGACY ||
	    escaping > NAME_ESCAPING_VALUES)
		return -1;
	c->name_validation = (enum name_validation)validation;
	c->name_escaping = (enum name_escaping)escaping;
	if (http_conf_decode(&c->http, r) == -1 ||
	    relabel_rules_decode(&c->relabel, r, err) == -1 ||
	    relabel_rules_decode(&c->metric_relabel, r, err) == -1)
		return -1;
	return wire_end(r) ? 0 : -1;
}

static int
groups_decode(struct scrape_conf *c, struct wire_reader *r)
{
	uint32_t i, n = wire_get_count(r, 12);
	struct target_group *g;

	c->groups = calloc(n + 1UL, sizeof(*c->groups));
	if (c->groups == NULL)
		return -1;
	for (i = 0; i < n; i++) {
		g = &c->groups[i];
		c->n_groups = i + 1UL;
		if (conf_list_decode(&g->targets, r) == -1 ||
		    labels_decode(&g->labels, &g->n_labels, r) == -1 ||
		    get_str(&g->source, r) == -1)
			return -1;
	}
	return wire_end(r) ? 0 : -1;
}

static int
job_decode(struct scrape_conf *c, struct wire_reader *r, struct err *err)
{
	struct str settings, groups;
	struct wire_reader sub;

	if (get_str(&c->job_name, r) == -1)
		return -1;
	settings = wire_get_str(r);
	groups = wire_get_str(r);
	if (r->failed)
		return -1;
	c->key = hash_xxh64(settings.p, settings.n);
	c->fingerprint = hash_fnv64a(c->key, groups.p, groups.n);
	wire_reader_init(&sub, settings.p, settings.n);
	if (settings_decode(c, &sub, err) == -1)
		return -1;
	wire_reader_init(&sub, groups.p, groups.n);
	return groups_decode(c, &sub);
}

int
scrape_confs_decode(struct scrape_confs *cs, struct str blob, struct err *err)
{
	struct wire_reader r;
	uint32_t i, n;

	wire_reader_init(&r, blob.p, blob.n);
	if (wire_get_u32(&r) != BLOB_MAGIC ||
	    wire_get_u32(&r) != BLOB_VERSION)
		return err_set(err, ERR_BAD_DATA,
		    "scrape configuration: bad magic or version");
	if (labels_decode(&cs->external_labels, &cs->n_external_labels,
	    &r) == -1)
		goto bad;
	n = wire_get_count(&r, 12);
	cs->jobs = calloc(n + 1UL, sizeof(*cs->jobs));
	if (cs->jobs == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; i < n; i++) {
		scrape_conf_init(&cs->jobs[i]);
		cs->n_jobs = i + 1UL;
		if (job_decode(&cs->jobs[i], &r, err) == -1)
			goto bad;
	}
	if (wire_end(&r))
		return 0;
bad:
	return err_set(err, ERR_BAD_DATA, "scrape configuration: bad bytes");
}
