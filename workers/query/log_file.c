/* SPDX-License-Identifier: ISC */
/*
 * The file of the query log. The broker opens it, for each (re)load anew, so
 * that a file that was moved away is let go:
 *
 *	prepare ─ OPEN ─▶ broker ─ OPENED ─▶ next_fd ─▶ PREPARED
 *	commit: next_fd takes fd's place	abort: next_fd is closed
 *
 * All query processes append to the same file, a line a write(), which the
 * kernel keeps whole. A line that cannot be written is counted and told, the
 * query goes on. A worker that restarts while the file cannot be opened
 * works without it: the configuration was accepted when it could be.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "workers/query/query.h"

#define TEXT_OF(x)	#x
#define TEXT(x)		TEXT_OF(x)
#define SOURCE		"log_file.c:" TEXT(__LINE__)

static void
close_fd(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

static void
failed(struct query_log *l, const char *what, const char *text)
{
	uint64_t dropped;

	metrics_inc(l->m_failures);
	if (log_limit_ok(&l->limit, &dropped))
		log_error("can't log query", F_STR("what", what),
		    F_STR("err", text), F_UINT("dropped", dropped));
}

int
query_log_init(struct query *q, struct err *err)
{
	struct query_log *l = &q->log;
	struct metrics *m = worker_metrics(q->w);

	/* beyond RLIMIT_FSIZE a write is to fail, not to kill */
	(void)signal(SIGXFSZ, SIG_IGN);
	l->fd = l->next_fd = -1;
	l->m_enabled = metrics_get(m, METRIC_ENGINE_LOG_ENABLED, "");
	l->m_failures = metrics_get(m, METRIC_ENGINE_LOG_FAILURES, "");
	l->broker = broker_new(worker_supervisor(q->w));
	return l->broker == NULL ? err_set(err, ERR_NOMEM, "out of memory") :
	    0;
}

/* The generation is the one we were started with: it is in force already. */
static bool
is_catching_up(const struct query *q, uint32_t gen)
{
	return gen == worker_generation(q->w);
}

static void
opened_cb(void *arg, int fd, int64_t size_bytes, int64_t mtime_ns,
    const struct err *open_err)
{
	struct query *q = arg;
	struct query_log *l = &q->log;
	struct err err = ERR_INIT;

	(void)size_bytes;
	(void)mtime_ns;
	/* answers come in order: an earlier one is of what was thrown away */
	if (--l->n_opening > 0 || l->preparing == 0) {
		close_fd(&fd);
		return;
	}
	if (open_err != NULL) {
		err = *open_err;
		(void)err_wrap(&err, "can't create json log file");
		if (is_catching_up(q, l->preparing)) {
			failed(l, "opening", err.text);
			err.kind = ERR_NONE;
		}
	}
	l->next_fd = fd;
	worker_prepared(q->w, l->preparing, err.kind == ERR_NONE ? NULL :
	    &err);
	l->preparing = 0;
}

int
query_log_prepare(struct query *q, uint32_t gen, struct str path,
    struct err *err)
{
	struct query_log *l = &q->log;

	close_fd(&l->next_fd);
	l->preparing = 0;
	if (path.n == 0)
		return 0;
	if (broker_open(l->broker, path, "query log", 0, OPEN_APPEND_LOG,
	    opened_cb, q, err) == -1)
		return -1;
	l->n_opening++;
	l->preparing = gen;
	return 1;
}

void
query_log_commit(struct query *q)
{
	struct query_log *l = &q->log;

	close_fd(&l->fd);
	l->fd = l->next_fd;
	l->next_fd = -1;
	l->is_torn = false;
	/* the sum over all processes is to be 1 */
	if (worker_instance(q->w) == 0)
		metrics_set(l->m_enabled, l->fd != -1);
}

void
query_log_abort(struct query *q)
{
	close_fd(&q->log.next_fd);
	q->log.preparing = 0;
}

void
query_on_opened(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	struct query *q = ctx;

	broker_on_message(q->log.broker, ch, m);
}

void
query_log_write(struct query *q, const struct query_record *r)
{
	struct query_log *l = &q->log;
	struct buf b;
	ssize_t n;

	if (l->fd == -1)
		return;
	buf_init(&b, 0);
	/* ends what a full disk left of an earlier line */
	if (l->is_torn)
		buf_add_byte(&b, '\n');
	query_log_line(&b, wall_now_ns(), SOURCE, r);
	if (buf_failed(&b)) {
		failed(l, "writing", "out of memory");
		buf_clear(&b);
		return;
	}
	do {
		n = write(l->fd, b.p, b.n);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		failed(l, "writing", strerror(errno));
	else if ((size_t)n < b.n)
		failed(l, "writing", "no space for the whole line");
	if (n >= 0)
		l->is_torn = (size_t)n < b.n;
	buf_clear(&b);
}
