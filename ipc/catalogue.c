/* SPDX-License-Identifier: ISC */
/* The catalogue as data, and the checks that every received message passes. */
#include "ipc/catalogue.h"

static const struct ipc_row rows[IPC_TYPE_MAX] = {
#define X(id, name_, from_, to_, payload, rule_, fmin, fmax, st, q, c, what_) \
	[id] = { .name = #name_, .from = (from_), .to = (to_), \
	    .size = sizeof(struct payload), .rule = IPC_##rule_, \
	    .fds_min = (fmin), .fds_max = (fmax), .states = IPC_##st, \
	    .queue = (q), .ctl = IPC_CTL_##c, .what = (what_) },
	IPC_CATALOGUE(X)
#undef X
};

const struct ipc_row *
ipc_row(unsigned type)
{
	return type < IPC_TYPE_MAX && rows[type].name != NULL ?
	    &rows[type] : NULL;
}

const char *
ipc_check(unsigned type, enum role from, enum role to, enum ipc_state state,
    size_t n_bytes, size_t n_fds)
{
	const struct ipc_row *row = ipc_row(type);

	if (row == NULL)
		return "unknown message";
	if ((row->from & 1u << from) == 0)
		return "sender may not send it";
	if ((row->to & 1u << to) == 0)
		return "receiver does not take it";
	if (n_bytes < row->size || n_bytes > IPC_MSG_MAX ||
	    (row->rule == IPC_EXACT && n_bytes != row->size))
		return "wrong length";
	if (n_fds < row->fds_min || n_fds > row->fds_max)
		return "wrong number of descriptors";
	if ((row->states & state) == 0)
		return "not allowed in this state";
	return NULL;
}
