/* SPDX-License-Identifier: ISC */
/*
 * Files through the broker, one after the other: each call asks and then
 * lets the supervisor's channel run until the answer is there.
 */

#include <errno.h>
#include <unistd.h>

#include "ipc/broker.h"
#include "workers/config/config_worker.h"

#define PUMP_MS		1000
/* The supervisor's own deadline for a load is shorter. */
#define PUMPS_MAX	120
#define READ_STEP	65536

struct answer {
	bool			 done;
	int			 fd;
	struct conf_list	*paths;
	bool			 failed;
	struct err		*err;
};

static void
on_opened(void *arg, int fd, int64_t size_bytes, int64_t mtime_ns,
    const struct err *err)
{
	struct answer *a = arg;

	(void)size_bytes;
	(void)mtime_ns;
	a->done = true;
	a->fd = fd;
	if (fd == -1) {
		a->failed = true;
		*a->err = *err;
	}
}

static void
on_globbed(void *arg, const struct str *paths, size_t n,
    const struct err *err)
{
	struct answer *a = arg;
	size_t i;

	a->done = true;
	if (err != NULL && err->kind != ERR_NONE) {
		a->failed = true;
		*a->err = *err;
		return;
	}
	for (i = 0; i < n; i++)
		if (conf_list_add(a->paths, paths[i]) == -1) {
			a->failed = true;
			(void)err_set(a->err, ERR_NOMEM, "out of memory");
			return;
		}
}

static int
wait_for(struct config_worker *cw, struct answer *a)
{
	int i;

	for (i = 0; i < PUMPS_MAX && !a->done; i++)
		if (!ipc_channel_pump(worker_supervisor(cw->w), PUMP_MS))
			break;
	/* An answer that comes later would write into a dead frame. */
	if (!a->done)
		fatal("the file broker does not answer");
	return a->failed ? -1 : 0;
}

static int
read_all(int fd, struct str path, struct buf *out, struct err *err)
{
	off_t at = 0;
	ssize_t n;
	char *p;

	for (;;) {
		p = buf_reserve(out, READ_STEP);
		if (p == NULL)
			return err_set(err, ERR_LIMIT, "read %.*s: file is "
			    "too large", STR_ARG(path));
		n = pread(fd, p, READ_STEP, at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_os(err, "read %.*s", STR_ARG(path));
		if (n == 0)
			return 0;
		out->n += (size_t)n;
		at += n;
	}
}

static int
broker_read(void *arg, struct str path, const char *reason, struct buf *out,
    struct err *err)
{
	struct config_worker *cw = arg;
	struct answer a = { .fd = -1, .err = err };
	int rc;

	if (broker_open(cw->broker, path, reason, CONFIG_FILE_MAX, 0,
	    on_opened, &a, err) == -1 || wait_for(cw, &a) == -1)
		return -1;
	rc = read_all(a.fd, path, out, err);
	(void)close(a.fd);
	return rc;
}

static int
broker_expand(void *arg, struct str pattern, const char *reason,
    struct conf_list *out, struct err *err)
{
	struct config_worker *cw = arg;
	struct answer a = { .fd = -1, .paths = out, .err = err };

	if (broker_glob(cw->broker, pattern, reason, on_globbed, &a,
	    err) == -1)
		return -1;
	return wait_for(cw, &a);
}

struct config_files
config_files_broker(struct config_worker *cw)
{
	return (struct config_files){
		.arg = cw, .read = broker_read, .glob = broker_expand,
	};
}
