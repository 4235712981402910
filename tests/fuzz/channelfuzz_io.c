/* SPDX-License-Identifier: ISC */
/* Messages as bytes on a socket, random numbers, descriptors of all kinds. */
#include "tests/fuzz/channelfuzz.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "ipc/memfd.h"

static uint64_t rng_state;

void
rng_seed(uint64_t seed)
{
	rng_state = seed * 0x9e3779b97f4a7c15ULL + 1;
}

/* xorshift64*: the same everywhere for one seed. */
uint64_t
rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 0x2545f4914f6cdd1dULL;
}

uint64_t
rng_below(uint64_t n)
{
	return n == 0 ? 0 : (rng() >> 16) % n;
}

bool
rng_one_in(unsigned n)
{
	return rng_below(n) == 0;
}

uint64_t
rng_odd_number(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 127,
	    128, 250, 255, 256, 4095, 4096, 65535, 65536, 1 << 20, 1 << 26,
	    (1 << 26) + 1, INT32_MAX, 1ULL << 31, UINT32_MAX - 1, UINT32_MAX,
	    1ULL << 32, 1ULL << 53, INT64_MAX - 1, INT64_MAX, 1ULL << 63,
	    UINT64_MAX - 7, UINT64_MAX - 1, UINT64_MAX };

	if (rng_one_in(4))
		return rng();
	return odd[rng_below(sizeof(odd) / sizeof(odd[0]))];
}

int64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("channelfuzz: ", stderr);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, " (%s)\n", strerror(errno));
	va_end(ap);
	exit(2);
}

void
message_init(struct message *m, unsigned type)
{
	memset(m, 0, sizeof(*m));
	m->type = (uint16_t)type;
	m->cut = HDR_BYTES;
	buf_init(&m->data, 0);
}

void
message_clear(struct message *m)
{
	while (m->n_fds > 0)
		(void)close(m->fds[--m->n_fds]);
	buf_clear(&m->data);
}

/* Takes it over; a failure to make one is ours. */
void
message_add_fd(struct message *m, int fd)
{
	if (fd == -1)
		die("no descriptor to send");
	if (m->n_fds == FDS_SENT_MAX)
		(void)close(fd);
	else
		m->fds[m->n_fds++] = fd;
}

int
message_send(int fd, const struct message *m)
{
	static union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int) * FDS_SENT_MAX)];
	} control;
	char header[HDR_BYTES];
	struct iovec iov[2] = { { header, m->cut }, { m->data.p, m->data.n } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	memcpy(header, &m->type, 2);
	memcpy(header + 2, &m->zero, 2);
	memcpy(header + 4, &m->generation, 4);
	memcpy(header + 8, &m->id, 8);
	if (m->n_fds > 0) {
		struct cmsghdr *cm;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
		memcpy(CMSG_DATA(cm), m->fds, sizeof(int) * m->n_fds);
	}
	for (int64_t end = now_ms() + WAIT_MS; ; ) {
		if (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
			return 0;
		if (errno == EPIPE || errno == ECONNRESET || errno == EBADF)
			return -1;
		if ((errno != EAGAIN && errno != ETOOMANYREFS &&
		    errno != ENOBUFS && errno != EINTR) || now_ms() > end)
			die("sendmsg of %zu bytes and %zu descriptors",
			    m->cut + m->data.n, m->n_fds);
		(void)usleep(200);
	}
}

int
message_receive(int fd, struct arrival *a)
{
	static union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	} control;
	static char bytes[HDR_BYTES + IPC_MSG_MAX] __attribute__((aligned(16)));
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.bytes, .msg_controllen = sizeof(control) };
	struct cmsghdr *cm;
	ssize_t n;

	a->n_fds = 0;
	n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n < HDR_BYTES)
		return -1;
	for (cm = CMSG_FIRSTHDR(&mh); cm != NULL; cm = CMSG_NXTHDR(&mh, cm)) {
		size_t k = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		memcpy(a->fds, CMSG_DATA(cm), k * sizeof(int));
		a->n_fds = k;
	}
	memcpy(&a->type, bytes, 2);
	memcpy(&a->generation, bytes + 4, 4);
	memcpy(&a->id, bytes + 8, 8);
	a->data = bytes + HDR_BYTES;
	a->n = (size_t)n - HDR_BYTES;
	return 1;
}

