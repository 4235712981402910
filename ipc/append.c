/* SPDX-License-Identifier: ISC */
/* Encoders and decoders of the append protocol (append.h). */
#include "ipc/append.h"

#include <string.h>

#include "common/base/wire.h"
#include "ipc/memfd.h"

#define FAR_BYTES	((size_t)4 << 20)	/* that a memfd is filled up to */
/* A sample takes a value and an id, and 4 bytes more with its own time. */
#define SAMPLE_BYTES(same_time)	((same_time) ? 12u : 16u)

void
append_series_init(struct append_series *s)
{
	buf_init(&s->b, 0);
	s->n = 0;
}

void
append_series_clear(struct append_series *s)
{
	buf_clear(&s->b);
}

/* More than a message holds: the same bytes in a memfd. */
static int
send_far(struct ipc_channel *ch, struct str bytes, struct err *err)
{
	int fd = memfd_seal("series", bytes, err);

	if (fd == -1)
		return -1;
	return ipc_send(ch, IPC_SERIES, 0, NULL, 0, &fd, 1, err);
}

int
append_series_flush(struct append_series *s, struct ipc_channel *ch,
    struct err *err)
{
	int r;

	if (s->n == 0)
		return 0;
	memcpy(s->b.p, &s->n, sizeof(s->n));
	if (s->b.n > IPC_MSG_MAX) {
		r = send_far(ch, buf_str(&s->b), err);
		buf_clear(&s->b);
	} else {
		r = ipc_send(ch, IPC_SERIES, 0, s->b.p, s->b.n, NULL, 0, err);
		buf_reset(&s->b);
	}
	s->n = 0;
	return r;
}

/* Bytes of one declaration; 0 and err when it is too large. */
static size_t
declaration_bytes(struct labels ls, struct err *err)
{
	size_t n = 8;

	if (ls.n > APPEND_LABELS_MAX) {
		err_set(err, ERR_LIMIT, "series of %zu labels, at most %d are "
		    "allowed", ls.n, APPEND_LABELS_MAX);
		return 0;
	}
	for (size_t i = 0; i < ls.n; i++) {
		const struct label *l = &ls.l[i];

		if (l->name.n > APPEND_LABEL_BYTES_MAX ||
		    l->value.n > APPEND_LABEL_BYTES_MAX) {
			err_set(err, ERR_LIMIT, "label of %zu bytes, at most "
			    "%u are allowed", l->name.n > l->value.n ?
			    l->name.n : l->value.n, APPEND_LABEL_BYTES_MAX);
			return 0;
		}
		n += 8 + l->name.n + l->value.n;
	}
	if (n + 4 > APPEND_SET_BYTES_MAX) {
		err_set(err, ERR_LIMIT, "labels of a series take %zu bytes, "
		    "at most %u are allowed", n, APPEND_SET_BYTES_MAX - 4);
		return 0;
	}
	return n;
}

/* Whether n bytes more still go where the others are. */
static bool
fits(const struct append_series *s, size_t n)
{
	return s->b.n + n <=
	    (s->b.n > IPC_MSG_MAX ? FAR_BYTES : (size_t)IPC_MSG_MAX);
}

