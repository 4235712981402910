/* SPDX-License-Identifier: ISC */

/* See kernel_log.h. One read of /dev/kmsg is one record. */

#include "supervisor/kernel_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORDS_MAX	8192	/* read in one go, whatever comes */
#define TRIES		5
#define AUDIT_SECCOMP	"type=1326 "

int
kernel_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd != -1)
		(void)lseek(fd, 0, SEEK_END);
	return fd;
}

static long
call_of_record(const char *text, pid_t pid)
{
	const char *call = strstr(text, " syscall=");
	char wanted[32];

	snprintf(wanted, sizeof(wanted), " pid=%d ", (int)pid);
	if (call == NULL || strstr(text, AUDIT_SECCOMP) == NULL ||
	    strstr(text, wanted) == NULL)
		return -1;
	return strtol(call + strlen(" syscall="), NULL, 10);
}

static long
look(int fd, pid_t pid)
{
	char text[8192];

	for (int i = 0; i < RECORDS_MAX; i++) {
		ssize_t n = read(fd, text, sizeof(text) - 1);
		long call;

		if (n == -1 && errno != EPIPE)	/* some were overwritten */
			return -1;
		text[n < 0 ? 0 : n] = '\0';
		if ((call = call_of_record(text, pid)) != -1)
			return call;
	}
	return -1;
}

long
kernel_log_forbidden_call(int fd, pid_t pid)
{
	const struct timespec pause = { 0, 10000000 };
	long call = -1;

	for (int i = 0; fd != -1 && call == -1 && i < TRIES; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		call = look(fd, pid);
	}
	return call;
}
