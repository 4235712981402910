/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_FAULT_H
#define BRAZIER_COMMON_BASE_FAULT_H

/*
 * Fault points: named places at which a process of the test build
 * (make FAULTS=1) kills, stops or ends itself when it is told to. In every
 * other build they are nothing at all, and lint looks that they are.
 *
 * What is to happen stands in a file of FAULT_SLOTS slots that the tester
 * maps and writes (BRAZIER_FAULTS names it to the supervisor, workers inherit
 * it at descriptor 4 over exec, before the sandbox closes). A slot says role,
 * instance, step, action and how many times still; a process that passes the
 * point takes one of them away, so that "once" is once, however many
 * processes come by and however often they start again.
 *
 *	FAULT_POINT("prepare")		this process, here
 *	FAULT_CHILD(role, instance, pid, "decided")
 *					the supervisor does it to a worker and
 *					goes on when it is dead or stopped
 *	n = FAULT_PART("wal.write", n)	half of n when FAULT_POINT of that name
 *					is to follow
 *	FAULT_DEADLINE_MS(60000)	deadlines are shorter, so that a test of
 *					a hung process ends
 *	FAULT_SEGMENT_BYTES(n)		WAL segments shorter than a flag may ask
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define FAULT_FD	4	/* the file, in a worker that starts */
#define FAULT_SLOTS	15

enum fault_action {
	FAULT_KILL = 1,		/* SIGKILL */
	FAULT_STOP,		/* SIGSTOP: it hangs */
	FAULT_EXIT,		/* exit status 1 (only FAULT_POINT) */
	FAULT_SEGV,		/* SIGSEGV */
	FAULT_CALL		/* a system call that no role may make */
};

/* One slot; the tester sets left last, the process that acts lowers it. */
struct fault_slot {
	char		 role[16];
	char		 step[32];
	int32_t		 instance;	/* -1 = any */
	uint32_t	 action;
	uint32_t	 left;		/* times it is still to happen */
	uint32_t	 hits;		/* times it has happened */
};

/* The file: a head of one slot's length, then the slots. */
struct fault_file {
	uint32_t		 deadline_divisor;	/* 0 = 1 */
	uint32_t		 segment_bytes;		/* of the WAL; 0 = as set */
	uint32_t		 unused[14];
	struct fault_slot	 slots[FAULT_SLOTS];
};

#ifdef BRAZIER_FAULTS

#define FAULT_POINT(step)	fault_point(step)
#define FAULT_CHILD(role, instance, pid, step) \
	fault_child(role, instance, pid, step)
#define FAULT_PART(step, n)	fault_part(step, n)
#define FAULT_DEADLINE_MS(ms)	((__typeof__(ms))fault_deadline_ms(ms))
#define FAULT_SEGMENT_BYTES(n)	fault_segment_bytes(n)

/* The supervisor: maps the file that BRAZIER_FAULTS names, if it does. */
void	 fault_open(void);
/* The child between fork and exec: puts the file at FAULT_FD. */
void	 fault_pass(void);
/* A worker: maps what it has inherited and closes it. */
void	 fault_inherit(const char *role);
void	 fault_set_instance(uint32_t instance);

void	 fault_point(const char *step);
void	 fault_child(const char *role, uint32_t instance, pid_t pid,
	    const char *step);
size_t	 fault_part(const char *step, size_t n);
int64_t	 fault_deadline_ms(int64_t ms);
size_t	 fault_segment_bytes(size_t n);

#else

#define FAULT_POINT(step)			((void)0)
#define FAULT_CHILD(role, instance, pid, step)	((void)0)
#define FAULT_PART(step, n)			(n)
#define FAULT_DEADLINE_MS(ms)			(ms)
#define FAULT_SEGMENT_BYTES(n)			(n)
#define fault_open()				((void)0)
#define fault_pass()				((void)0)
#define fault_inherit(role)			((void)0)
#define fault_set_instance(instance)		((void)0)

#endif

#endif
