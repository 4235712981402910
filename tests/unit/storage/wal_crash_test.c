/* SPDX-License-Identifier: ISC */

/*
 * Crashes and failures at every system call that changes the disk. The calls
 * are replaced here: the n-th one fails, or ends the process after half of
 * its work. Whatever happens, every batch whose commit succeeded is found
 * by the next replay, the samples found are a part of what was written, and
 * a replay that was itself interrupted while repairing loses nothing more.
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/tsdb/record.h"
#include "common/tsdb/wal_format.h"
#include "workers/storage/replay.h"
#include "workers/storage/wal_writer.h"

#define BATCHES	40

/* --- the calls --- */

enum fate { PASS, FAIL, CRASH };

static struct {
	int		at;	/* the call that meets its fate, from 1 */
	enum fate	fate;
	int		calls;
	off_t		bad_from;	/* offset that cannot be read, 0 = none */
} plan;

ssize_t
pread(int fd, void *p, size_t n, off_t off)
{
	if (plan.bad_from > 0 && off + (off_t)n > plan.bad_from) {
		if (off >= plan.bad_from) {
			errno = EIO;
			return -1;
		}
		n = (size_t)(plan.bad_from - off);
	}
	return syscall(SYS_pread64, fd, p, n, off);
}

static enum fate
next_call(void)
{
	return ++plan.calls == plan.at ? plan.fate : PASS;
}

static ssize_t
put(long number, int fd, const void *p, size_t n, off_t off)
{
	enum fate f = fd > 2 ? next_call() : PASS;

	if (f != PASS)
		(void)syscall(number, fd, p, n / 2, off);
	if (f == CRASH)
		_exit(0);
	if (f == FAIL) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(number, fd, p, n, off);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	return put(SYS_pwrite64, fd, p, n, off);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	return put(SYS_write, fd, p, n, 0);
}

/* All or nothing; a crash comes before. */
#define CALL(rc, call) do {						\
	enum fate f_ = next_call();					\
	if (f_ == CRASH)						\
		_exit(0);						\
	if (f_ == FAIL) {						\
		errno = EIO;						\
		rc = -1;						\
	} else								\
		rc = (int)(call);					\
} while (0)

int
ftruncate(int fd, off_t n)
{
	int rc;

	CALL(rc, syscall(SYS_ftruncate, fd, n));
	return rc;
}

int
renameat(int afd, const char *a, int bfd, const char *b)
{
	int rc;

	CALL(rc, syscall(SYS_renameat, afd, a, bfd, b));
	return rc;
}

int
fdatasync(int fd)
{
	int rc;

	CALL(rc, syscall(SYS_fdatasync, fd));
	return rc;
}

int
openat(int dirfd, const char *name, int flags, ...)
{
	va_list ap;
	mode_t mode;
	int rc;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (!(flags & O_CREAT))
		return (int)syscall(SYS_openat, dirfd, name, flags, mode);
	CALL(rc, syscall(SYS_openat, dirfd, name, flags, mode));
	return rc;
}

/* --- a writer of numbered samples --- */

/* Shared with the child that writes. */
struct progress {
	int	committed[BATCHES];	/* its samples are safe */
	int	done;
	int	calls;
};

/* Batch b has one sample per series, value b. */
static void
add_batch(struct wal_writer *w, int b, struct err *err)
{
	static struct record_sample s[700];
	size_t n = 20 + (size_t)b * 17 % 680;
	struct buf out;

	for (size_t i = 0; i < n; i++)
		s[i] = (struct record_sample){ 1 + i, 1000 * b, b };
	buf_init(&out, 0);
	record_put_samples(&out, s, n);
	(void)wal_writer_add(w, buf_str(&out), err);
	buf_clear(&out);
}

static void
add_series(struct wal_writer *w, struct err *err)
{
	struct label l = { STR_LIT("i"), STR_EMPTY };
	struct buf out;

	buf_init(&out, 0);
	record_begin_series(&out);
	for (uint64_t i = 1; i <= 700; i++) {
		char value[16];

		(void)snprintf(value, sizeof(value), "%d", (int)i);
		l.value = str_c(value);
		record_add_series(&out, i, (struct labels){ &l, 1 });
	}
	(void)wal_writer_add(w, buf_str(&out), err);
	buf_clear(&out);
}

