/* SPDX-License-Identifier: ISC */

/* See launch.h. */

#include "supervisor/launch.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"

#define CHANNEL_FD	3
#define EXIT_NO_EXEC	127

static int
find_dir(struct launcher *l, struct err *err)
{
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n == -1)
		return err_set_os(err, "readlink /proc/self/exe");
	self[n] = '\0';
	if ((slash = strrchr(self, '/')) != NULL)
		*slash = '\0';
	snprintf(l->dir, sizeof(l->dir), "%s/libexec", self);
	if (access(l->dir, X_OK) == 0)
		return 0;
	if ((slash = strrchr(self, '/')) != NULL)
		*slash = '\0';
	snprintf(l->dir, sizeof(l->dir), "%s/libexec/brazier", self);
	if (access(l->dir, X_OK) == 0)
		return 0;
	return err_set_os(err, "the workers' programs: %s", l->dir);
}

int
launcher_open(struct launcher *l, struct err *err)
{
	char path[4200];

	for (int r = 0; r < ROLE_COUNT; r++)
		l->fds[r] = -1;
	if (find_dir(l, err) == -1)
		return -1;
	for (int r = 0; r < ROLE_COUNT; r++) {
		if (r == ROLE_SUPERVISOR || r == ROLE_CTL)
			continue;
		/* query and eval are two pools of one program */
		snprintf(path, sizeof(path), "%s/%s", l->dir,
		    role_name(r == ROLE_EVAL ? ROLE_QUERY : (enum role)r));
		l->fds[r] = open(path, O_PATH | O_CLOEXEC);
		if (l->fds[r] == -1 && errno != ENOENT)
			return err_set_os(err, "open %s", path);
	}
	return 0;
}

void
launcher_close(struct launcher *l)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (l->fds[r] != -1)
			close(l->fds[r]);
}

/* The child between fork and exec: nothing here allocates or logs. */
static void
child_exec(int program, const char *name, const char *instance, int channel,
    const char *oom, pid_t parent)
{
	char *argv[] = { (char *)(uintptr_t)name, (char *)(uintptr_t)instance,
	    NULL };
	char *envp[] = { NULL };
	int null, fd;
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_NO_EXEC);
	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if ((fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)) != -1) {
		/* A hint to the kernel, not a promise. */
		ssize_t done = write(fd, oom, strlen(oom));

		(void)done;
		close(fd);
	}
	/* Move what we need above 3 first, so that dup2 destroys nothing. */
	program = fcntl(program, F_DUPFD_CLOEXEC, 10);
	channel = fcntl(channel, F_DUPFD_CLOEXEC, 10);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (program == -1 || channel == -1 || null == -1 ||
	    dup2(null, 0) == -1 || dup2(null, 1) == -1 ||
	    dup2(channel, CHANNEL_FD) == -1 ||
	    syscall(SYS_close_range, CHANNEL_FD + 1, ~0U,
	    CLOSE_RANGE_CLOEXEC) == -1)
		_exit(EXIT_NO_EXEC);
	fault_pass();
	(void)umask(022);
	syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(EXIT_NO_EXEC);
}

pid_t
launcher_start(const struct launcher *l, enum role role, uint32_t instance,
    int channel, int oom_score_adj, struct err *err)
{
	char name[64], number[16], oom[16];
	pid_t parent = getpid(), pid;

	if (l->fds[role] == -1)
		return err_set(err, ERR_NOT_FOUND, "open %s/%s: no such file or "
		    "directory", l->dir, role_name(role));
	snprintf(name, sizeof(name), "brazier-%s", role_name(role));
	snprintf(number, sizeof(number), "%u", (unsigned)instance);
	snprintf(oom, sizeof(oom), "%d", oom_score_adj);
	pid = fork();
	if (pid == 0)
		child_exec(l->fds[role], name, number, channel, oom, parent);
	if (pid == -1)
		return err_set_os(err, "fork");
	return pid;
}
