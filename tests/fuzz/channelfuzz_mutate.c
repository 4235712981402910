/* SPDX-License-Identifier: ISC */
/* What is done to a valid message, and what the receiver must make of it. */
#include "tests/fuzz/channelfuzz.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const char *const how_names[HOW_COUNT] = {
	[HOW_VALID] = "valid", [HOW_TRUNCATED] = "truncated",
	[HOW_OVERSIZE] = "oversize", [HOW_HEADER] = "header",
	[HOW_FDS_MORE] = "fds too many", [HOW_FDS_FEWER] = "fds missing",
	[HOW_FDS_KIND] = "fds of a wrong kind",
	[HOW_FDS_UNSEALED] = "fds unsealed",
	[HOW_FDS_CONTENT] = "fds of changed content",
	[HOW_RANDOM] = "random", [HOW_FIELD] = "fields",
	[HOW_BYTES] = "bytes", [HOW_SENDER] = "wrong sender",
	[HOW_STATE] = "wrong state"
};

static void
fill(struct buf *b, size_t n)
{
	uint64_t v;

	while (n > 0) {
		size_t k = n < 8 ? n : 8;

		v = rng_one_in(3) ? rng_odd_number() : rng();
		buf_add(b, &v, k);
		n -= k;
	}
}

static void
cut(struct message *m)
{
	if (m->data.n == 0 || rng_one_in(8))
		m->cut = 1 + rng_below(HDR_BYTES - 1);
	m->data.n = rng_below(m->data.n);
	if (m->cut < HDR_BYTES)
		m->data.n = 0;
}

static void
lengthen(struct message *m)
{
	static const size_t by[] = { 1, 4, 8, 64, 4096 };

	if (rng_one_in(4))	/* beyond what any message may have */
		fill(&m->data, IPC_MSG_MAX + 1 + rng_below(64) - m->data.n);
	else
		fill(&m->data, by[rng_below(5)]);
}

static void
change_header(struct message *m)
{
	switch (rng_below(3)) {
	case 0:
		m->zero = (uint16_t)(1 + rng_below(65535));
		break;
	case 1:
		m->type = (uint16_t)rng();
		break;
	default:
		m->type = (uint16_t)rng_below(IPC_TYPE_MAX);
	}
}

/* Numbers of the fixed part and of what follows, where they begin. */
static void
change_fields(struct message *m)
{
	uint64_t v;

	if (rng_one_in(6))
		m->id = rng_odd_number();
	if (rng_one_in(12))
		m->generation = (uint32_t)rng_odd_number();
	for (uint64_t k = 1 + rng_below(4); k > 0 && m->data.n >= 4; k--) {
		size_t at = rng_below(m->data.n / 4) * 4;

		v = rng_odd_number();
		memcpy(m->data.p + at, &v, at % 8 == 0 && m->data.n - at >= 8 &&
		    rng_one_in(2) ? 8 : 4);
	}
}

static void
change_bytes(struct message *m)
{
	for (uint64_t k = 1 + rng_below(8); k > 0 && m->data.n > 0; k--)
		m->data.p[rng_below(m->data.n)] = (char)rng();
}

static void
more_fds(struct message *m)
{
	static const size_t upto[] = { 1, 2, 3, 65, 250, 251, 253 };
	size_t want = upto[rng_below(7)];
	const char *name;
	int fd;

	do {
		fd = m->n_fds > 0 ? fcntl(m->fds[0], F_DUPFD_CLOEXEC, 3) :
		    fd_odd(&name);
		message_add_fd(m, fd);
	} while (m->n_fds < want && m->n_fds < FDS_SENT_MAX);
}

/* One of them, or all, becomes something else. */
static void
replace_fds(struct message *m, enum how how)
{
	size_t one = rng_below(m->n_fds), i;
	bool all = rng_one_in(4);
	const char *name;
	int fd;

	for (i = 0; i < m->n_fds; i++) {
		if (i != one && !all)
			continue;
		fd = how == HOW_FDS_CONTENT ? fd_changed(m->fds[i]) :
		    how == HOW_FDS_KIND ? fd_odd(&name) :
		    fd_unsealed("unsealed, and not even long", 27);
		if (fd == -1)
			continue;
		(void)close(m->fds[i]);
		m->fds[i] = fd;
	}
}

void
mutate(struct message *m, enum how how)
{
	switch (how) {
	case HOW_TRUNCATED:
		cut(m);
		break;
	case HOW_OVERSIZE:
		lengthen(m);
		break;
	case HOW_HEADER:
		change_header(m);
		break;
	case HOW_FDS_MORE:
		more_fds(m);
		break;
	case HOW_FDS_FEWER:
		if (m->n_fds > 0)
			(void)close(m->fds[--m->n_fds]);
		break;
	case HOW_FDS_KIND:
	case HOW_FDS_UNSEALED:
	case HOW_FDS_CONTENT:
		if (m->n_fds > 0)
			replace_fds(m, how);
		break;
	case HOW_RANDOM:
		if (ipc_row(m->type) != NULL) {
			const struct ipc_row *row = ipc_row(m->type);

			m->data.n = 0;
			fill(&m->data, row->size + (row->rule == IPC_EXACT ?
			    0 : rng_below(rng_one_in(8) ? 60000 : 200)));
		}
		break;
	case HOW_FIELD:
		change_fields(m);
		break;
	case HOW_BYTES:
		change_bytes(m);
		break;
	default:
		break;
	}
}

bool
must_close(const struct message *m, enum role from, enum role to,
    enum ipc_state state, enum how how)
{
	/* payloads that are sealed memory and nothing else */
	static const uint8_t sealed[] = { IPC_READER_JOIN, IPC_HEAD_MAP,
	    IPC_QUERY_RING, IPC_QUERY, IPC_BLOB, IPC_SERIES };

	if (m->cut < HDR_BYTES || m->zero != 0 || m->n_fds > IPC_FDS_MAX ||
	    ipc_check(m->type, from, to, state, m->data.n, m->n_fds) != NULL)
		return true;
	for (size_t i = 0; how == HOW_FDS_UNSEALED && m->n_fds > 0 &&
	    i < sizeof(sealed); i++)
		if (m->type == sealed[i])
			return true;
	return false;
}
