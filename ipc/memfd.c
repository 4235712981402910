/* SPDX-License-Identifier: ISC */
/* Sealed and shared memory files. */
#include "ipc/memfd.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SEALS_ALL	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int
memfd_seal(const char *name, struct str bytes, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;
	ssize_t n;

	if (fd == -1)
		return err_set_os(err, "memfd_create");
	while (done < bytes.n) {
		n = write(fd, bytes.p + done, bytes.n - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set_os(err, "writing memfd %s", name);
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS_ALL) == -1) {
		err_set_os(err, "sealing memfd %s", name);
		close(fd);
		return -1;
	}
	return fd;
}

bool
memfd_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals != -1 && (seals & SEALS_ALL) == SEALS_ALL;
}

int
memfd_map(int fd, size_t max_bytes, struct str *out, struct err *err)
{
	struct stat st;
	void *p;
	int seals;

	if ((seals = fcntl(fd, F_GET_SEALS)) == -1)
		return err_set_os(err, "not a memfd");
	if ((seals & SEALS_ALL) != SEALS_ALL)
		return err_set(err, ERR_BAD_DATA, "memfd is not sealed");
	if (fstat(fd, &st) == -1)
		return err_set_os(err, "fstat of memfd");
	if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes)
		return err_set(err, ERR_LIMIT,
		    "memfd of %lld bytes, at most %zu are allowed",
		    (long long)st.st_size, max_bytes);
	if (st.st_size == 0) {
		*out = STR_EMPTY;
		return 0;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_set_os(err, "mapping memfd");
	*out = str_from(p, (size_t)st.st_size);
	return 0;
}

void
memfd_unmap(struct str mapping)
{
	void *p;

	if (mapping.n == 0)
		return;
	memcpy(&p, &mapping.p, sizeof(p));
	munmap(p, mapping.n);
}

int
memfd_shared(const char *name, size_t bytes, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return err_set_os(err, "memfd_create");
	if (ftruncate(fd, (off_t)bytes) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == -1) {
		err_set_os(err, "memfd %s of %zu bytes", name, bytes);
		close(fd);
		return -1;
	}
	return fd;
}

int
memfd_readonly(int fd, struct err *err)
{
	char path[48];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if ((ro = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return err_set_os(err, "opening memfd read-only");
	/* from here on nobody opens it by its name again, for writing at all */
	if (fchmod(fd, 0) == -1) {
		err_set_os(err, "fchmod of memfd");
		close(ro);
		return -1;
	}
	return ro;
}
