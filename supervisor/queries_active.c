/* SPDX-License-Identifier: ISC */

/*
 * queries.active in the data directory: which queries run. The processes
 * that run them write (ipc/queries_active.h), each into its own slot through
 * a descriptor; here the file is made, and what is still in it after the end
 * of a process, or of all of them, is told.
 *
 * The file is a help for people, so nothing here keeps the server from
 * starting: on a full disk there is no tracker.
 * Source: prometheus promql/query_logger.go.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_COMPONENT "activeQueryTracker"
#include "common/base/log.h"
#include "ipc/queries_active.h"
#include "supervisor/supervisor.h"

#define FILE_NAME	"queries.active"
#define SLOTS_MAX	10000
#define READ_MAX	((size_t)1 << 20)

uint32_t
queries_active_slot(const struct child *c)
{
	return c->instance + (c->role == ROLE_EVAL ?
	    role_count(ROLE_QUERY, c->sup->flags) : 0);
}

static uint64_t
n_slots(const struct supervisor *sup)
{
	uint64_t n = role_count(ROLE_QUERY, sup->flags) +
	    role_count(ROLE_EVAL, sup->flags);
	int64_t asked = flags_int(sup->flags, FLAG_QUERY_CONCURRENCY);

	if (asked > SLOTS_MAX)
		asked = SLOTS_MAX;
	return asked > (int64_t)n ? (uint64_t)asked : n;
}

static int
open_as_service(const struct supervisor *sup, int how)
{
	struct err err = ERR_INIT;
	int fd, e;

	if (identity_enter(&sup->identity, &err) == -1)
		return -1;
	fd = openat(sup->dirlock.dir_fd, FILE_NAME, how | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	e = errno;
	identity_leave(&sup->identity);
	errno = e;
	return fd;
}

/* Takes the zeros out, in place. */
static size_t
squeeze(char *p, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] != '\0')
			p[kept++] = p[i];
	return kept;
}

/* What an earlier life left. The last comma makes place for the bracket. */
static void
tell_unfinished(int fd)
{
	char *text = malloc(READ_MAX);
	ssize_t n;
	size_t kept;

	if (text == NULL || (n = pread(fd, text, READ_MAX, 0)) < 0) {
		log_error("Failed to read query log file", F_ERRNO);
		free(text);
		return;
	}
	kept = squeeze(text, (size_t)n);
	if (kept > 1) {
		text[kept - 1] = ']';
		log_info("These queries didn't finish in prometheus' last run:",
		    F_STRN("queries", str_from(text, kept)));
	}
	free(text);
}

/* Empty slots on blocks of their own: filling one needs no room later. */
static int
lay_out(int fd, uint64_t bytes)
{
	static const char zeros[32768];
	uint64_t done = 0;

	if (ftruncate(fd, 0) == -1)
		return -1;
	while (done < bytes) {
		size_t n = bytes - done < sizeof(zeros) ?
		    (size_t)(bytes - done) : sizeof(zeros);
		ssize_t w = pwrite(fd, zeros, n, (off_t)done);

		if (w == -1 && errno != EINTR)
			return -1;
		done += w > 0 ? (uint64_t)w : 0;
	}
	return pwrite(fd, "[", 1, 0) == 1 ? 0 : -1;
}

void
queries_active_open(struct supervisor *sup)
{
	uint64_t bytes = (uint64_t)queries_active_offset(n_slots(sup));
	struct stat st;
	int fd = open_as_service(sup, O_RDWR | O_CREAT);

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		log_error("Error opening query log file", F_STR("file",
		    FILE_NAME), F_STR("err", fd == -1 ? strerror(errno) :
		    "not a regular file"));
		if (fd != -1)
			close(fd);
		return;
	}
	tell_unfinished(fd);
	if (lay_out(fd, bytes) == -1) {
		log_error("Error allocating query log file.",
		    F_UINT("filesize", bytes), F_ERRNO);
		close(fd);
		return;
	}
	sup->queries_active_fd = fd;
}

int
queries_active_open_writer(const struct supervisor *sup)
{
	return sup->queries_active_fd == -1 ? -1 :
	    open_as_service(sup, O_WRONLY);
}

void
queries_active_on_death(const struct child *c, const char *cause)
{
	static const char none[QUERIES_ACTIVE_SLOT_BYTES];
	char slot[QUERIES_ACTIVE_SLOT_BYTES], name[32];
	int64_t at = queries_active_offset(queries_active_slot(c));
	int fd = c->sup->queries_active_fd;
	ssize_t n;
	size_t kept;

	if (fd == -1 || (n = pread(fd, slot, sizeof(slot), at)) <= 0 ||
	    (kept = squeeze(slot, (size_t)n)) == 0)
		return;
	if (slot[kept - 1] == ',')
		kept--;
	log_warn("This query didn't finish when its worker ended:",
	    F_STR("role", child_name(c, name)), F_STR("cause", cause),
	    F_STRN("query", str_from(slot, kept)));
	if (pwrite(fd, none, sizeof(none), at) != sizeof(none))
		log_warn("Clearing a slot of the query log file failed",
		    F_ERRNO);
}
