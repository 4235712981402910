/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_APPEND_H
#define BRAZIER_IPC_APPEND_H

/*
 * The append protocol: how samples get from who has them (scrape, rules,
 * remote) into storage.
 *
 *	client                                    storage
 *	SERIES {7: up{job="a"}} ─────────────────▶ id table of this channel
 *	SAMPLES seq 1 {(7, t, v) …} ─────────────▶ kept
 *	SAMPLES seq 1 {…} COMMIT ────────────────▶ WAL record, then visible
 *	                       ◀───────────────── ACK seq 1 {stored, refused}
 *	FORGET {7} ──────────────────────────────▶
 *
 * - The client numbers its series itself, from 1, densely (storage keeps an
 *   array per channel, APPEND_ID_MAX entries at most). A number must be
 *   declared before it is used and may be declared again after FORGET.
 * - A batch (one scrape, one rule's result) is a run of SAMPLES with one seq;
 *   the last has COMMIT. Batches are committed in the order of their commit
 *   messages; two batches never interleave on one channel. It becomes
 *   visible whole.
 * - ACK means: in the WAL and visible. It comes for every batch, in order.
 * - When storage has died and is back (PEER_DOWN, PEER_UP), ids are unknown:
 *   the client declares its series again and sends the unacknowledged batches
 *   with RESEND in their order; samples that storage already has count as
 *   stored.
 * - A client holds unacknowledged batches for at most 60 s or its share of
 *   memory, then skips scrapes and counts them.
 *
 * These are the encoders of the client and the decoders of storage.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/labels/labels.h"
#include "ipc/channel.h"

#define APPEND_ID_MAX		(1u << 26)
#define APPEND_LABELS_MAX	4096	/* of one series */
#define APPEND_LABEL_BYTES_MAX	((1u << 24) - 1)	/* name or value */
/* Bytes of one label set, and with it of a memfd of declarations. */
#define APPEND_SET_BYTES_MAX	(64u << 20)

/*
 * Collects series declarations into SERIES messages: inline up to 64 KiB,
 * label sets that are larger, and what follows them, in a sealed memfd.
 * -1 with ERR_LIMIT when one label set alone is beyond the limits above.
 */
struct append_series {
	struct buf	 b;
	uint32_t	 n;
};
void	 append_series_init(struct append_series *s);
void	 append_series_clear(struct append_series *s);
int	 append_series_add(struct append_series *s, struct ipc_channel *ch,
	    uint32_t id, struct labels ls, struct err *err);
/* Sends what is left. */
int	 append_series_flush(struct append_series *s, struct ipc_channel *ch,
	    struct err *err);

/*
 * Sends one batch: n samples of ids and values, all at base_ms when dt_ms is
 * NULL, else at base_ms + dt_ms[i]. flags: SAMPLES_RESEND or 0. Splits into
 * as many messages as needed; the last one commits (n may be 0: an empty
 * commit). On -1 part of the batch may be queued: the channel is then to be
 * treated as broken.
 */
int	 append_send_batch(struct ipc_channel *ch, uint64_t seq,
	    int64_t base_ms, const uint32_t *ids, const double *values,
	    const int32_t *dt_ms, size_t n, uint32_t flags, struct err *err);

int	 append_forget(struct ipc_channel *ch, const uint32_t *ids, size_t n,
	    struct err *err);

/*
 * Storage's side: walks a SERIES message, one call of fn per declaration
 * (labels borrowed, sorted and unique checked, valid UTF-8 not checked);
 * NULL or what is wrong.
 */
const char *append_series_read(const struct ipc_msg *m,
	    int (*fn)(void *arg, uint32_t id, struct labels ls), void *arg);

/* The columns of a SAMPLES message; pointers into it, may be unaligned by
 * 4 for dt. NULL or what is wrong. */
struct append_samples {
	uint64_t	 seq;
	int64_t		 base_ms;
	uint32_t	 n, flags;
	const double	*values;	/* 8-byte aligned */
	const uint32_t	*ids;
	const int32_t	*dt_ms;		/* NULL with SAME_TIME */
};
const char *append_samples_read(const struct ipc_msg *m,
	    struct append_samples *out);

#endif
