/* SPDX-License-Identifier: ISC */
/* A worker's side of the file broker: requests under way, by id. */
#include "ipc/broker.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/wire.h"

struct broker_request {
	uint64_t	 id;
	broker_open_fn	*open_fn;
	broker_glob_fn	*glob_fn;
	void		*arg;
	struct broker_request *next;
};

struct broker {
	struct ipc_channel	*sup;
	struct broker_request	*requests;
	uint64_t		 last_id;
	broker_changed_fn	*changed_fn;
	void			*changed_arg;
};

struct broker *
broker_new(struct ipc_channel *supervisor)
{
	struct broker *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->sup = supervisor;
	return b;
}

void
broker_free(struct broker *b)
{
	struct broker_request *r;

	if (b == NULL)
		return;
	while ((r = b->requests) != NULL) {
		b->requests = r->next;
		free(r);
	}
	free(b);
}

static int
request(struct broker *b, enum ipc_type type, const void *fixed,
    size_t n_fixed, const struct buf *rest, broker_open_fn *open_fn,
    broker_glob_fn *glob_fn, void *arg, struct err *err)
{
	struct broker_request *r = calloc(1, sizeof(*r));
	struct iovec iov[2] = { { .iov_len = n_fixed },
	    { rest->p, rest->n } };

	memcpy(&iov[0].iov_base, &fixed, sizeof(fixed));
	if (r == NULL || buf_failed(rest)) {
		free(r);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (n_fixed + rest->n > IPC_MSG_MAX) {
		free(r);
		return err_set(err, ERR_LIMIT, "path is too long");
	}
	*r = (struct broker_request){ ++b->last_id, open_fn, glob_fn, arg,
	    b->requests };
	if (ipc_sendv(b->sup, type, r->id, iov, 2, NULL, 0, err) == -1) {
		free(r);
		return -1;
	}
	b->requests = r;
	return 0;
}

int
broker_open(struct broker *b, struct str path, const char *reason,
    uint64_t max_bytes, uint32_t flags, broker_open_fn *fn, void *arg,
    struct err *err)
{
	struct msg_open o = { .flags = flags, .max_bytes = max_bytes };
	struct buf rest;
	int r;

	buf_init(&rest, 0);
	wire_put_str(&rest, path);
	wire_put_str(&rest, str_c(reason));
	r = request(b, IPC_OPEN, &o, sizeof(o), &rest, fn, NULL, arg, err);
	buf_clear(&rest);
	return r;
}

int
broker_glob(struct broker *b, struct str pattern, const char *reason,
    broker_glob_fn *fn, void *arg, struct err *err)
{
	struct buf rest;
	int r;

	buf_init(&rest, 0);
	wire_put_str(&rest, pattern);
	wire_put_str(&rest, str_c(reason));
	r = request(b, IPC_GLOB, NULL, 0, &rest, NULL, fn, arg, err);
	buf_clear(&rest);
	return r;
}

int
broker_watch(struct broker *b, struct str path, struct err *err)
{
	struct buf rest;
	int r;

	buf_init(&rest, 0);
	wire_put_str(&rest, path);
	if (buf_failed(&rest) || rest.n > IPC_MSG_MAX)
		r = err_set(err, ERR_LIMIT, "path is too long");
	else
		r = ipc_send(b->sup, IPC_WATCH, 0, rest.p, rest.n, NULL, 0,
		    err);
	buf_clear(&rest);
	return r;
}

void
broker_on_changed(struct broker *b, broker_changed_fn *fn, void *arg)
{
	b->changed_fn = fn;
	b->changed_arg = arg;
}

/* Takes the request out of the list; NULL when it is not there. */
static struct broker_request *
take(struct broker *b, uint64_t id)
{
	struct broker_request **at, *r;

	for (at = &b->requests; (r = *at) != NULL; at = &r->next)
		if (r->id == id) {
			*at = r->next;
			return r;
		}
	return NULL;
}

static void
on_opened(struct broker *b, struct ipc_channel *ch, struct ipc_msg *m)
{
	const struct msg_opened *o = m->data;
	struct err e = ERR_INIT;
	struct broker_request *r;
	struct wire_reader in;
	struct str text;

	wire_reader_init(&in, o + 1, m->n - sizeof(*o));
	text = wire_get_str(&in);
	r = take(b, m->id);
	if (!wire_end(&in) || r == NULL || r->open_fn == NULL ||
	    (o->os == 0) != (m->n_fds == 1)) {
		free(r);
		ipc_violation(ch, m, "not an answer to an open request");
		return;
	}
	if (o->os != 0) {
		err_set(&e, ERR_INTERNAL, "%.*s", STR_ARG(text));
		e.os = o->os;
	}
	r->open_fn(r->arg, ipc_msg_take_fd(m, 0), o->size_bytes, o->mtime_ns,
	    o->os == 0 ? NULL : &e);
	free(r);
}

static void
on_globbed(struct broker *b, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct broker_request *r = take(b, m->id);
	struct err e = ERR_INIT;
	struct wire_reader in;
	struct str text, *paths;
	uint32_t i, n;

	wire_reader_init(&in, m->data, m->n);
	text = wire_get_str(&in);
	n = wire_get_count(&in, 4);
	paths = calloc((size_t)n + 1, sizeof(*paths));
	for (i = 0; paths != NULL && i < n; i++)
		paths[i] = wire_get_str(&in);
	if (paths == NULL || !wire_end(&in) || r == NULL ||
	    r->glob_fn == NULL)
		ipc_violation(ch, m, "not an answer to a glob request");
	else {
		if (text.n != 0)
			err_set(&e, ERR_INTERNAL, "%.*s", STR_ARG(text));
		r->glob_fn(r->arg, paths, n, text.n == 0 ? NULL : &e);
	}
	free(paths);
	free(r);
}

void
broker_on_message(struct broker *b, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct wire_reader in;
	struct str path;

	if (m->type == IPC_OPENED)
		on_opened(b, ch, m);
	else if (m->type == IPC_GLOBBED)
		on_globbed(b, ch, m);
	else {
		wire_reader_init(&in, m->data, m->n);
		path = wire_get_str(&in);
		if (!wire_end(&in))
			ipc_violation(ch, m, "malformed path");
		else if (b->changed_fn != NULL)
			b->changed_fn(b->changed_arg, path);
	}
}
