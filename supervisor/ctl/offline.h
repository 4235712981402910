/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_CTL_OFFLINE_H
#define BRAZIER_SUPERVISOR_CTL_OFFLINE_H

/* Queries over the blocks of a data directory, without a server. */

#include <stdint.h>

#include <jansson.h>

#include "common/base/err.h"
#include "common/base/str.h"

/*
 * Evaluates at start, start + step, … up to end (step 0: once), with all
 * experimental features. Blocks only: what is still in a head is not seen.
 * Warnings and infos go to stderr. NULL and err, or the {resultType, result}
 * that the HTTP API would give, to be dropped with json_decref.
 */
json_t	*offline_query(const char *data_dir, struct str query,
	    int64_t start_ms, int64_t end_ms, int64_t step_ms,
	    struct err *err);

#endif