static void
write_all(int dirfd, enum compress_codec codec, struct progress *p)
{
	struct wal_writer_opts o = { dirfd, 0, 2 * WAL_PAGE_BYTES, codec, NULL };
	struct err err = ERR_INIT;
	struct wal_writer *w;
	bool series = false;

	if (wal_writer_open(&o, &w, &err) == -1)
		return;
	for (int b = 0; b < BATCHES; b++) {
		if (!series)
			add_series(w, &err);
		add_batch(w, b, &err);
		p->committed[b] = wal_writer_commit(w, &err) == 0;
		series |= p->committed[b];
	}
	(void)wal_writer_close(w, &err);
	p->calls = plan.calls;
	p->done = 1;
}

/* --- what replay finds --- */

struct found {
	size_t	n[BATCHES];	/* samples of each batch */
	int	last[701];	/* batch of each series' newest sample */
};

static int
on_series(void *arg, uint64_t ref, struct labels labels, uint64_t *handle,
    struct err *err)
{
	(void)arg;
	(void)labels;
	(void)err;
	*handle = ref;
	return 0;
}

static int
on_samples(void *arg, const struct record_sample *s, size_t n,
    struct err *err)
{
	struct found *f = arg;

	(void)err;
	for (size_t i = 0; i < n; i++) {
		int b = (int)s[i].v;

		assert_true(s[i].ref <= 700 && b < BATCHES);
		assert_true(b >= f->last[s[i].ref]);
		assert_int_equal(s[i].t_ms, 1000 * b);
		f->last[s[i].ref] = b;
		f->n[b]++;
	}
	return 0;
}

static void
replay(int dirfd, struct found *f, struct replay_stats *st)
{
	struct replay_sink sink = { .arg = f, .on_series = on_series,
	    .on_samples = on_samples };
	struct err err = ERR_INIT;

	memset(f, 0, sizeof(*f));
	if (replay_run(dirfd, &sink, st, &err) == -1)
		fail_msg("%s", err.text);
}

static void
check(const struct progress *p, const struct found *f)
{
	for (int b = 0; b < BATCHES; b++) {
		size_t n = 20 + (size_t)b * 17 % 680;

		/* Whole or not at all; a failed one may be there. */
		assert_true(f->n[b] == 0 || f->n[b] == n);
		if (p->committed[b])
			assert_int_equal(f->n[b], n);
	}
}

/* --- directories --- */

static int
make_dir(char path[64])
{
	int fd;

	(void)snprintf(path, 64, "/tmp/brazier-crash-XXXXXX");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(fd != -1);
	return fd;
}

static void
empty_dir(int fd)
{
	DIR *d = fdopendir(dup(fd));
	struct dirent *e;

	assert_non_null(d);
	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		(void)unlinkat(fd, e->d_name, 0);
	(void)closedir(d);
}