int
append_series_add(struct append_series *s, struct ipc_channel *ch,
    uint32_t id, struct labels ls, struct err *err)
{
	size_t i, n = declaration_bytes(ls, err);

	if (n == 0 || (s->n > 0 && !fits(s, n) &&
	    append_series_flush(s, ch, err) == -1))
		return -1;
	if (s->n == 0)
		wire_put_u32(&s->b, 0);	/* the count, set when it is sent */
	wire_put_u32(&s->b, id);
	wire_put_u32(&s->b, (uint32_t)ls.n);
	for (i = 0; i < ls.n; i++) {
		wire_put_str(&s->b, ls.l[i].name);
		wire_put_str(&s->b, ls.l[i].value);
	}
	s->n++;
	if (buf_failed(&s->b))
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int
append_send_batch(struct ipc_channel *ch, uint64_t seq, int64_t base_ms,
    const uint32_t *ids, const double *values, const int32_t *dt_ms, size_t n,
    uint32_t flags, struct err *err)
{
	size_t at = 0, most, k;
	struct msg_samples s = { .seq = seq, .base_ms = base_ms };

	most = (IPC_MSG_MAX - sizeof(s)) / SAMPLE_BYTES(dt_ms == NULL);
	do {
		struct iovec iov[4] = { { &s, sizeof(s) } };
		const void *cols[3];
		size_t i, n_cols = dt_ms == NULL ? 2 : 3;

		k = n - at < most ? n - at : most;
		s.n = (uint32_t)k;
		s.flags = flags | (dt_ms == NULL ? SAMPLES_SAME_TIME : 0u) |
		    (at + k == n ? SAMPLES_COMMIT : 0u);
		cols[0] = values + at;
		cols[1] = ids + at;
		cols[2] = dt_ms == NULL ? NULL : dt_ms + at;
		for (i = 0; i < n_cols; i++) {
			memcpy(&iov[i + 1].iov_base, &cols[i],
			    sizeof(cols[i]));
			iov[i + 1].iov_len = k * (i == 0 ? 8 : 4);
		}
		if (ipc_sendv(ch, IPC_SAMPLES, 0, iov, n_cols + 1, NULL, 0,
		    err) == -1)
			return -1;
		at += k;
	} while (at < n);
	return 0;
}

int
append_forget(struct ipc_channel *ch, const uint32_t *ids, size_t n,
    struct err *err)
{
	const size_t most = (IPC_MSG_MAX - sizeof(struct msg_forget)) / 4;
	struct msg_forget f = { 0 };
	size_t at, k;

	for (at = 0; at < n; at += k) {
		struct iovec iov[2] = { { &f, sizeof(f) } };
		const void *p = ids + at;

		k = n - at < most ? n - at : most;
		f.n = (uint32_t)k;
		memcpy(&iov[1].iov_base, &p, sizeof(p));
		iov[1].iov_len = k * 4;
		if (ipc_sendv(ch, IPC_FORGET, 0, iov, 2, NULL, 0, err) == -1)
			return -1;
	}
	return 0;
}

static const char *
read_declarations(const void *data, size_t bytes,
    int (*fn)(void *arg, uint32_t id, struct labels ls), void *arg)
{
	struct label l[APPEND_LABELS_MAX];
	struct wire_reader r;
	uint32_t i, k, n, n_labels, id;

	wire_reader_init(&r, data, bytes);
	n = wire_get_count(&r, 8);
	for (i = 0; i < n && !r.failed; i++) {
		id = wire_get_u32(&r);
		n_labels = wire_get_count(&r, 8);
		if (n_labels > APPEND_LABELS_MAX || id == 0 ||
		    id > APPEND_ID_MAX)
			return "series number or label count out of range";
		for (k = 0; k < n_labels; k++) {
			l[k].name = wire_get_str(&r);
			l[k].value = wire_get_str(&r);
			if (l[k].name.n == 0 || l[k].value.n == 0 ||
			    (k > 0 && str_cmp(l[k - 1].name, l[k].name) >= 0))
				return "labels not sorted, or empty";
		}
		if (r.failed)
			break;
		if (fn(arg, id, (struct labels){ l, n_labels }) == -1)
			return "series refused";
	}
	return wire_end(&r) ? NULL : "malformed series";
}

const char *
append_series_read(const struct ipc_msg *m,
    int (*fn)(void *arg, uint32_t id, struct labels ls), void *arg)
{
	struct err err = ERR_INIT;
	struct str far;
	const char *why;

	if (m->n_fds == 0)
		return read_declarations(m->data, m->n, fn, arg);
	if (m->n != 0)
		return "series beside a memfd of series";
	if (memfd_map(m->fds[0], APPEND_SET_BYTES_MAX, &far, &err) == -1)
		return "not a sealed memfd of series";
	why = read_declarations(far.p, far.n, fn, arg);
	memfd_unmap(far);
	return why;
}

const char *
append_samples_read(const struct ipc_msg *m, struct append_samples *out)
{
	const struct msg_samples *s = m->data;
	const uint8_t *p = (const uint8_t *)(s + 1);
	bool same = (s->flags & SAMPLES_SAME_TIME) != 0;
	size_t left = m->n - sizeof(*s);

	if ((s->flags & ~(uint32_t)(SAMPLES_COMMIT | SAMPLES_RESEND |
	    SAMPLES_SAME_TIME)) != 0)
		return "unknown flags";
	if ((uint64_t)s->n * SAMPLE_BYTES(same) != left)
		return "wrong number of samples";
	*out = (struct append_samples){ .seq = s->seq, .base_ms = s->base_ms,
	    .n = s->n, .flags = s->flags,
	    /* data is 16-byte aligned and the header has 24 bytes */
	    .values = (const double *)(const void *)p,
	    .ids = (const uint32_t *)(const void *)(p + (size_t)s->n * 8),
	    .dt_ms = same ? NULL : (const int32_t *)(const void *)(p +
	    (size_t)s->n * 12) };
	return NULL;
}
