/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_EXPOSITION_TEXT_ARCHIVE_H
#define BRAZIER_COMMON_EXPOSITION_TEXT_ARCHIVE_H

/*
 * Texts that are kept for the rare case: many short ones, much alike, added
 * at the end and hardly ever read. They are compressed in blocks of a few
 * kilobytes; a tenth of their size is what they cost.
 *
 *	packed	[ block ][ block ][ block ] …		tail [ text text … ]
 *
 * The owner numbers the texts 0, 1, 2 … and knows the length of each.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct archived_block {
	uint32_t	first;		/* number of its first text */
	uint32_t	at, n;		/* its bytes in packed */
	uint32_t	raw_n;
};

struct text_archive {
	struct archived_block	*blocks;
	size_t			 n_blocks, cap_blocks;
	struct buf		 packed;
	struct buf		 tail;		/* not compressed yet */
	uint32_t		 tail_first;
	struct buf		 open;		/* the block read last */
	size_t			 open_block;
};

void	 text_archive_init(struct text_archive *a);
void	 text_archive_clear(struct text_archive *a);

/* Number n, which is one more than the last. -1 without memory. */
int	 text_archive_add(struct text_archive *a, uint32_t n, struct str text);

/*
 * The run of texts that n lies in, and the number of the first of them: n
 * begins behind the lengths of those before it. Good until the next call.
 * p == NULL without memory.
 */
struct str text_archive_run(struct text_archive *a, uint32_t n,
	    uint32_t *first_out);

/* All texts are compressed, spare room is given back; next: the number that
 * the next text will have. */
void	 text_archive_trim(struct text_archive *a, uint32_t next);

size_t	 text_archive_bytes(const struct text_archive *a);

#endif
