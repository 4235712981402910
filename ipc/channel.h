/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_CHANNEL_H
#define BRAZIER_IPC_CHANNEL_H

/*
 * A channel: one end of an AF_UNIX SOCK_SEQPACKET pair in a libevent loop.
 *
 *	one message = one sendmsg = { header 16 bytes | data ≤ 64 KiB } + fds
 *
 * Sending never blocks. A message goes out at once if it can, else it waits
 * in the channel's queue, bounded per row by the catalogue. Bytes are
 * credited: a sender has at most IPC_WINDOW bytes on the way that the
 * receiver has not handled yet, so a slow receiver slows its sender down and
 * nothing piles up in the kernel.
 *
 * Every message is checked against the catalogue (type, direction, length,
 * descriptors, state) before a handler sees it; what fails closes the
 * channel, the receiver lives on. Contents beyond the fixed struct are the
 * handler's to check: ipc_violation() is how it says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/base/err.h"
#include "ipc/catalogue.h"

struct event_base;
struct ipc_channel;
struct ipc_counters;

#define IPC_WINDOW	(512 * 1024)

struct ipc_msg {
	uint16_t	 type;		/* enum ipc_type */
	uint32_t	 generation;	/* of the configuration at the sender */
	uint64_t	 id;		/* of the request, 0 if none */
	const void	*data;		/* 16-byte aligned; dies with the call */
	size_t		 n;
	int		*fds;		/* see ipc_msg_take_fd */
	size_t		 n_fds;
};

/* ctx is the channel's; the message is the handler's until it returns. */
typedef void ipc_handler_fn(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);

struct ipc_handler {
	uint16_t	 type;
	ipc_handler_fn	*fn;
};

/*
 * The channel is dead: the peer's end is gone, or `why` names a violation.
 * The owner calls ipc_channel_free, now (safe inside callbacks) or later.
 */
typedef void ipc_closed_fn(void *ctx, struct ipc_channel *ch,
	    const char *why);

struct ipc_ends {
	enum role	self, peer;
	uint32_t	self_instance, peer_instance;
};

/* Both ends, SOCK_CLOEXEC | SOCK_NONBLOCK. */
int	 ipc_pair(int fds[2], struct err *err);

/*
 * Takes the descriptor over. handlers: a table that lives as long as the
 * channel; a message of the catalogue that the table does not name is a
 * violation. NULL when memory is out (fd is then still the caller's).
 */
struct ipc_channel *ipc_channel_new(struct event_base *base, int fd,
	    struct ipc_ends ends, const struct ipc_handler *handlers,
	    size_t n_handlers, ipc_closed_fn *closed, void *ctx);
void	 ipc_channel_free(struct ipc_channel *ch);
/* The closed callback gets this instead of ctx. */
void	 ipc_channel_set_closed_arg(struct ipc_channel *ch, void *arg);

/*
 * Counts received messages by catalogue row, and violations, into a
 * process's own metrics; one for all channels of a process, which must
 * outlive them. NULL from ipc_counters_new when memory is out.
 */
struct metrics;
struct ipc_counters *ipc_counters_new(struct metrics *m);
void	 ipc_counters_free(struct ipc_counters *c);
void	 ipc_channel_set_counters(struct ipc_channel *ch,
	    struct ipc_counters *c);

/* State of the receiving worker, for the catalogue's states column. */
void	 ipc_channel_set_state(struct ipc_channel *ch, enum ipc_state state);
/* Stamped on everything sent from now on. */
void	 ipc_channel_set_generation(struct ipc_channel *ch,
	    uint32_t generation);
struct ipc_ends ipc_channel_ends(const struct ipc_channel *ch);
bool	 ipc_channel_is_open(const struct ipc_channel *ch);

/*
 * Sends one message. Bytes are copied if they have to wait; the descriptors
 * are taken over in every case and closed once sent. -1 with ERR_LIMIT when
 * the row's queue is full, ERR_UNAVAILABLE when the channel is closed; a
 * message that breaks the catalogue is fatal (our own invariant).
 */
int	 ipc_send(struct ipc_channel *ch, enum ipc_type type, uint64_t id,
	    const void *data, size_t n, const int *fds, size_t n_fds,
	    struct err *err);
/* The same, data gathered from at most 7 parts. */
int	 ipc_sendv(struct ipc_channel *ch, enum ipc_type type, uint64_t id,
	    const struct iovec *iov, size_t n_iov, const int *fds,
	    size_t n_fds, struct err *err);

/* Bytes that wait in the queue. */
size_t	 ipc_channel_queued(const struct ipc_channel *ch);
/* Called whenever the queue has run empty. NULL takes it away. */
void	 ipc_channel_on_drained(struct ipc_channel *ch,
	    void (*fn)(void *ctx, struct ipc_channel *ch));

/*
 * Waits (blocking, at most timeout_ms in all) until everything queued has
 * been sent; for a process that is about to end. -1 if not.
 */
int	 ipc_channel_flush(struct ipc_channel *ch, int timeout_ms);

/*
 * For a long computation that must hear from a peer without going back to
 * the loop: handles what is there, after waiting at most timeout_ms for it.
 * Not from inside a handler of this channel. false = the channel is dead.
 */
bool	 ipc_channel_pump(struct ipc_channel *ch, int timeout_ms);

/* Descriptor i, now the caller's (-1: none); those not taken are closed. */
int	 ipc_msg_take_fd(struct ipc_msg *m, size_t i);

/*
 * The message's content is wrong: logs and closes the channel (the closed
 * callback runs after the handler has returned).
 */
void	 ipc_violation(struct ipc_channel *ch, const struct ipc_msg *m,
	    const char *why);

#endif
