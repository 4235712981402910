/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_CONFIG_BLOB_SERVER_CONF_H
#define BRAZIER_COMMON_CONFIG_BLOB_SERVER_CONF_H

/*
 * The small parts of the configuration: what web and the query processes
 * need of it.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

/* For web: what it shows. */
struct web_conf {
	struct str	 yaml;		/* printed with defaults, redacted */
	struct str	*pools;		/* names of the scrape pools */
	size_t		 n_pools;
	int64_t		 gogc;		/* runtime.gogc, shown only; < 0: off */
	char		*owned;		/* after decoding: all the texts */
};

void	 web_conf_encode(const struct web_conf *c, struct buf *out);
/* Copies out of the blob. ERR_BAD_DATA, ERR_NOMEM; nothing to clear then. */
int	 web_conf_decode(struct web_conf *c, struct str blob,
	    struct err *err);
void	 web_conf_clear(struct web_conf *c);

/* For query and eval. */
struct query_conf {
	int64_t	evaluation_interval_ms;	/* step of subqueries without one */
	char	query_log_file[4096];	/* global.query_log_file, "" = none */
};

void	 query_conf_encode(const struct query_conf *c, struct buf *out);
int	 query_conf_decode(struct query_conf *c, struct str blob,
	    struct err *err);

#endif
