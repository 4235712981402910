/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SOURCE_HEAD_H
#define BRAZIER_COMMON_PROMQL_SOURCE_HEAD_H

/*
 * The head as a source of series: matching and decoding happen in this
 * process, over the arena that storage writes (common/tsdb/head_reader.h)
 * and the chunks_head files it handed out.
 *
 *	struct source *s = source_head_new(&reader, &files, NULL, NULL);
 *	… engine …
 *	source_head_free(s);
 *
 * begin() takes an epoch, end() gives it back. Each select() takes a commit
 * of its own, so two selectors of one query may see different commits; each
 * is whole.
 */

#include <stdbool.h>

#include "common/promql/source.h"
#include "common/tsdb/head_files.h"
#include "common/tsdb/head_reader.h"

/*
 * reader and files are borrowed until source_head_free. cancelled may be
 * NULL. NULL when memory is out.
 */
struct source *source_head_new(struct head_reader *reader,
	    struct head_files *files, bool (*cancelled)(void *arg),
	    void *cancelled_arg);
void	 source_head_free(struct source *s);

#endif
