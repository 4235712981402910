/* SPDX-License-Identifier: ISC */

/*
 * Clients of the append protocol. Each logs what is acknowledged before it
 * counts on it, and after a restart of storage declares its series again and
 * sends what was not acknowledged marked RESEND, in order.
 */

#include "tests/tools/storm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/vec.h"

#define UNACKED_MAX	64
/* Numbers of series that move wrap around at this much above n_series. */
#define ID_SPARE	100

static void
on_ack(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct storm_client *c = ctx;
	const struct msg_ack *a = m->data;
	char line[64];
	int n;

	(void)ch;
	if (a->seq != c->acked + 1 || a->seq > c->sent)
		storm_fail("client %u: ACK %llu after %llu of %llu", c->client,
		    (unsigned long long)a->seq, (unsigned long long)c->acked,
		    (unsigned long long)c->sent);
	if (a->stored != shape_samples(c->client) ||
	    a->out_of_order.count != 0 || a->duplicate.count != 0 ||
	    a->out_of_bounds.count != 0 || a->too_old.count != 0 ||
	    a->limit.count != 0)
		storm_fail("client %u: batch %llu: %u stored, refused %u "
		    "out of order %u duplicate %u out of bounds %u too old "
		    "%u limit", c->client, (unsigned long long)a->seq,
		    a->stored, a->out_of_order.count, a->duplicate.count,
		    a->out_of_bounds.count, a->too_old.count, a->limit.count);
	c->acked = a->seq;
	c->load->acked_samples += a->stored;
	if (c->load->ack_log == -1)
		return;
	n = snprintf(line, sizeof(line), "%u %llu\n", c->client,
	    (unsigned long long)a->seq);
	if (write(c->load->ack_log, line, (size_t)n) != n)
		storm_fail("writing the log of ACKs");
}

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	(void)ch;
	(void)why;
	((struct storm_client *)ctx)->closed = true;
}

static const struct ipc_handler handlers[] = { { IPC_ACK, on_ack } };

void
storm_load_init(struct storm_load *l, struct storm_storage *s,
    int64_t start_ms)
{
	*l = (struct storm_load){ .s = s, .start_ms = start_ms,
	    .ack_log = -1 };
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		l->c[i] = (struct storm_client){ .client = i, .load = l };
}

static uint32_t
id_of(unsigned client, uint32_t index)
{
	return index % (storm_shapes[client].n_series + ID_SPARE) + 1;
}

static void
declare(struct storm_client *c, struct append_series *as, uint32_t index)
{
	char name[16], number[16];
	struct label l[3] = { { STR_LIT("__name__"), STR_LIT("storm") },
	    { STR_LIT("client"), { name, 0 } },
	    { STR_LIT("i"), { number, 0 } } };
	struct err err = ERR_INIT;

	l[1].value.n = (size_t)snprintf(name, sizeof(name), "%u", c->client);
	l[2].value.n = (size_t)snprintf(number, sizeof(number), "%u", index);
	if (append_series_add(as, c->ch, id_of(c->client, index),
	    (struct labels){ l, 3 }, &err) == -1)
		storm_fail("declaring: %s", err.text);
}

/* Forgets the series that left before this batch, declares the new ones. */
static void
declare_for(struct storm_client *c, uint64_t seq)
{
	uint32_t first = shape_first(c->client, seq), id;
	uint32_t n = storm_shapes[c->client].n_series;
	uint32_t from = c->declared ? c->first + n : first;
	struct append_series as;
	struct err err = ERR_INIT;

	if (c->declared && c->first == first)
		return;
	for (uint32_t i = c->first; c->declared && i < first; i++) {
		id = id_of(c->client, i);
		if (append_forget(c->ch, &id, 1, &err) == -1)
			storm_fail("forgetting: %s", err.text);
	}
	append_series_init(&as);
	for (uint32_t i = from; i < first + n; i++)
		declare(c, &as, i);
	if (append_series_flush(&as, c->ch, &err) == -1)
		storm_fail("declaring: %s", err.text);
	append_series_clear(&as);
	c->first = first;
	c->declared = true;
}

static void
send_batch(struct storm_client *c, uint64_t seq, uint32_t flags)
{
	const struct storm_shape *s = &storm_shapes[c->client];
	uint32_t n = shape_samples(c->client), at = 0;
	uint32_t *ids = xmalloc(n * sizeof(*ids));
	double *values = xmalloc(n * sizeof(*values));
	int32_t *dt = xmalloc(n * sizeof(*dt));
	int64_t base = shape_time(c->load->start_ms, c->client, seq, 0);
	struct err err = ERR_INIT;

	declare_for(c, seq);
	for (uint32_t k = 0; k < s->per_series; k++)
		for (uint32_t i = 0; i < s->n_series; i++, at++) {
			ids[at] = id_of(c->client, c->first + i);
			values[at] = shape_value(seq, c->first + i);
			dt[at] = (int32_t)(shape_time(c->load->start_ms,
			    c->client, seq, k) - base);
		}
	if (append_send_batch(c->ch, seq, base, ids, values,
	    s->per_series == 1 ? NULL : dt, n, flags, &err) == -1)
		storm_fail("sending: %s", err.text);
	free(ids);
	free(values);
	free(dt);
}

void
storm_load_connect(struct storm_load *l)
{
	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		const struct storm_shape *s = &storm_shapes[i];
		struct storm_client *c = &l->c[i];
		int fd = storm_peer_up(l->s, s->role, s->instance,
		    s->role == ROLE_SCRAPE ? 2 : 1);

		c->closed = c->declared = false;
		c->ch = ipc_channel_new(l->s->base, fd, (struct ipc_ends){
		    s->role, ROLE_STORAGE, s->instance, 0 }, handlers, 1,
		    on_closed, c);
		if (c->ch == NULL)
			storm_fail("out of memory");
		ipc_channel_set_state(c->ch, IPC_RUNNING);
		for (uint64_t seq = c->acked + 1; seq <= c->sent; seq++) {
			send_batch(c, seq, SAMPLES_RESEND);
			l->resent++;
		}
	}
}

void
storm_load_tick(struct storm_load *l)
{
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		if (l->c[i].sent - l->c[i].acked >= UNACKED_MAX)
			return;
	l->tick++;
	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		struct storm_client *c = &l->c[i];

		if (c->closed)
			storm_fail("storage closed client %u's channel", i);
		/* one after the other */
		if ((l->tick + i * 3) % storm_shapes[i].every == 0)
			send_batch(c, ++c->sent, 0);
	}
}

bool
storm_load_is_acked(const struct storm_load *l)
{
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		if (l->c[i].acked != l->c[i].sent)
			return false;
	return true;
}

void
storm_load_disconnect(struct storm_load *l)
{
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		if (l->c[i].ch != NULL) {
			ipc_channel_free(l->c[i].ch);
			l->c[i].ch = NULL;
		}
}
