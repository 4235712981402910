/* SPDX-License-Identifier: ISC */

/* See log_writer.h. */

#include "supervisor/log_writer.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "ipc/channel.h"

#define LINE_MAX_BYTES	65536
#define LINES_A_TURN	64	/* of one worker before others get theirs */
#define CHUNK_BYTES	4096	/* PIPE_BUF: a writable pipe takes as much */
#define PATIENCE_MS	200	/* per line, for a reader that stands still */

void
log_writer_init(struct log_writer *w, int fd)
{
	w->fd = fd;
	w->lines = w->lost = 0;
}

static void
write_line(struct log_writer *w, const char *line, size_t n)
{
	size_t at = 0;

	while (at < n) {
		struct pollfd p = { .fd = w->fd, .events = POLLOUT };
		size_t part = n - at < CHUNK_BYTES ? n - at : CHUNK_BYTES;
		ssize_t done;

		if (poll(&p, 1, PATIENCE_MS) != 1 || (p.revents & POLLOUT) == 0) {
			w->lost++;
			return;
		}
		done = write(w->fd, line + at, part);
		if (done == -1 && errno != EINTR && errno != EAGAIN) {
			w->lost++;
			return;
		}
		if (done > 0)
			at += (size_t)done;
	}
	w->lines++;
}

void
log_writer_sink(void *arg, enum log_level level, const char *line, size_t n)
{
	(void)level;
	write_line(arg, line, n);
}

/*
 * A worker that was taken over could send anything: no second line, no
 * control byte reaches the terminal or the journal.
 */
static size_t
make_harmless(char *line, size_t n)
{
	while (n > 0 && line[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n] = '\n';
	return n + 1;
}

/* false at the end of the channel. */
static bool
read_lines(struct log_input *in, int max)
{
	char line[LINE_MAX_BYTES + 1];

	while (max-- > 0) {
		ssize_t n = recv(in->fd, line, LINE_MAX_BYTES, MSG_DONTWAIT);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		write_line(in->writer, line, make_harmless(line, (size_t)n));
	}
	return true;
}

static void
readable_cb(evutil_socket_t fd, short what, void *arg)
{
	struct log_input *in = arg;

	(void)fd;
	(void)what;
	if (!read_lines(in, LINES_A_TURN))
		event_del(in->ev);
}

int
log_input_open(struct log_input *in, struct log_writer *w,
    struct event_base *base, int *worker_fd, struct err *err)
{
	int fds[2];

	if (ipc_pair(fds, err) == -1)
		return -1;
	in->writer = w;
	in->fd = fds[0];
	in->ev = event_new(base, fds[0], EV_READ | EV_PERSIST, readable_cb, in);
	if (in->ev == NULL || event_add(in->ev, NULL) == -1) {
		if (in->ev != NULL)
			event_free(in->ev);
		close(fds[0]);
		close(fds[1]);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	*worker_fd = fds[1];
	return 0;
}

void
log_input_close(struct log_input *in)
{
	if (in->ev == NULL)
		return;
	(void)read_lines(in, 10000);
	event_free(in->ev);
	close(in->fd);
	in->ev = NULL;
	in->fd = -1;
}