static struct progress *
shared_progress(void)
{
	struct progress *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Runs the writer in a child whose call `at` meets `fate`. */
static void
write_in_child(int dirfd, enum compress_codec codec, struct progress *p,
    int at, enum fate fate)
{
	int status;
	pid_t pid;

	memset(p, 0, sizeof(*p));
	empty_dir(dirfd);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		plan.at = at;
		plan.fate = fate;
		plan.calls = 0;
		write_all(dirfd, codec, p);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_every_call(enum compress_codec codec, enum fate fate)
{
	struct progress *p = shared_progress();
	struct replay_stats st;
	struct found f, again;
	char path[64];
	int dirfd = make_dir(path), last;

	write_in_child(dirfd, codec, p, 0, PASS);
	assert_true(p->done);
	last = p->calls;
	assert_true(last > BATCHES);
	for (int at = 1; at <= last; at++) {
		write_in_child(dirfd, codec, p, at, fate);
		assert_int_equal(p->done, fate == FAIL && at > 1);
		plan.at = 0;
		replay(dirfd, &f, &st);
		check(p, &f);
		/* Failures are cleaned up at once, crashes at replay. */
		if (fate == FAIL)
			assert_int_equal(st.n_corruptions, 0);
		replay(dirfd, &again, &st);
		assert_int_equal(st.n_corruptions, 0);
		assert_memory_equal(&f, &again, sizeof(f));
	}
	empty_dir(dirfd);
	(void)rmdir(path);
	(void)close(dirfd);
	(void)munmap(p, sizeof(*p));
}

static void
test_crash(void **state)
{
	(void)state;
	test_every_call(COMPRESS_NONE, CRASH);
	test_every_call(COMPRESS_SNAPPY, CRASH);
}

static void
test_failure(void **state)
{
	(void)state;
	test_every_call(COMPRESS_NONE, FAIL);
	test_every_call(COMPRESS_SNAPPY, FAIL);
}

/* Flips a byte in the middle and tears the end of segment 1. */
static void
damage(int dirfd)
{
	int fd = openat(dirfd, "00000001", O_RDWR);
	char c;

	assert_true(fd != -1);
	assert_int_equal(pread(fd, &c, 1, 9000), 1);
	c ^= 0x20;
	assert_int_equal(pwrite(fd, &c, 1, 9000), 1);
	assert_int_equal(ftruncate(fd, 40000), 0);
	(void)close(fd);
}

/* A crash or failure in each call of a repair: the next start finds all. */
static void
test_interrupted_repair(void **state)
{
	struct progress *p = shared_progress();
	struct found want, got;
	struct replay_stats st;
	char path[64];
	int dirfd = make_dir(path), last;

	(void)state;
	plan.at = 0;
	write_in_child(dirfd, COMPRESS_NONE, p, 0, PASS);
	damage(dirfd);
	plan.calls = 0;
	replay(dirfd, &want, &st);
	assert_int_equal(st.n_corruptions, 1);
	last = plan.calls;
	assert_true(last >= 6);
	for (int at = 1; at <= last * 2; at++) {
		int status;
		pid_t pid;

		write_in_child(dirfd, COMPRESS_NONE, p, 0, PASS);
		damage(dirfd);
		if ((pid = fork()) == 0) {
			plan.calls = 0;
			plan.at = (at + 1) / 2;
			plan.fate = at & 1 ? CRASH : FAIL;
			replay(dirfd, &got, &st);
			_exit(memcmp(&want, &got, sizeof(got)) != 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		replay(dirfd, &got, &st);
		assert_memory_equal(&want, &got, sizeof(got));
		replay(dirfd, &got, &st);
		assert_memory_equal(&want, &got, sizeof(got));
		assert_int_equal(st.n_corruptions, 0);
	}
	empty_dir(dirfd);
	(void)rmdir(path);
	(void)close(dirfd);
	(void)munmap(p, sizeof(*p));
}

/* A bad sector: what is before it is kept, the file is set aside whole. */
static void
test_unreadable(void **state)
{
	struct progress *p = shared_progress();
	struct found all, got;
	struct replay_stats st;
	struct stat sb;
	char path[64];
	int dirfd = make_dir(path);

	(void)state;
	plan.at = 0;
	write_in_child(dirfd, COMPRESS_NONE, p, 0, PASS);
	replay(dirfd, &all, &st);
	plan.bad_from = 20000;
	replay(dirfd, &got, &st);
	plan.bad_from = 0;
	assert_int_equal(st.n_corruptions, st.n_segments);
	assert_true(got.n[0] == all.n[0] && got.n[BATCHES - 1] == 0);
	assert_int_equal(fstatat(dirfd, "00000000.corrupt", &sb, 0), 0);
	assert_int_equal(sb.st_size, 2 * WAL_PAGE_BYTES);
	replay(dirfd, &all, &st);
	assert_int_equal(st.n_corruptions, 0);
	assert_memory_equal(&all, &got, sizeof(got));
	empty_dir(dirfd);
	(void)rmdir(path);
	(void)close(dirfd);
	(void)munmap(p, sizeof(*p));
}

static void
no_log(void *arg, enum log_level level, const char *line, size_t n)
{
	(void)arg;
	(void)level;
	(void)line;
	(void)n;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_interrupted_repair),
		cmocka_unit_test(test_unreadable),
	};

	log_open("test", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, no_log, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
