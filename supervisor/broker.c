/* SPDX-License-Identifier: ISC */

/*
 * Opens files for workers that have no open() of their own.
 *
 * Policy: only roles whose policy says so; with the service user's identity,
 * never root's, but for the files that a flag of ours names (--config.file,
 * --web.config.file); read-only, without blocking, regular files up to a size;
 * nothing of the kernel's file systems and nothing inside the data directory
 * (the data is storage's). Log files that the configuration names are the one
 * thing that may be written: appended to, by the roles that keep one; pipes and terminals are as good,
 * and a log may lie in the data directory itself, as is usual where nothing
 * else can be written, beside what is there but not below. Every open states
 * role and reason in the debug log.
 *
 * Watching is a look at each file's status every two seconds: files are few,
 * and a look follows renames, links and network file systems alike.
 */

#include <sys/stat.h>
#include <sys/vfs.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/base/wire.h"
#include "supervisor/supervisor.h"

#define OPEN_MAX_BYTES		(64ULL << 20)	/* when the worker names none */
#define GLOB_ENTRIES_MAX	100000		/* directory entries looked at */
#define GLOB_ANSWER_MAX		(IPC_MSG_MAX - 64)
#define WATCHES_MAX		1024		/* of one worker */
#define WATCH_INTERVAL_S	2	/* see resolver_files.c on inotify */

struct watch {
	struct child	*child;
	char		*path;
	struct stat	 st;		/* all zero = was not there */
};

struct broker_state {
	struct supervisor	*sup;
	struct watch		*watches;
	size_t			 n, cap;
	struct event		*timer;
};

/* Go writes the kernel's messages in lower case. */
static void
error_text(struct err *err, const char *call, const char *path, int e)
{
	char text[128];

	snprintf(text, sizeof(text), "%s", strerror(e));
	text[0] = (char)tolower((unsigned char)text[0]);
	err_set(err, ERR_NOT_FOUND, "%s %s: %s", call, path, text);
	err->os = e;
}

static bool
is_kernel_fs(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == -1)
		return true;
	switch ((unsigned long)fs.f_type) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case SECURITYFS_MAGIC:
		return true;
	default:
		return false;
	}
}

/* Names in the data directory that are no log file's. */
static bool
is_reserved(const char *name)
{
	static const char *const names[] = {
		"lock", "queries.active", "control.sock", "wal", "wbl",
		"chunks_head", "snapshots"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * True when what was opened is of the data directory: below it, or for a log
 * file (append) deeper than in it. as_dir: fd is the parent of one to come.
 */
static bool
is_in_data_dir(const struct supervisor *sup, int fd, bool append, bool as_dir)
{
	char link[64], dir[4096], file[4096];
	ssize_t n, k;

	if (sup->dirlock.dir_fd == -1)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", sup->dirlock.dir_fd);
	n = readlink(link, dir, sizeof(dir) - 1);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	k = readlink(link, file, sizeof(file) - 1);
	if (n <= 0 || k <= 0)
		return true;
	file[k] = '\0';
	if (k <= n || memcmp(dir, file, (size_t)n) != 0 || file[n] != '/')
		return false;
	return !append || as_dir || strchr(file + n + 1, '/') != NULL ||
	    is_reserved(file + n + 1);
}

/*
 * Opens a log file, made if it is not there; but nothing is made below the
 * data directory.
 */
static int
open_log(const struct supervisor *sup, const char *path)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);
	bool refused;
	int fd;

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)n, path);
	fd = open(slash == NULL ? "." : n == 0 ? "/" : parent,
	    O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	refused = is_in_data_dir(sup, fd, true, true);
	close(fd);
	if (refused) {
		errno = EACCES;
		return -1;
	}
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC, 0640);
}

