/* SPDX-License-Identifier: ISC */
/* What brazierctl asks of web through the supervisor. */
#include "common/base/log.h"
#include "workers/web/pool.h"

#define PIECE	32768

/* The text in as many messages as it needs. */
static void
answer(struct ipc_channel *ch, uint64_t id, bool ok, struct str text)
{
	struct err err = ERR_INIT;

	do {
		struct str piece = str_from(text.p,
		    text.n < PIECE ? text.n : PIECE);
		struct msg_ctl_reply m = { .ok = ok,
		    .more = piece.n < text.n };
		union { const char *in; void *out; } p = { piece.p };
		struct iovec iov[2] = { { &m, sizeof(m) },
		    { p.out, piece.n } };

		text = str_from(text.p + piece.n, text.n - piece.n);
		if (ipc_sendv(ch, IPC_CTL_REPLY, id, iov, 2, NULL, 0,
		    &err) == -1) {
			log_warn("Answering brazierctl failed", F_ERR(&err));
			return;
		}
	} while (text.n > 0);
}

void
web_on_queries_get(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct web *web = ctx;
	struct buf b;

	buf_init(&b, 0);
	pool_describe(web->pool, &b);
	answer(ch, m->id, true, buf_str(&b));
	buf_clear(&b);
}

void
web_on_query_kill(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_query_kill *k = m->data;
	struct web *web = ctx;

	if (pool_kill(web->pool, k->query))
		answer(ch, m->id, true, STR_LIT("{\"killed\":true}"));
	else
		answer(ch, m->id, false, STR_LIT("no such query"));
}
