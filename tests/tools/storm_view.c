/* SPDX-License-Identifier: ISC */

/*
 * A reader that believes nothing: of one picture of the head it decodes
 * every sample, knows from the sample which batch it must belong to, and
 * counts. Batches are committed in their order, so what is there must be
 * whole up to the newest and nothing beyond.
 */

#include "tests/tools/storm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/vec.h"
#include "common/tsdb/chunk_xor.h"
#include "ipc/channel.h"

struct slot_name {
	uint32_t	client;		/* + 1; 0: not looked at yet */
	uint32_t	index;
};

/* --- the channel --- */

static void
on_head_map(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct storm_view *v = ctx;
	struct err err = ERR_INIT;
	int fd = ipc_msg_take_fd(m, 0);

	(void)ch;
	if (head_reader_open(&v->r, fd, v->page_fd, &err) == -1)
		storm_fail("mapping the head: %s", err.text);
	(void)close(fd);
	v->mapped = true;
}

static void
on_file_add(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_chunks_file *f = m->data;
	struct storm_view *v = ctx;
	struct err err = ERR_INIT;

	(void)ch;
	if (head_files_add(&v->files, f->file, ipc_msg_take_fd(m, 0),
	    &err) == -1)
		storm_fail("chunk file: %s", err.text);
}

static void
on_file_drop(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_chunks_file *f = m->data;
	struct storm_view *v = ctx;

	(void)ch;
	head_files_drop(&v->files, f->file);
}

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	(void)ch;
	(void)why;
	((struct storm_view *)ctx)->closed = true;
}

static const struct ipc_handler handlers[] = {
	{ IPC_HEAD_MAP, on_head_map },
	{ IPC_CHUNKS_FILE_ADD, on_file_add },
	{ IPC_CHUNKS_FILE_DROP, on_file_drop },
};

static bool
files_more(void *arg)
{
	struct storm_view *v = arg;
	size_t before = v->files.n;

	(void)ipc_channel_pump(v->ch, 0);
	return v->files.n > before;
}

void
storm_view_open(struct storm_view *v, struct event_base *base, int fd,
    uint32_t instance, int64_t start_ms)
{
	struct err err = ERR_INIT;
	int page;

	*v = (struct storm_view){ .start_ms = start_ms };
	v->page_fd = head_reader_page_new(&err);
	page = fcntl(v->page_fd, F_DUPFD_CLOEXEC, 3);
	v->t = xcalloc(CHUNK_XOR_SAMPLES_MAX, sizeof(*v->t));
	v->v = xcalloc(CHUNK_XOR_SAMPLES_MAX, sizeof(*v->v));
	head_files_init(&v->files);
	v->files.more = files_more;
	v->files.arg = v;
	v->ch = ipc_channel_new(base, fd, (struct ipc_ends){ ROLE_QUERY,
	    ROLE_STORAGE, instance, 0 }, handlers,
	    sizeof(handlers) / sizeof(handlers[0]), on_closed, v);
	if (v->ch == NULL || page == -1)
		storm_fail("a reader: %s", err.text);
	ipc_channel_set_state(v->ch, IPC_RUNNING);
	if (ipc_send(v->ch, IPC_READER_JOIN, 0, NULL, 0, &page, 1,
	    &err) == -1)
		storm_fail("joining: %s", err.text);
}

void
storm_view_close(struct storm_view *v)
{
	ipc_channel_free(v->ch);
	if (v->mapped)
		head_reader_close(&v->r);
	head_files_clear(&v->files);
	(void)close(v->page_fd);
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		free(v->count[i]);
	free(v->names);
	free(v->t);
	free(v->v);
}

/* --- one picture --- */

static uint32_t
number_of(struct str s)
{
	char text[16];

	if (s.n == 0 || s.n >= sizeof(text))
		return UINT32_MAX;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return (uint32_t)strtoul(text, NULL, 10);
}

static const struct slot_name *
name_of(struct storm_view *v, uint32_t slot, const struct head_series_view *s)
{
	struct slot_name *n;

	while (v->n_names <= slot) {
		if (vec_grow(&v->names, &v->cap_names, v->n_names + 1,
		    sizeof(*v->names)) == -1)
			storm_fail("out of memory");
		v->names[v->n_names++] = (struct slot_name){ 0, 0 };
	}
	n = &v->names[slot];
	if (n->client != 0)
		return n;
	/* __name__, client, i: names sort like this */
	if (s->n_labels != 3 || !str_eq_c(head_symbol_text(&v->r,
	    s->label[0].value), "storm"))
		storm_fail("slot %u is a series that nobody declared", slot);
	n->client = number_of(head_symbol_text(&v->r, s->label[1].value)) + 1;
	n->index = number_of(head_symbol_text(&v->r, s->label[2].value));
	if (n->client == 0 || n->client > STORM_CLIENTS)
		storm_fail("slot %u has labels that nobody declared", slot);
	return n;
}

