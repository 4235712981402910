/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_BLOB_SCRAPE_CONF_H
#define BRAZIER_COMMON_CONFIG_BLOB_SCRAPE_CONF_H

/*
 * What a scrape worker gets of the configuration: one struct scrape_conf a
 * scrape_configs entry (those of scrape_config_files included, in order),
 * globals folded in, checked. Secrets are included: the blob goes to scrape
 * workers only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/config/blob/http_conf.h"
#include "common/labels/labels.h"
#include "common/labels/relabel.h"

enum scrape_protocol {
	SCRAPE_PROTOCOL_NONE,
	SCRAPE_PROTOCOL_PROMETHEUS_PROTO,
	SCRAPE_PROTOCOL_PROMETHEUS_TEXT_0_0_4,
	SCRAPE_PROTOCOL_PROMETHEUS_TEXT_1_0_0,
	SCRAPE_PROTOCOL_OPENMETRICS_TEXT_0_0_1,
	SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0
};
#define SCRAPE_N_PROTOCOLS	(SCRAPE_PROTOCOL_OPENMETRICS_TEXT_1_0_0 + 1)

/* "OpenMetricsText1.0.0" …; NULL for NONE. */
const char *scrape_protocol_name(enum scrape_protocol p);
/* Without parameters for quality: "text/plain;version=0.0.4" …. */
const char *scrape_protocol_media_type(enum scrape_protocol p);
/* Case-sensitive; SCRAPE_PROTOCOL_NONE when unknown. */
enum scrape_protocol scrape_protocol_parse(struct str name);

enum name_escaping {
	NAME_ESCAPING_ALLOW_UTF8,
	NAME_ESCAPING_UNDERSCORES,
	NAME_ESCAPING_DOTS,
	NAME_ESCAPING_VALUES
};
/* "allow-utf-8", "underscores", "dots", "values". */
const char *name_escaping_text(enum name_escaping e);

/* ?name=v1&name=v2; the first value becomes __param_<name>. */
struct scrape_param {
	struct str	 name;
	struct conf_list values;
};

/* One static_configs entry. */
struct target_group {
	struct conf_list targets;	/* become __address__ */
	struct label	*labels;	/* sorted by name, no duplicates */
	size_t		 n_labels;
	struct str	 source;	/* "0", "1" …: place in the list */
};

struct scrape_conf {
	struct str		 job_name;
	/*
	 * Hash of everything below: equal in two generations = nothing
	 * changed. key leaves the target groups out: when only it is equal
	 * to before, loops can go on and only targets be synchronised.
	 */
	uint64_t		 fingerprint;
	uint64_t		 key;

	int64_t			 interval_ms;
	int64_t			 timeout_ms;
	enum scrape_protocol	 protocols[SCRAPE_N_PROTOCOLS]; /* preferred first */
	size_t			 n_protocols;
	enum scrape_protocol	 fallback_protocol;	/* or NONE */
	bool			 honor_labels;
	bool			 honor_timestamps;
	bool			 track_timestamps_staleness;
	bool			 enable_compression;
	bool			 scrape_native_histograms;
	bool			 always_scrape_classic_histograms;
	bool			 convert_classic_histograms_to_nhcb;
	bool			 extra_scrape_metrics;
	struct str		 metrics_path;
	struct str		 scheme;
	struct scrape_param	*params;	/* sorted by name */
	size_t			 n_params;
	struct str		 failure_log_file;	/* empty = none */

	/* limits, 0 = none */
	uint64_t		 body_size_limit_bytes;
	uint64_t		 sample_limit;
	uint64_t		 target_limit;
	uint64_t		 label_limit;
	uint64_t		 label_name_length_limit;
	uint64_t		 label_value_length_limit;
	uint64_t		 keep_dropped_targets;
	uint64_t		 native_histogram_bucket_limit;
	double			 native_histogram_min_bucket_factor;

	enum name_validation	 name_validation;
	enum name_escaping	 name_escaping;

	struct http_conf	 http;
	struct relabel_rules	 relabel;	/* targets */
	struct relabel_rules	 metric_relabel;	/* samples */

	struct target_group	*groups;
	size_t			 n_groups;
};

/* All jobs of one generation. */
struct scrape_confs {
	struct scrape_conf	*jobs;
	size_t			 n_jobs;
	struct label		*external_labels;	/* sorted */
	size_t			 n_external_labels;
};

void	 scrape_conf_init(struct scrape_conf *c);
void	 scrape_conf_clear(struct scrape_conf *c);

void	 scrape_confs_init(struct scrape_confs *cs);
/* Wipes the secrets. */
void	 scrape_confs_clear(struct scrape_confs *cs);
/* The fingerprints are computed when it is decoded. */
void	 scrape_confs_encode(const struct scrape_confs *cs, struct buf *out);
/*
 * Fills cs (initialised by the caller), compiles the relabel rules. -1:
 * ERR_BAD_DATA for bytes that are not a blob of this version, ERR_NOMEM; cs
 * can be cleared either way. Copies everything: the blob may go.
 */
int	 scrape_confs_decode(struct scrape_confs *cs, struct str blob,
	    struct err *err);

#endif
