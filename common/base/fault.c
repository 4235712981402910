/* SPDX-License-Identifier: ISC */

/* See fault.h. Empty but in the test build. */

#include "common/base/fault.h"

#ifdef BRAZIER_FAULTS

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(struct fault_slot) == 64, "the tester writes it");
_Static_assert(sizeof(struct fault_file) == 64 * (FAULT_SLOTS + 1),
    "the tester writes it");

static struct {
	struct fault_file	*file;		/* NULL = no faults */
	int			 fd;		/* the supervisor's, to pass on */
	const char		*role;
	uint32_t		 instance;
} self = { .fd = -1, .role = "supervisor" };

static struct fault_file *
map(int fd)
{
	void *p = mmap(NULL, sizeof(struct fault_file),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
fault_open(void)
{
	const char *path = getenv("BRAZIER_FAULTS");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	/* out of the way of what a worker gets at its start */
	self.fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	(void)close(fd);
	self.file = map(self.fd);
}

void
fault_pass(void)
{
	if (self.fd != -1)
		(void)dup2(self.fd, FAULT_FD);
}

void
fault_inherit(const char *role)
{
	self.role = role;
	self.file = map(FAULT_FD);
	if (self.file != NULL)
		(void)close(FAULT_FD);
}

void
fault_set_instance(uint32_t instance)
{
	self.instance = instance;
}

static struct fault_slot *
find(const char *role, uint32_t instance, const char *step)
{
	for (size_t i = 0; self.file != NULL && i < FAULT_SLOTS; i++) {
		struct fault_slot *s = &self.file->slots[i];

		if (__atomic_load_n(&s->left, __ATOMIC_ACQUIRE) > 0 &&
		    strncmp(s->step, step, sizeof(s->step)) == 0 &&
		    strncmp(s->role, role, sizeof(s->role)) == 0 &&
		    (s->instance == -1 || (uint32_t)s->instance == instance))
			return s;
	}
	return NULL;
}

/* Takes one of the times; 0 = another was faster. */
static uint32_t
take(struct fault_slot *s)
{
	uint32_t left = __atomic_load_n(&s->left, __ATOMIC_ACQUIRE);

	while (left > 0)
		if (__atomic_compare_exchange_n(&s->left, &left, left - 1,
		    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			__atomic_fetch_add(&s->hits, 1, __ATOMIC_ACQ_REL);
			return s->action;
		}
	return 0;
}

/* tgkill to oneself is what every role's filter allows. */
static void
signal_self(int number)
{
	(void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
}

void
fault_point(const char *step)
{
	struct fault_slot *s = find(self.role, self.instance, step);

	switch (s == NULL ? 0 : take(s)) {
	case FAULT_KILL:
		signal_self(SIGKILL);
		break;
	case FAULT_STOP:
		signal_self(SIGSTOP);
		break;
	case FAULT_SEGV:
		signal_self(SIGSEGV);
		break;
	case FAULT_CALL:
		(void)syscall(SYS_ptrace, 0, 0, 0, 0);
		break;
	case FAULT_EXIT:
		_exit(1);
	}
}

void
fault_child(const char *role, uint32_t instance, pid_t pid, const char *step)
{
	struct fault_slot *s = pid == 0 ? NULL : find(role, instance, step);
	uint32_t action = s == NULL ? 0 : take(s);
	siginfo_t info;

	if (action == 0)
		return;
	(void)kill(pid, action == FAULT_STOP ? SIGSTOP :
	    action == FAULT_SEGV ? SIGSEGV : SIGKILL);
	(void)waitid(P_PID, (id_t)pid, &info, WNOWAIT |
	    (action == FAULT_STOP ? WSTOPPED : WEXITED));
}

size_t
fault_part(const char *step, size_t n)
{
	return n > 1 && find(self.role, self.instance, step) != NULL ? n / 2 : n;
}

int64_t
fault_deadline_ms(int64_t ms)
{
	uint32_t by = self.file == NULL ? 0 : self.file->deadline_divisor;

	return by == 0 ? ms : ms / by;
}

size_t
fault_segment_bytes(size_t n)
{
	uint32_t wanted = self.file == NULL ? 0 : self.file->segment_bytes;

	return wanted == 0 ? n : wanted;
}

#endif
