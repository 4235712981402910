/* SPDX-License-Identifier: ISC */

/* What the broker opens, finds and watches, and what it refuses. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/wire.h"
#include "supervisor/supervisor.h"

#define HEADER_BYTES	16

struct world {
	struct supervisor	sup;
	struct flags		f;
	struct child		c;
	int			fd;	/* the worker's end */
	char			dir[64];
	char			data[IPC_MSG_MAX + HEADER_BYTES];
	size_t			n;
	int			got_fd;
};

static void
on_closed(void *ctx, struct ipc_channel *ch, const char *why)
{
	(void)ctx;
	(void)ch;
	(void)why;
}

static void
world_open(struct world *w, enum role role)
{
	struct ipc_ends ends = { ROLE_SUPERVISOR, role, 0, 0 };
	struct err err = ERR_INIT;
	int fds[2];

	memset(w, 0, sizeof(*w));
	strcpy(w->dir, "/tmp/brazier-broker-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	flags_init(&w->f);
	w->sup.flags = &w->f;
	w->sup.base = event_base_new();
	w->sup.dirlock.dir_fd = -1;
	w->sup.broker = broker_state_new(&w->sup);
	assert_int_equal(ipc_pair(fds, &err), 0);
	w->c.sup = &w->sup;
	w->c.role = role;
	w->c.state = CHILD_UP;
	w->c.ch = ipc_channel_new(w->sup.base, fds[0], ends, NULL, 0, on_closed,
	    &w->c);
	w->fd = fds[1];
	w->got_fd = -1;
}

static void
world_close(struct world *w)
{
	char command[96];

	broker_forget(&w->c);
	broker_state_free(w->sup.broker);
	log_files_clear(&w->sup.log_files);
	ipc_channel_free(w->c.ch);
	close(w->fd);
	event_base_free(w->sup.base);
	flags_clear(&w->f);
	if (w->sup.dirlock.dir_fd != -1)
		close(w->sup.dirlock.dir_fd);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	assert_int_equal(system(command), 0);
}

/* The next message to the worker; false when there is none. */
static bool
receive(struct world *w)
{
	union { struct cmsghdr h; char b[CMSG_SPACE(sizeof(int))]; } control;
	struct iovec iov = { w->data, sizeof(w->data) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(w->fd, &mh, MSG_DONTWAIT);

	w->got_fd = -1;
	if (n < HEADER_BYTES)
		return false;
	w->n = (size_t)n - HEADER_BYTES;
	if (CMSG_FIRSTHDR(&mh) != NULL)
		memcpy(&w->got_fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
	return true;
}

static const void *
body(const struct world *w)
{
	return w->data + HEADER_BYTES;
}

static void
send_to_broker(struct world *w, void (*handler)(struct child *,
    struct ipc_msg *), unsigned type, const struct buf *b)
{
	struct ipc_msg m = { .type = (uint16_t)type, .id = 7, .data = b->p,
	    .n = b->n };

	handler(&w->c, &m);
}

/* errno of the answer; text in out. */
static int
ask_open(struct world *w, const char *path, uint32_t flags, uint64_t max,
    char out[256])
{
	struct msg_open o = { .flags = flags, .max_bytes = max };
	struct msg_opened answer;
	struct wire_reader r;
	struct str error;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, &o, sizeof(o));
	wire_put_str(&b, str_c(path));
	wire_put_str(&b, STR_LIT("test"));
	send_to_broker(w, broker_on_open, IPC_OPEN, &b);
	buf_clear(&b);
	assert_true(receive(w));
	memcpy(&answer, body(w), sizeof(answer));
	wire_reader_init(&r, (const char *)body(w) + sizeof(answer),
	    w->n - sizeof(answer));
	error = wire_get_str(&r);
	snprintf(out, 256, "%.*s", STR_ARG(error));
	assert_true(wire_end(&r));
	assert_int_equal(w->got_fd == -1, answer.os != 0);
	return answer.os;
}

static void
make_file(const char *dir, const char *name, const char *text)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
test_open(void **state)
{
	char path[160], text[256], want[256], content[8];
	struct world w;

	(void)state;
	world_open(&w, ROLE_SCRAPE);
	make_file(w.dir, "token", "secret\n");
	snprintf(path, sizeof(path), "%s/token", w.dir);
	assert_int_equal(ask_open(&w, path, 0, 0, text), 0);
	assert_int_equal(read(w.got_fd, content, sizeof(content)), 7);
	assert_int_equal(write(w.got_fd, "x", 1), -1);
	close(w.got_fd);
	assert_int_equal(ask_open(&w, path, 0, 6, text), EFBIG);
	snprintf(path, sizeof(path), "%s/none", w.dir);
	assert_int_equal(ask_open(&w, path, 0, 0, text), ENOENT);
	snprintf(want, sizeof(want), "open %s: no such file or directory", path);
	assert_string_equal(text, want);
	assert_int_equal(ask_open(&w, w.dir, 0, 0, text), EISDIR);
	assert_int_equal(ask_open(&w, "/proc/self/environ", 0, 0, text), EINVAL);
	assert_int_equal(ask_open(&w, "/dev/null", 0, 0, text), EINVAL);
	snprintf(path, sizeof(path), "%s/pipe", w.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ask_open(&w, path, 0, 0, text), EINVAL);
	world_close(&w);
}

/* The configuration in force names this one. */
static void
name_log_file(struct world *w, const char *path)
{
	struct wire_reader r;
	struct buf b;

	buf_init(&b, 0);
	wire_put_u32(&b, 1);
	wire_put_str(&b, str_c(path));
	wire_reader_init(&r, b.p, b.n);
	log_files_read(&w->sup.log_files, &r);
	assert_true(wire_end(&r));
	buf_clear(&b);
}

static void
test_policy(void **state)
{
	char path[160], text[256];
	struct world w;

	(void)state;
	world_open(&w, ROLE_STORAGE);
	make_file(w.dir, "f", "x");
	snprintf(path, sizeof(path), "%s/f", w.dir);
	assert_int_equal(ask_open(&w, path, 0, 0, text), EACCES);
	world_close(&w);
	/* Nothing below the data directory, by whatever name. */
	world_open(&w, ROLE_SCRAPE);
	make_file(w.dir, "f", "x");
	w.sup.dirlock.dir_fd = open(w.dir, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "%s/../../tmp/./%.30s/f", w.dir, w.dir + 5);
	assert_int_equal(ask_open(&w, path, 0, 0, text), EACCES);
	world_close(&w);
	/* Log files: created and appended to, by those who keep one. */
	world_open(&w, ROLE_QUERY);
	snprintf(path, sizeof(path), "%s/query.log", w.dir);
	assert_int_equal(ask_open(&w, path, OPEN_APPEND_LOG, 0, text), EACCES);
	assert_int_equal(access(path, F_OK), -1);
	name_log_file(&w, path);
	assert_int_equal(ask_open(&w, path, OPEN_APPEND_LOG, 0, text), 0);
	assert_int_equal(fcntl(w.got_fd, F_GETFL) & (O_APPEND | O_ACCMODE),
	    O_APPEND | O_WRONLY);
	close(w.got_fd);
	world_close(&w);
	world_open(&w, ROLE_WEB);
	snprintf(path, sizeof(path), "%s/x.log", w.dir);
	name_log_file(&w, path);
	assert_int_equal(ask_open(&w, path, OPEN_APPEND_LOG, 0, text), EACCES);
	assert_int_equal(access(path, F_OK), -1);
	world_close(&w);
}

static void
test_malformed(void **state)
{
	struct world w;
	struct buf b;

	(void)state;
	world_open(&w, ROLE_SCRAPE);
	buf_init(&b, 0);
	wire_put_u64(&b, 0);
	wire_put_u64(&b, 0);
	wire_put_str(&b, STR_LIT("a\0b"));
	wire_put_str(&b, STR_EMPTY);
	send_to_broker(&w, broker_on_open, IPC_OPEN, &b);
	assert_false(ipc_channel_is_open(w.c.ch));
	buf_clear(&b);
	world_close(&w);
}

/* Number of paths, -1 with the error in text. */
static int
ask_glob(struct world *w, const char *pattern, char text[256],
    char first[256])
{
	struct wire_reader r;
	struct str error;
	struct buf b;
	uint32_t n;

	buf_init(&b, 0);
	wire_put_str(&b, str_c(pattern));
	wire_put_str(&b, STR_LIT("test"));
	send_to_broker(w, broker_on_glob, IPC_GLOB, &b);
	buf_clear(&b);
	assert_true(receive(w));
	wire_reader_init(&r, body(w), w->n);
	error = wire_get_str(&r);
	snprintf(text, 256, "%.*s", STR_ARG(error));
	n = wire_get_count(&r, 4);
	first[0] = '\0';
	for (uint32_t i = 0; i < n; i++) {
		struct str path = wire_get_str(&r);

		if (i == 0)
			snprintf(first, 256, "%.*s", STR_ARG(path));
	}
	assert_true(wire_end(&r));
	return error.n > 0 ? -1 : (int)n;
}

static void
test_glob(void **state)
{
	char pattern[160], text[256], first[256], want[160];
	struct world w;

	(void)state;
	world_open(&w, ROLE_CONFIG);
	make_file(w.dir, "b.yml", "");
	make_file(w.dir, "a.yml", "");
	make_file(w.dir, ".hidden.yml", "");
	snprintf(pattern, sizeof(pattern), "%s/*.yml", w.dir);
	/* Go's * matches a leading dot. */
	assert_int_equal(ask_glob(&w, pattern, text, first), 3);
	snprintf(pattern, sizeof(pattern), "%s/[ab].yml", w.dir);
	assert_int_equal(ask_glob(&w, pattern, text, first), 2);
	snprintf(want, sizeof(want), "%s/a.yml", w.dir);
	assert_string_equal(first, want);
	snprintf(pattern, sizeof(pattern), "%s/*", w.dir);
	assert_int_equal(ask_glob(&w, pattern, text, first), 3);
	snprintf(pattern, sizeof(pattern), "%s/x*", w.dir);
	assert_int_equal(ask_glob(&w, pattern, text, first), 0);
	assert_int_equal(ask_glob(&w, "/tmp/[a", text, first), -1);
	assert_string_equal(text, "syntax error in pattern");
	world_close(&w);
}

static void
test_watch(void **state)
{
	struct timeval tv = { 2, 200000 };
	char path[160];
	struct world w;
	struct buf b;

	(void)state;
	world_open(&w, ROLE_SCRAPE);
	make_file(w.dir, "f", "1");
	snprintf(path, sizeof(path), "%s/f", w.dir);
	buf_init(&b, 0);
	wire_put_str(&b, str_c(path));
	send_to_broker(&w, broker_on_watch, IPC_WATCH, &b);
	send_to_broker(&w, broker_on_watch, IPC_WATCH, &b);
	buf_clear(&b);
	make_file(w.dir, "f", "22");
	event_base_loopexit(w.sup.base, &tv);
	event_base_dispatch(w.sup.base);
	assert_true(receive(&w));
	assert_false(receive(&w));	/* once, though asked for twice */
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
