/* SPDX-License-Identifier: ISC */
/*
 * What the supervisor starts instead of its workers when channelfuzz tests
 * it: hands its channel over to whoever listens on "fuzz.sock" in the working
 * directory, says which worker it is, and lives until that one hangs up.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHANNEL_FD	3

int
main(int argc, char **argv)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
	    .sun_path = "fuzz.sock" };
	union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const int channel = CHANNEL_FD;
	char text[64];
	struct iovec iov = { text, 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes) };
	int n;

	/* "brazier-scrape", "2" */
	if (argc < 2 || fd == -1 || connect(fd, (struct sockaddr *)&sun,
	    sizeof(sun)) == -1)
		_exit(1);
	n = snprintf(text, sizeof(text), "%s %s", argv[0], argv[1]);
	iov.iov_len = (size_t)n;
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.hdr), &channel, sizeof(channel));
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) == -1)
		_exit(1);
	(void)close(CHANNEL_FD);
	_exit(read(fd, text, sizeof(text)) == 0 ? 0 : 1);
}
