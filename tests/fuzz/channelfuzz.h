/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_TESTS_CHANNELFUZZ_H
#define BRAZIER_TESTS_CHANNELFUZZ_H

/*
 * Every row of the catalogue against the real programs. This program is the
 * supervisor and all peers of one worker (or, for rows that the supervisor
 * receives, all of its workers), brings it to where the row may come, and
 * sends it mutations of valid messages, from who may send them and from who
 * may not. What must hold: a message that breaks the catalogue closes its
 * sender's channel; the receiver answers its next valid request; no
 * descriptor and no memory is left behind. A worker whose supervisor breaks
 * the rules ends, with an exit status and not by a signal.
 *
 *	channelfuzz.c		options, rows, report
 *	channelfuzz_io.c	messages as bytes, random numbers, descriptors
 *	channelfuzz_world.c	valid things to send: blobs, a head, a block
 *	channelfuzz_proc.c	a worker: start, peers, answers, end
 *	channelfuzz_ping.c	is it alive, and does it answer
 *	channelfuzz_valid.c	one valid message of each row
 *	channelfuzz_mutate.c	what is done to it
 *	channelfuzz_super.c	the supervisor as the receiver
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "ipc/catalogue.h"

#define HDR_BYTES	16
#define FDS_SENT_MAX	253	/* the kernel's limit a message */
#define PENDING_MAX	16
#define WAIT_MS		20000	/* for anything that must happen */
#define FILES_MAX	8

/* A message to send, as far as it is one. */
struct message {
	uint16_t	type, zero;
	uint32_t	generation;
	uint64_t	id;
	struct buf	data;
	int		fds[FDS_SENT_MAX];	/* owned */
	size_t		n_fds;
	size_t		cut;		/* bytes of the header that go; 16 = all */
};

/* A message that came. */
struct arrival {
	uint16_t	 type;
	uint32_t	 generation;
	uint64_t	 id;
	const void	*data;
	size_t		 n;
	int		 fds[IPC_FDS_MAX];	/* closed afterwards unless -1 */
	size_t		 n_fds;
};

/* --- io --- */

void	 rng_seed(uint64_t seed);
uint64_t rng(void);
/* 0 … n-1 */
uint64_t rng_below(uint64_t n);
bool	 rng_one_in(unsigned n);
/* Numbers at which things break. */
uint64_t rng_odd_number(void);

int64_t	 now_ms(void);
void	 die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

void	 message_init(struct message *m, unsigned type);
void	 message_clear(struct message *m);
void	 message_add_fd(struct message *m, int fd);
/* 0 = sent, -1 = the other end is gone. Descriptors are copied. */
int	 message_send(int fd, const struct message *m);
/* 1 = one message, 0 = none there, -1 = the other end is gone. */
int	 message_receive(int fd, struct arrival *a);
void	 arrival_clear(struct arrival *a);
void	 pair_new(int fds[2]);

/* A descriptor that is not what a receiver hopes for. */
int	 fd_odd(const char **name);
int	 fd_sealed(const void *p, size_t n);
int	 fd_unsealed(const void *p, size_t n);
int	 fd_shared(size_t n);
/* Another of the same kind with some bytes changed; -1 if it cannot be. */
int	 fd_changed(int fd);

/* --- world --- */

struct world {
	char		 dir[64];	/* ours, removed at the end */
	char		 build[4096];	/* where the programs are */
	bool		 sanitized;
	int		 blob[ROLE_COUNT];	/* sealed, -1 = none */
	int		 head;			/* read-only arena */
	struct msg_head_map head_map;
	int		 file[FILES_MAX];	/* of head chunks */
	struct msg_chunks_file file_msg[FILES_MAX];
	size_t		 n_files;
	int		 block[3];		/* index, tombstones, chunks */
	int		 listener, port;
	int		 password;		/* a file that is asked for */
};

void	 world_init(struct world *w, const char *build);
void	 world_clear(struct world *w);
/* Another port for web; the first one's at the start. */
void	 world_new_listener(struct world *w);
/* An empty directory below the world's. */
void	 world_data_dir(struct world *w, char out[128]);
int	 world_config_fd(const struct world *w);