static int
check_opened(const struct supervisor *sup, int fd, const char *path,
    uint64_t max_bytes, bool append, struct stat *st, struct err *err)
{
	if (fstat(fd, st) == -1) {
		error_text(err, "stat", path, errno);
		return -1;
	}
	if (S_ISDIR(st->st_mode)) {
		error_text(err, "read", path, EISDIR);
		return -1;
	}
	if (append && (S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode)))
		return 0;
	if (!S_ISREG(st->st_mode) || is_kernel_fs(fd)) {
		err_set(err, ERR_BAD_DATA, "open %s: not a regular file", path);
		err->os = EINVAL;
		return -1;
	}
	if (is_in_data_dir(sup, fd, append, false)) {
		error_text(err, "open", path, EACCES);
		return -1;
	}
	if (!append && (uint64_t)st->st_size > max_bytes) {
		err_set(err, ERR_LIMIT, "open %s: %lld bytes are more than the "
		    "limit of %llu", path, (long long)st->st_size,
		    (unsigned long long)max_bytes);
		err->os = EFBIG;
		return -1;
	}
	return 0;
}

/* Whoever started us named this very file for this very role. */
static bool
is_named_by_flag(const struct child *c, const char *path)
{
	const struct flags *f = c->sup->flags;

	if (c->role == ROLE_CONFIG &&
	    strcmp(path, flags_str(f, FLAG_CONFIG_FILE)) == 0)
		return true;
	return (c->role == ROLE_CONFIG || c->role == ROLE_WEB) &&
	    flags_is_set(f, FLAG_WEB_CONFIG_FILE) &&
	    strcmp(path, flags_str(f, FLAG_WEB_CONFIG_FILE)) == 0;
}

