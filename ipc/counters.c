/* SPDX-License-Identifier: ISC */
/* Counters of messages by catalogue row; an entry exists once it counts. */
#include "ipc/counters.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/metrics/metrics.h"
#include "ipc/channel.h"

struct ipc_counters {
	struct metrics	*m;
	metrics_slot	*received[IPC_TYPE_MAX];
	metrics_slot	*violations;
};

struct ipc_counters *
ipc_counters_new(struct metrics *m)
{
	struct ipc_counters *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->m = m;
	c->violations = metrics_get(m, METRIC_IPC_VIOLATIONS, "");
	return c;
}

void
ipc_counters_free(struct ipc_counters *c)
{
	free(c);
}

void
ipc_counters_received(struct ipc_counters *c, unsigned type)
{
	char label[64];

	if (c->received[type] == NULL) {
		snprintf(label, sizeof(label), "message=\"%s\"",
		    ipc_row(type)->name);
		c->received[type] = metrics_get(c->m, METRIC_IPC_RECEIVED,
		    label);
	}
	metrics_inc(c->received[type]);
}

void
ipc_counters_violation(struct ipc_counters *c)
{
	metrics_inc(c->violations);
}
