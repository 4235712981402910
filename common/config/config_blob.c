/* SPDX-License-Identifier: ISC */
/* The parts of web, query and storage. */

#include <stdlib.h>

#include "common/config/blob/server_conf.h"
#include "common/config/blob/storage_conf.h"
#include "common/config/config.h"

int
config_blob_web(const struct config *c, struct buf *out, struct err *err)
{
	struct web_conf w = { .n_pools = c->n_jobs,
	    .gogc = cfg_get_int(cfg_get(&c->root, "runtime"), "gogc") };
	struct buf yaml;
	size_t i;
	int rc;

	buf_init(&yaml, 0);
	rc = config_print(c, &yaml, err);
	w.yaml = buf_str(&yaml);
	w.pools = calloc(c->n_jobs + 1, sizeof(*w.pools));
	if (w.pools == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; rc == 0 && i < c->n_jobs; i++)
		w.pools[i] = cfg_get_str(c->jobs[i], "job_name");
	if (rc == 0) {
		web_conf_encode(&w, out);
		if (buf_failed(out))
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	free(w.pools);
	buf_clear(&yaml);
	return rc;
}

int
config_blob_query(const struct config *c, struct buf *out, struct err *err)
{
	const struct cfg_val *global = cfg_get(&c->root, "global");
	struct query_conf q = {
		.evaluation_interval_ms = cfg_get_int(global,
		    "evaluation_interval"),
	};

	struct str file = cfg_get_str(global, "query_log_file");

	if (file.n >= sizeof(q.query_log_file))
		return err_set(err, ERR_BAD_DATA,
		    "open %.*s: file name too long", STR_ARG(file));
	memcpy(q.query_log_file, file.p, file.n);
	query_conf_encode(&q, out);
	return buf_failed(out) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

int
config_log_files(const struct config *c, struct conf_list *out,
    struct err *err)
{
	const struct cfg_val *global = cfg_get(&c->root, "global");
	struct str path = cfg_get_str(global, "query_log_file");

	for (size_t i = 0;; i++) {
		if (path.n != 0 && conf_list_add(out, path) == -1)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (i == c->n_jobs)
			return 0;
		path = cfg_get_str(c->jobs[i], "scrape_failure_log_file");
	}
}

static void
fill_tsdb(struct storage_conf *s, const struct cfg_val *tsdb)
{
	const struct cfg_val *retention = cfg_get(tsdb, "retention");
	struct str floats = cfg_get_str(cfg_get(tsdb, "chunk_encoding"),
	    "floats");

	s->out_of_order_window_ms = cfg_get_int(tsdb,
	    "out_of_order_time_window");
	s->stale_series_compaction_threshold = cfg_get_float(tsdb,
	    "stale_series_compaction_threshold");
	s->float_encoding = str_eq_c(floats, "xor") ? FLOAT_ENCODING_XOR :
	    str_eq_c(floats, "xor2") ? FLOAT_ENCODING_XOR2 :
	    FLOAT_ENCODING_DEFAULT;
	s->has_retention = retention->present;
	s->retention_ms = cfg_get_int(retention, "time");
	s->retention_bytes = cfg_get_int(retention, "size");
	s->retention_percentage = cfg_get_float(retention, "percentage");
}

int
config_blob_storage(const struct config *c, struct buf *out, struct err *err)
{
	const struct cfg_val *storage = cfg_get(&c->root, "storage");
	const struct cfg_val *exemplars = cfg_get(storage, "exemplars");
	struct storage_conf s = { .max_exemplars = 100000 };
	int64_t interval;
	size_t i;

	fill_tsdb(&s, cfg_get(storage, "tsdb"));
	if (!exemplars->is_nil)
		s.max_exemplars = cfg_get_int(exemplars, "max_exemplars");
	for (i = 0; i < c->n_jobs; i++) {
		interval = cfg_get_int(c->jobs[i], "scrape_interval");
		if (interval > s.longest_scrape_interval_ms)
			s.longest_scrape_interval_ms = interval;
	}
	storage_conf_encode(&s, out);
	return buf_failed(out) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}