static int
open_for(const struct child *c, const char *path, uint32_t flags,
    uint64_t max_bytes, struct stat *st, struct err *err)
{
	const struct role_policy *policy = &role_policies[c->role];
	bool append = (flags & OPEN_APPEND_LOG) != 0, own;
	int fd, e;

	if (!policy->may_open || (append && (!policy->may_append ||
	    !reload_names_log_file(c->sup, path)))) {
		error_text(err, "open", path, EACCES);
		return -1;
	}
	own = !append && is_named_by_flag(c, path);
	if (!own && identity_enter(&c->sup->identity, err) == -1)
		return -1;
	fd = append ? open_log(c->sup, path) :
	    open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	e = errno;
	if (!own)
		identity_leave(&c->sup->identity);
	if (fd == -1) {
		error_text(err, "open", path, e);
		return -1;
	}
	if (check_opened(c->sup, fd, path, max_bytes == 0 ? OPEN_MAX_BYTES :
	    max_bytes, append, st, err) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A path of a message: terminated, without NULs. NULL = not acceptable. */
static char *
path_take(struct str s)
{
	if (s.n == 0 || s.n >= 4096 || memchr(s.p, '\0', s.n) != NULL)
		return NULL;
	return str_dup(s);
}

void
broker_on_open(struct child *c, struct ipc_msg *m)
{
	const struct msg_open *o = m->data;
	struct msg_opened answer = { .os = 0 };
	struct err err = ERR_INIT;
	struct wire_reader r;
	struct str path_text, reason;
	char name[32], *path;
	struct stat st;
	int fd;

	wire_reader_init(&r, o + 1, m->n - sizeof(*o));
	path_text = wire_get_str(&r);
	reason = wire_get_str(&r);
	if (!wire_end(&r) || (path = path_take(path_text)) == NULL) {
		ipc_violation(c->ch, m, "malformed path");
		return;
	}
	fd = open_for(c, path, o->flags, o->max_bytes, &st, &err);
	log_debug("File opened for a worker", F_STR("role", child_name(c, name)),
	    F_STR("path", path), F_STRN("reason", reason),
	    F_STR("result", fd == -1 ? err.text : "ok"));
	if (fd != -1) {
		answer.size_bytes = st.st_size;
		answer.mtime_ns = st.st_mtim.tv_sec * 1000000000LL +
		    st.st_mtim.tv_nsec;
	} else
		answer.os = err.os != 0 ? err.os : EINVAL;
	child_send_text(c, IPC_OPENED, m->id, &answer, sizeof(answer),
	    fd == -1 ? str_c(err.text) : STR_EMPTY, fd);
	free(path);
}

/* --- glob --- */

/*
 * glob() without a bound could walk a whole machine while the supervisor
 * stands still. Its directory reading is counted; what lies behind the bound
 * is not seen and the answer is an error. glob() hands its callbacks no
 * argument, so the count is kept beside them for the length of one call.
 */
static __thread unsigned glob_entries;

static void *
glob_opendir(const char *path)
{
	return glob_entries >= GLOB_ENTRIES_MAX ? NULL : opendir(path);
}

static struct dirent *
glob_readdir(void *dir)
{
	if (++glob_entries > GLOB_ENTRIES_MAX)
		return NULL;
	return readdir(dir);
}

static void
glob_closedir(void *dir)
{
	(void)closedir(dir);
}

/* Go refuses what glob() takes literally. */
static bool
pattern_is_bad(const char *p)
{
	bool in_class = false;

	for (; *p != '\0'; p++) {
		if (*p == '\\') {
			if (*++p == '\0')
				return true;
		} else if (*p == '[' && !in_class)
			in_class = true;
		else if (*p == ']' && in_class && p[-1] != '[')
			in_class = false;
	}
	return in_class;
}

static int
glob_for(const struct child *c, const char *pattern, glob_t *g,
    struct err *err)
{
	int rc;

	memset(g, 0, sizeof(*g));
	if (!role_policies[c->role].may_open) {
		error_text(err, "glob", pattern, EACCES);
		return -1;
	}
	if (pattern_is_bad(pattern))
		return err_set(err, ERR_BAD_DATA, "syntax error in pattern");
	g->gl_opendir = glob_opendir;
	g->gl_readdir = glob_readdir;
	g->gl_closedir = glob_closedir;
	g->gl_stat = stat;
	g->gl_lstat = lstat;
	glob_entries = 0;
	if (identity_enter(&c->sup->identity, err) == -1)
		return -1;
	rc = glob(pattern, GLOB_ALTDIRFUNC | GLOB_PERIOD, NULL, g);
	identity_leave(&c->sup->identity);
	if (glob_entries > GLOB_ENTRIES_MAX)
		return err_set(err, ERR_LIMIT, "pattern %s: more than %d directory "
		    "entries to look at", pattern, GLOB_ENTRIES_MAX);
	if (rc != 0 && rc != GLOB_NOMATCH)
		return err_set(err, ERR_INTERNAL, "pattern %s: %s", pattern,
		    rc == GLOB_NOSPACE ? "out of memory" : "read error");
	return 0;
}

/* GLOB_PERIOD brings "." and ".." with it. */
static bool
is_dots(const char *path)
{
	const char *last = strrchr(path, '/');

	last = last == NULL ? path : last + 1;
	return strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
}

static uint32_t
paths_encode(const glob_t *g, struct buf *paths, struct err *err)
{
	uint32_t n = 0;

	for (size_t i = 0; i < g->gl_pathc; i++) {
		if (is_dots(g->gl_pathv[i]))
			continue;
		wire_put_str(paths, str_c(g->gl_pathv[i]));
		n++;
		if (paths->n > GLOB_ANSWER_MAX) {
			err_set(err, ERR_LIMIT, "too many files match");
			return 0;
		}
	}
	return n;
}

void
broker_on_glob(struct child *c, struct ipc_msg *m)
{
	struct err err = ERR_INIT;
	struct buf paths, answer;
	struct wire_reader r;
	struct str pattern_text, reason;
	char name[32], *pattern;
	uint32_t n = 0;
	glob_t g;

	wire_reader_init(&r, m->data, m->n);
	pattern_text = wire_get_str(&r);
	reason = wire_get_str(&r);
	if (!wire_end(&r) || (pattern = path_take(pattern_text)) == NULL) {
		ipc_violation(c->ch, m, "malformed pattern");
		return;
	}
	buf_init(&paths, 0);
	buf_init(&answer, 0);
	if (glob_for(c, pattern, &g, &err) == 0)
		n = paths_encode(&g, &paths, &err);
	globfree(&g);
	log_debug("Files searched for a worker",
	    F_STR("role", child_name(c, name)), F_STR("pattern", pattern),
	    F_STRN("reason", reason), F_UINT("found", n));
	wire_put_str(&answer, str_c(err.kind == ERR_NONE ? "" : err.text));
	wire_put_u32(&answer, n);
	if (n > 0)
		buf_add_str(&answer, buf_str(&paths));
	child_send(c, IPC_GLOBBED, m->id, answer.p, answer.n, -1);
	buf_clear(&answer);
	buf_clear(&paths);
	free(pattern);
}

/* --- watch --- */

static void
watch_look(const struct watch *w, struct stat *st)
{
	struct err err = ERR_INIT;

	memset(st, 0, sizeof(*st));
	if (identity_enter(&w->child->sup->identity, &err) == -1)
		return;
	if (stat(w->path, st) == -1)
		memset(st, 0, sizeof(*st));
	identity_leave(&w->child->sup->identity);
}

static bool
stat_differs(const struct stat *a, const struct stat *b)
{
	return a->st_ino != b->st_ino || a->st_dev != b->st_dev ||
	    a->st_size != b->st_size ||
	    a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	    a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static void
watch_timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct broker_state *b = arg;
	struct timeval tv = { WATCH_INTERVAL_S, 0 };

	(void)fd;
	(void)what;
	for (size_t i = 0; i < b->n; i++) {
		struct watch *w = &b->watches[i];
		struct stat st;

		watch_look(w, &st);
		if (!stat_differs(&st, &w->st))
			continue;
		w->st = st;
		child_send_text(w->child, IPC_CHANGED, 0, NULL, 0, str_c(w->path),
		    -1);
	}
	if (b->n > 0)
		event_add(b->timer, &tv);
}

void
broker_on_watch(struct child *c, struct ipc_msg *m)
{
	struct broker_state *b = c->sup->broker;
	struct timeval tv = { WATCH_INTERVAL_S, 0 };
	struct wire_reader r;
	struct watch *w;
	size_t own = 0;
	struct str text;
	char *path;

	wire_reader_init(&r, m->data, m->n);
	text = wire_get_str(&r);
	if (!wire_end(&r) || (path = path_take(text)) == NULL) {
		ipc_violation(c->ch, m, "malformed path");
		return;
	}
	for (size_t i = 0; i < b->n; i++) {
		own += b->watches[i].child == c;
		if (b->watches[i].child == c &&
		    strcmp(b->watches[i].path, path) == 0) {
			free(path);
			return;
		}
	}
	if (!role_policies[c->role].may_open || own >= WATCHES_MAX ||
	    vec_grow(&b->watches, &b->cap, b->n + 1, sizeof(*b->watches)) == -1) {
		free(path);
		ipc_violation(c->ch, m, "may not watch (more) files");
		return;
	}
	w = &b->watches[b->n++];
	w->child = c;
	w->path = path;
	watch_look(w, &w->st);
	if (!event_pending(b->timer, EV_TIMEOUT, NULL))
		event_add(b->timer, &tv);
}

void
broker_forget(struct child *c)
{
	struct broker_state *b = c->sup->broker;
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (b->watches[i].child == c)
			free(b->watches[i].path);
		else
			b->watches[kept++] = b->watches[i];
	}
	b->n = kept;
}

struct broker_state *
broker_state_new(struct supervisor *sup)
{
	struct broker_state *b = xcalloc(1, sizeof(*b));

	b->sup = sup;
	b->timer = evtimer_new(sup->base, watch_timer_cb, b);
	if (b->timer == NULL)
		fatal("out of memory");
	return b;
}

void
broker_state_free(struct broker_state *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n; i++)
		free(b->watches[i].path);
	free(b->watches);
	event_free(b->timer);
	free(b);
}
