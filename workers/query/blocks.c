/* SPDX-License-Identifier: ISC */
/*
 * Blocks that storage handed out, merged with the head into the one source
 * that requests ask. As with the head, a request keeps what it began with:
 * a block that comes or goes meanwhile takes effect when it has ended.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "common/promql/source_block.h"
#include "common/promql/source_merge.h"
#include "ipc/message.h"
#include "workers/query/query.h"

struct query_block {
	struct block_reader	*b;
	struct source		*src;
	bool			 gone;	/* dropped while a request ran */
};

static void
block_free(struct query_block *k)
{
	source_block_free(k->src);
	block_reader_close(k->b);
}

/* Takes out those that are gone. */
static void
forget_gone(struct query_blocks *bs)
{
	size_t i, n = 0;

	for (i = 0; i < bs->n; i++)
		if (bs->v[i].gone)
			block_free(&bs->v[i]);
		else
			bs->v[n++] = bs->v[i];
	bs->n = n;
}

/* The source of requests: the head alone, or blocks and head. */
void
query_blocks_apply(struct query *q)
{
	struct query_blocks *bs = &q->blocks;
	struct source **subs;
	size_t i;

	forget_gone(bs);
	bs->changed = false;
	q->env.src = q->head.src;
	if (q->head.src == NULL || bs->n == 0)
		return;
	subs = calloc(bs->n + 1, sizeof(struct source *));
	for (i = 0; subs != NULL && i < bs->n; i++)
		subs[i] = bs->v[i].src;
	if (subs != NULL) {
		subs[bs->n] = q->head.src;
		if (bs->merge == NULL)
			bs->merge = source_merge_new(subs, bs->n + 1);
		else if (source_merge_set(bs->merge, subs, bs->n + 1) == -1) {
			source_merge_free(bs->merge);
			bs->merge = NULL;
		}
	}
	free(subs);
	if (bs->merge == NULL)
		log_error("Out of memory for the blocks");
	else
		q->env.src = bs->merge;
}

/* All of them, with the head they came with. */
void
query_blocks_clear(struct query *q)
{
	struct query_blocks *bs = &q->blocks;

	source_merge_free(bs->merge);
	bs->merge = NULL;
	while (bs->n > 0)
		block_free(&bs->v[--bs->n]);
	free(bs->v);
	*bs = (struct query_blocks){ 0 };
}

static void
changed(struct query *q)
{
	if (q->running)
		q->blocks.changed = true;
	else
		query_blocks_apply(q);
}

static int
add_block(struct query_blocks *bs, struct block_reader *b)
{
	struct source *src = source_block_new(b);
	size_t i;

	if (src == NULL || vec_grow(&bs->v, &bs->cap, bs->n + 1,
	    sizeof(*bs->v)) == -1) {
		source_block_free(src);
		return -1;
	}
	for (i = bs->n; i > 0 && bs->v[i - 1].b->mint_ms > b->mint_ms; i--)
		bs->v[i] = bs->v[i - 1];
	bs->v[i] = (struct query_block){ b, src, false };
	bs->n++;
	return 0;
}

static void
take_fds(struct ipc_msg *m, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = ipc_msg_take_fd(m, i);
}

void
query_on_block_add(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_block *k = m->data;
	struct block_reader *b = NULL;
	struct err err = ERR_INIT;
	struct query *q = ctx;
	struct wire_reader r;
	struct block_fds bf;
	struct str ulid;
	bool with_tombstones;
	size_t n, i;
	int *fds;

	wire_reader_init(&r, k + 1, m->n - sizeof(*k));
	ulid = wire_get_str(&r);
	n = m->n_fds;
	with_tombstones = n == (size_t)k->n_segments + 2;
	if (!wire_end(&r) || (!with_tombstones &&
	    n != (size_t)k->n_segments + 1)) {
		ipc_violation(ch, m, "a block of another shape");
		return;
	}
	if (ch != q->head.from)
		return;
	fds = calloc(n, sizeof(*fds));
	if (fds == NULL) {
		log_error("Out of memory for a block");
		return;
	}
	take_fds(m, fds, n);
	bf = (struct block_fds){ .index = fds[0],
	    .tombstones = with_tombstones ? fds[1] : -1,
	    .segments = fds + n - k->n_segments,
	    .n_segments = k->n_segments };
	b = block_reader_open(ulid, k->mint_ms, k->maxt_ms, &bf, &err);
	if (b == NULL || add_block(&q->blocks, b) == -1) {
		log_error("A block is not served", F_ERR(&err));
		block_reader_close(b);
	} else
		changed(q);
	for (i = 0; i < n; i++)
		(void)close(fds[i]);
	free(fds);
}

void
query_on_block_drop(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_block *k = m->data;
	struct query *q = ctx;
	struct wire_reader r;
	struct str ulid;
	size_t i;

	wire_reader_init(&r, k + 1, m->n - sizeof(*k));
	ulid = wire_get_str(&r);
	if (!wire_end(&r)) {
		ipc_violation(ch, m, "a block of another shape");
		return;
	}
	if (ch != q->head.from)
		return;
	for (i = 0; i < q->blocks.n; i++)
		if (str_eq_c(ulid, q->blocks.v[i].b->ulid.s))
			q->blocks.v[i].gone = true;
	changed(q);
}