void
arrival_clear(struct arrival *a)
{
	for (size_t i = 0; i < a->n_fds; i++)
		if (a->fds[i] != -1)
			(void)close(a->fds[i]);
	a->n_fds = 0;
}

void
pair_new(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, fds) == -1)
		die("socketpair");
}

/* --- descriptors --- */

int
fd_sealed(const void *p, size_t n)
{
	struct err err = ERR_INIT;

	return memfd_seal("fuzz", str_from(p, n), &err);
}

int
fd_unsealed(const void *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd != -1 && n > 0 && write(fd, p, n) != (ssize_t)n)
		die("writing a memfd");
	return fd;
}

int
fd_shared(size_t n)
{
	struct err err = ERR_INIT;

	return memfd_shared("fuzz", n, &err);
}

/* One of two connected things; the other is closed. */
static int
fd_half(int which, bool sockets)
{
	int fds[2], r;

	r = sockets ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) :
	    pipe2(fds, O_CLOEXEC);
	if (r == -1)
		return -1;
	(void)close(fds[!which]);
	return fds[which];
}

int
fd_odd(const char **name)
{
	switch (rng_below(14)) {
	case 0:
		*name = "a pipe to read";
		return fd_half(0, false);
	case 1:
		*name = "a pipe to write";
		return fd_half(1, false);
	case 2:
		*name = "a directory";
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 3:
		*name = "a socket";
		return fd_half(0, true);
	case 4:
		*name = "/dev/null";
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 5:
		*name = "/dev/zero";
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case 6:
		*name = "an eventfd";
		return eventfd(0, EFD_CLOEXEC);
	case 7:
		*name = "an epoll";
		return epoll_create1(EPOLL_CLOEXEC);
	case 8:
		*name = "a path";
		return open("/", O_PATH | O_CLOEXEC);
	case 9:
		*name = "an empty sealed memfd";
		return fd_sealed("", 0);
	case 10:
		*name = "an empty unsealed memfd";
		return fd_unsealed("", 0);
	case 11:
		*name = "a short sealed memfd";
		return fd_sealed("abc", 3);
	case 12:
		*name = "a text file";
		return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	default:
		*name = "a huge sparse memfd";
		return fd_shared((size_t)1 << 40);
	}
}

static void
change_bytes(char *p, size_t n)
{
	uint64_t v;

	for (uint64_t k = 1 + rng_below(rng_one_in(3) ? 40 : 4); k > 0; k--) {
		/* what steers lies at the beginning more often than not */
		size_t at = rng_below(rng_one_in(2) && n > 4096 ? 4096 : n);

		if (rng_one_in(2)) {
			p[at] = (char)rng();
			continue;
		}
		v = rng_odd_number();
		at &= ~(size_t)3;
		memcpy(p + at, &v, n - at < 8 ? n - at : rng_one_in(2) ? 4 : 8);
	}
}

/* The data of a sparse file; pages that are zero may stay holes. */
static int
copy_file(int fd, int to)
{
	char page[4096];
	off_t at = 0, end;

	while ((at = lseek(fd, at, SEEK_DATA)) != -1) {
		end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += (off_t)sizeof(page)) {
			ssize_t n = pread(fd, page, sizeof(page), at);

			if (n <= 0 || pwrite(to, page, (size_t)n, at) != n)
				return -1;
		}
	}
	return 0;
}

int
fd_changed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS), to;
	struct stat st;
	off_t data;
	char *p;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size == 0 ||
	    (to = memfd_create("changed", MFD_CLOEXEC | MFD_ALLOW_SEALING)) ==
	    -1)
		return -1;
	if (ftruncate(to, st.st_size) == -1 || copy_file(fd, to) == -1)
		die("copying a file to change");
	/* only where there is data: all of a sparse file is too much */
	data = lseek(to, 0, SEEK_HOLE);
	if (data > 0) {
		p = mmap(NULL, (size_t)data, PROT_READ | PROT_WRITE,
		    MAP_SHARED, to, 0);
		if (p == MAP_FAILED)
			die("mapping a file to change");
		change_bytes(p, data > st.st_size ? (size_t)st.st_size :
		    (size_t)data);
		(void)munmap(p, (size_t)data);
	}
	if (seals > 0)
		(void)fcntl(to, F_ADD_SEALS, seals);
	return to;
}