/* --- a worker --- */

struct pending {
	uint64_t	id[PENDING_MAX];
	size_t		n;
};

struct proc {
	struct world	*w;
	enum role	 role;
	pid_t		 pid;
	int		 ch[ROLE_COUNT];	/* -1 = closed */
	int		 ping_ch;		/* a second peer's */
	size_t		 handled[ROLE_COUNT + 1];
	int		 log, err;		/* its log lines, its stderr */
	int		 data_dir;
	enum ipc_state	 state;
	bool		 ready, prepared, prepared_ok, committed, stopped;
	bool		 loaded, load_ok;
	uint32_t	 generation;
	unsigned	 hold;		/* request that is not answered */
	struct pending	 pending[IPC_TYPE_MAX];
	uint64_t	 seq;		/* of appends to storage */
	uint64_t	 ping_seq, acked, ping_id, ponged;
	struct reply_page *page;	/* query's */
	bool		 has_ring;
	uint64_t	 produced;	/* into our ring, as web hears of it */
	uint64_t	 n_closed;	/* channels, by it */
	int		 http[4];
	char		 last_log[2048];
	int		 status;	/* of waitpid once pid is 0 */
};

/* Starts it and leaves it before ATTACH. */
void	 proc_start(struct proc *p, struct world *w, enum role role);
void	 proc_attach_message(struct proc *p, struct message *m);
/* All the way to RUN with all peers, hold being left open. */
void	 proc_bring_up(struct proc *p, struct world *w, enum role role,
	    unsigned hold);
void	 proc_end(struct proc *p);
/* Reads what is there, answers it; waits at most ms for the first. */
void	 proc_pump(struct proc *p, int ms);
bool	 proc_alive(struct proc *p);
bool	 proc_has_peer(enum role role, enum role peer);
/* Opens the channel if it is closed. */
void	 proc_open_peer(struct proc *p, enum role peer);
void	 proc_close_peer(struct proc *p, enum role peer);
void	 proc_open_ping(struct proc *p, enum role peer);
bool	 proc_reload(struct proc *p, int blob, bool commit);
size_t	 proc_n_fds(const struct proc *p);
uint64_t proc_anon_bytes(const struct proc *p);
void	 proc_complain(struct proc *p);
/* Makes it ask what `row` answers. */
void	 proc_provoke(struct proc *p, unsigned row);
/* A valid request was answered. */
bool	 proc_ping(struct proc *p, bool deep);
void	 proc_http_close(struct proc *p);

/* --- messages --- */

void	 valid_message(struct proc *p, enum role peer, unsigned type,
	    struct message *m);
void	 put_text(struct buf *b, const char *text);
/* Who asks, of a QUERY. */
void	 put_asker(struct buf *b);
struct msg_reply valid_reply(struct proc *p);

enum how {
	HOW_VALID, HOW_TRUNCATED, HOW_OVERSIZE, HOW_HEADER, HOW_FDS_MORE,
	HOW_FDS_FEWER, HOW_FDS_KIND, HOW_FDS_UNSEALED, HOW_FDS_CONTENT,
	HOW_RANDOM, HOW_FIELD, HOW_BYTES, HOW_SENDER, HOW_STATE, HOW_COUNT
};
extern const char *const how_names[HOW_COUNT];

void	 mutate(struct message *m, enum how how);
/* The catalogue or a seal is broken: the channel must close. */
bool	 must_close(const struct message *m, enum role from, enum role to,
	    enum ipc_state state, enum how how);

/* --- results --- */

struct tally {
	uint64_t	runs, closed, restarts;
	uint64_t	by[HOW_COUNT];
};

/* Fuzzes a row as the supervisor hears it; true when nothing was found. */
bool	 super_row(struct world *w, unsigned type, int64_t ms,
	    struct tally *t);
/* What was being done when something was found. */
void	 describe(char *out, size_t n, enum role from, enum role to,
	    enum how how, const struct message *m);

#endif