static void
count_sample(struct storm_view *v, unsigned client, uint32_t index,
    int64_t t_ms, double value)
{
	uint64_t seq = shape_batch(v->start_ms, client, index, t_ms, value);
	size_t at;

	if (seq == 0)
		storm_fail("client %u series %u: nobody sent %.17g at %lld",
		    client, index, value, (long long)t_ms);
	if (seq < v->from[client])
		return;		/* begins before the window */
	at = seq - v->from[client];
	if (at >= (1u << 26) || vec_grow(&v->count[client],
	    &v->cap_count[client], at + 1, sizeof(uint32_t)) == -1)
		storm_fail("batch %llu is too far", (unsigned long long)seq);
	while (v->top[client] < seq)
		v->count[client][++v->top[client] - v->from[client]] = 0;
	v->count[client][at]++;
}

static void
read_chunk(struct storm_view *v, const struct head_chunk_view *k)
{
	const uint8_t *data = k->data;
	size_t len = k->len_bytes;
	struct head_file_chunk in_file;
	struct err err = ERR_INIT;

	if (k->in_file) {
		if (head_files_chunk(&v->files, k->file, k->file_off,
		    &in_file, &err) == -1)
			storm_fail("chunk in a file: %s", err.text);
		data = in_file.data;
		len = in_file.len_bytes;
	}
	if (chunk_xor_decode(data, len, k->n_samples, v->t, v->v) == -1)
		storm_fail("a torn chunk of %u samples", k->n_samples);
}

static void
read_series(struct storm_view *v, uint32_t slot,
    const struct head_capture *c, int64_t from_ms)
{
	const struct slot_name *name;
	struct head_series_view s;
	struct head_chunk_view k;
	struct err err = ERR_INIT;
	int64_t last = INT64_MIN;
	uint32_t i;

	if (head_reader_series(&v->r, slot, &s, &err) != 1)
		storm_fail("slot %u: %s", slot, err.text);
	name = name_of(v, slot, &s);
	if (head_reader_chunk_from(&v->r, c, from_ms, &i, &err) == -1)
		storm_fail("slot %u: %s", slot, err.text);
	for (; i < c->n; i++) {
		if (head_reader_chunk(&v->r, c, i, &k, &err) == -1)
			storm_fail("slot %u: %s", slot, err.text);
		if (k.n_samples == 0)
			continue;
		read_chunk(v, &k);
		for (uint32_t n = 0; n < k.n_samples; n++) {
			if (v->t[n] <= last)
				storm_fail("slot %u: %lld after %lld", slot,
				    (long long)v->t[n], (long long)last);
			last = v->t[n];
			count_sample(v, name->client - 1, name->index, last,
			    v->v[n]);
		}
		v->n_samples += k.n_samples;
	}
}

static void
check_batches(struct storm_view *v, unsigned client)
{
	uint32_t want = shape_samples(client);

	for (uint64_t seq = v->from[client]; seq <= v->top[client]; seq++) {
		uint32_t n = v->count[client][seq - v->from[client]];

		if (n != want)
			storm_fail("client %u: %u of %u samples of batch "
			    "%llu, the newest is %llu", client, n, want,
			    (unsigned long long)seq,
			    (unsigned long long)v->top[client]);
	}
	if (v->top[client] < v->from[client] &&
	    v->newest[client] < v->from[client])
		return;		/* the window begins behind all there is */
	if (v->top[client] < v->newest[client])
		storm_fail("client %u: batch %llu was there, %llu is now",
		    client, (unsigned long long)v->newest[client],
		    (unsigned long long)v->top[client]);
	v->newest[client] = v->top[client];
}

static void
select_series(struct storm_view *v, struct arena *a, int client,
    struct postings *slots, struct head_capture **c)
{
	struct err err = ERR_INIT;
	const struct matcher *list[1];
	struct matcher m;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", client);
	if (matcher_init(&m, MATCH_EQUAL, STR_LIT("client"), str_c(text),
	    &err) == -1)
		storm_fail("%s", err.text);
	list[0] = &m;
	if (head_reader_select(&v->r, a, list, client >= 0, slots, c,
	    &err) == -1)
		storm_fail("selecting: %s", err.text);
	matcher_clear(&m);
}

void
storm_view_pass(struct storm_view *v, int64_t from_ms, int client,
    unsigned hold_ms)
{
	struct head_capture *c;
	struct postings slots;
	uint64_t commit = v->r.commit;
	struct arena a;

	for (unsigned i = 0; i < STORM_CLIENTS; i++) {
		v->from[i] = shape_batch_from(v->start_ms, i, from_ms);
		v->top[i] = v->from[i] - 1;
	}
	arena_init(&a, 0);
	head_reader_begin(&v->r);
	select_series(v, &a, client, &slots, &c);
	if (v->r.commit < commit)
		storm_fail("commit %llu after %llu",
		    (unsigned long long)v->r.commit,
		    (unsigned long long)commit);
	if (hold_ms > 0)
		(void)usleep(hold_ms * 1000);
	for (size_t i = 0; i < slots.n; i++)
		read_series(v, slots.id[i], &c[i], from_ms);
	head_reader_end(&v->r);
	arena_clear(&a);
	for (unsigned i = 0; i < STORM_CLIENTS; i++)
		if (client < 0 || client == (int)i)
			check_batches(v, i);
	v->n_passes++;
}
