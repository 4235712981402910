/* SPDX-License-Identifier: ISC */

/*
 * Blocks that lie in the data directory. They are listed once, at start;
 * each query process that joins is sent their files, and reads them itself.
 * Samples before the end of the newest block are the blocks', not the
 * head's: the head takes none of them, and a replay drops them.
 */

#include "workers/storage/storage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/wire.h"
#include "ipc/message.h"

/* Descriptors of one message (ipc/catalogue.h). */
#define BLOCK_FILES_MAX	250

static void
on_bad_block(void *arg, const char *name, const struct err *why)
{
	struct storage *s = arg;

	s->corruptions++;
	log_error("Failed to read meta.json for a block during reloadBlocks. "
	    "Skipping", F_STR("dir", name), F_ERR(why));
}

int
blocks_open(struct storage *s, struct err *err)
{
	const unsigned other = BLOCK_FROM_OUT_OF_ORDER |
	    BLOCK_FROM_STALE_SERIES | BLOCK_FROM_SELECTED_SERIES;
	int64_t end = INT64_MIN;
	size_t i;

	if (block_notes_list(s->data_fd, on_bad_block, s, &s->blocks,
	    &s->n_blocks, err) == -1)
		return err_wrap(err, "listing blocks");
	for (i = 0; i < s->n_blocks; i++) {
		const struct block_note *b = &s->blocks[i];

		log_info("Found healthy block", F_INT("mint", b->mint_ms),
		    F_INT("maxt", b->maxt_ms), F_STR("ulid", b->ulid.s));
		if ((b->hints & other) == 0 && b->maxt_ms > end)
			end = b->maxt_ms;
	}
	if (end != INT64_MIN)
		head_set_min_valid(s->head, end);
	return 0;
}

void
blocks_close(struct storage *s)
{
	free(s->blocks);
	s->blocks = NULL;
	s->n_blocks = 0;
}

static int
send_block(struct storage *s, struct ipc_channel *ch,
    const struct block_note *b, struct err *err)
{
	struct msg_block m = { .mint_ms = b->mint_ms,
	    .maxt_ms = b->maxt_ms };
	int fds[BLOCK_FILES_MAX], rc;
	struct buf text;
	size_t n;

	if (block_note_open(s->data_fd, b, fds, BLOCK_FILES_MAX, &n,
	    err) == -1)
		return -1;
	m.n_segments = (uint32_t)n - 2;
	/* without tombstones there is no descriptor for them */
	if (fds[1] == -1)
		memmove(fds + 1, fds + 2, (--n - 1) * sizeof(*fds));
	buf_init(&text, 0);
	buf_add(&text, &m, sizeof(m));
	wire_put_str(&text, str_c(b->ulid.s));
	rc = ipc_send(ch, IPC_BLOCK_ADD, 0, text.p, text.n, fds, n, err);
	buf_clear(&text);
	return rc;
}

int
blocks_send(struct storage *s, struct ipc_channel *ch, struct err *err)
{
	struct err why = ERR_INIT;
	size_t i;

	for (i = 0; i < s->n_blocks; i++) {
		if (send_block(s, ch, &s->blocks[i], &why) == 0)
			continue;
		/* A dead channel ends it; a bad block only itself. */
		if (!ipc_channel_is_open(ch)) {
			*err = why;
			return -1;
		}
		log_error("A block is not served",
		    F_STR("ulid", s->blocks[i].ulid.s), F_ERR(&why));
	}
	return 0;
}
