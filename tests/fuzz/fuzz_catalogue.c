/* SPDX-License-Identifier: ISC */
/*
 * Every row of the catalogue: arbitrary bytes as a message of each type, to
 * each receiver, in each state. Whatever ipc_check lets through has the fixed
 * part of its struct, and the decoders that all roles share read the rest
 * without leaving it; what they accept they would have written themselves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "ipc/append.h"
#include "ipc/catalogue.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int
on_series(void *arg, uint32_t id, struct labels ls)
{
	size_t i;

	(void)arg;
	if (id == 0 || id > APPEND_ID_MAX || ls.n > APPEND_LABELS_MAX)
		abort();
	for (i = 0; i < ls.n; i++)
		if (ls.l[i].name.n == 0 || ls.l[i].value.n == 0)
			abort();
	return 0;
}

static void
read_samples(const struct ipc_msg *m)
{
	struct append_samples s;
	uint64_t sum = 0;
	uint32_t i;

	if (append_samples_read(m, &s) != NULL)
		return;
	for (i = 0; i < s.n; i++) {
		uint64_t v;

		memcpy(&v, &s.values[i], sizeof(v));
		sum += v + s.ids[i] + (s.dt_ms == NULL ? 0 :
		    (uint32_t)s.dt_ms[i]);
	}
	/* keep the loop */
	if (sum == 0x123456789abcdefULL)
		abort();
}

static void
one_row(unsigned type, enum role from, enum role to, const void *data,
    size_t n)
{
	const struct ipc_row *row = ipc_row(type);
	struct ipc_msg m = { .type = (uint16_t)type, .data = data, .n = n };
	const char *why = ipc_check(type, from, to, IPC_UP, n, row == NULL ?
	    0 : row->fds_min);

	if (why != NULL)
		return;
	if (row == NULL || n < row->size ||
	    (row->rule == IPC_EXACT && n != row->size) ||
	    (row->from & 1u << from) == 0 || (row->to & 1u << to) == 0)
		abort();
	if (type == IPC_SERIES)
		(void)append_series_read(&m, on_series, NULL);
	else if (type == IPC_SAMPLES)
		read_samples(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned type;
	void *copy;

	if (n < 2 || n > IPC_MSG_MAX)
		return 0;
	/* aligned as a channel's buffer is, and exactly as long */
	if ((copy = aligned_alloc(16, (n - 2 + 15) / 16 * 16 + 16)) == NULL)
		return 0;
	memcpy(copy, data + 2, n - 2);
	type = data[0];
	one_row(type, (enum role)(data[1] % ROLE_COUNT),
	    (enum role)(data[1] / 16 % ROLE_COUNT), copy, n - 2);
	one_row(IPC_SERIES, ROLE_SCRAPE, ROLE_STORAGE, copy, n - 2);
	one_row(IPC_SAMPLES, ROLE_SCRAPE, ROLE_STORAGE, copy, n - 2);
	free(copy);
	return 0;
}
