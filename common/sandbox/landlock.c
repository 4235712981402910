/* SPDX-License-Identifier: ISC */
/*
 * Landlock, ABI by ABI. Debian 12's headers know ABI 2; the later numbers are
 * the kernel's interface (Documentation/userspace-api/landlock.rst) and stand
 * here. Everything a kernel can handle is handled, so that what no rule
 * allows is refused.
 */
#include "common/sandbox/landlock.h"

#include <sys/syscall.h>

#include <errno.h>
#include <unistd.h>

#define FS_EXECUTE	(1ULL << 0)
#define FS_WRITE_FILE	(1ULL << 1)
#define FS_READ_FILE	(1ULL << 2)
#define FS_READ_DIR	(1ULL << 3)
#define FS_REMOVE_DIR	(1ULL << 4)
#define FS_REMOVE_FILE	(1ULL << 5)
#define FS_MAKE_DIR	(1ULL << 7)
#define FS_MAKE_REG	(1ULL << 8)
#define FS_REFER	(1ULL << 13)	/* ABI 2 */
#define FS_TRUNCATE	(1ULL << 14)	/* ABI 3 */
#define FS_IOCTL_DEV	(1ULL << 15)	/* ABI 5 */
#define FS_ABI1		((1ULL << 13) - 1)

#define NET_BIND_TCP	(1ULL << 0)	/* ABI 4 */
#define NET_CONNECT_TCP	(1ULL << 1)

#define SCOPE_ABSTRACT_UNIX	(1ULL << 0)	/* ABI 6 */
#define SCOPE_SIGNAL		(1ULL << 1)

#define CREATE_VERSION	1u
#define RULE_PATH_BENEATH 1

struct ruleset_attr {
	uint64_t fs, net, scoped;
};
/* size by ABI: the kernel refuses bytes it does not know unless zero */
struct path_beneath {
	uint64_t allowed;
	int32_t	 parent_fd;
} __attribute__((packed));

static uint64_t
handled_fs(int abi)
{
	return FS_ABI1 | (abi >= 2 ? FS_REFER : 0) |
	    (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static uint64_t
data_rights(const struct sandbox_row *row)
{
	uint64_t r = 0;

	if (sandbox_row_has(row, GRANT_DATA_READ))
		r |= FS_READ_FILE | FS_READ_DIR;
	if (sandbox_row_has(row, GRANT_DATA_WRITE))
		r |= FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
		    FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE;
	return r;
}

int
landlock_enter(const struct sandbox_row *row, int data_dir_fd, int abi_max,
    int *abi_out, struct err *err)
{
	struct ruleset_attr a = { 0 };
	struct path_beneath p;
	int abi, fd, r = 0;

	*abi_out = 0;
	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    CREATE_VERSION);
	if (abi == -1 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	if (abi < 1)
		return err_set_os(err, "asking for Landlock");
	if (abi_max != 0 && abi > abi_max)
		abi = abi_max;
	a.fs = handled_fs(abi);
	if (abi >= 4) {
		a.net = NET_BIND_TCP;
		/* ports are the targets' choice: who dials, dials any */
		if (!sandbox_row_has(row, GRANT_TCP))
			a.net |= NET_CONNECT_TCP;
	}
	if (abi >= 6)
		a.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	fd = (int)syscall(SYS_landlock_create_ruleset, &a,
	    abi >= 6 ? 24 : abi >= 4 ? 16 : 8, 0);
	if (fd == -1)
		return err_set_os(err, "creating a Landlock ruleset");
	p.allowed = data_rights(row) & a.fs;
	p.parent_fd = data_dir_fd;
	if (data_dir_fd != -1 && p.allowed != 0 &&
	    syscall(SYS_landlock_add_rule, fd, RULE_PATH_BENEATH, &p, 0) == -1)
		r = err_set_os(err, "adding the data directory to Landlock");
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		r = err_set_os(err, "entering Landlock");
	close(fd);
	if (r == 0)
		*abi_out = abi;
	return r;
}
