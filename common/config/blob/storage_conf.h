/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_BLOB_STORAGE_CONF_H
#define BRAZIER_COMMON_CONFIG_BLOB_STORAGE_CONF_H

/* What storage gets of the configuration. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

enum float_encoding {
	FLOAT_ENCODING_DEFAULT,		/* by feature flag */
	FLOAT_ENCODING_XOR,
	FLOAT_ENCODING_XOR2
};

struct storage_conf {
	int64_t		 out_of_order_window_ms;
	int64_t		 max_exemplars;
	double		 stale_series_compaction_threshold;
	enum float_encoding float_encoding;
	/* storage.tsdb.retention was given; else flags decide. 0 = none. */
	bool		 has_retention;
	int64_t		 retention_ms;
	int64_t		 retention_bytes;
	double		 retention_percentage;
	/* The longest scrape interval of all jobs, 0 without jobs. */
	int64_t		 longest_scrape_interval_ms;
};

void	 storage_conf_encode(const struct storage_conf *c, struct buf *out);
/* ERR_BAD_DATA for bytes that are not such a blob. */
int	 storage_conf_decode(struct storage_conf *c, struct str blob,
	    struct err *err);

#endif
