/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_TESTS_TOOLS_STORM_H
#define BRAZIER_TESTS_TOOLS_STORM_H

/*
 * A real storage process under load, with this program for its supervisor,
 * its clients and its readers. What every sample must be is a function of
 * the client, the batch and the series alone (storm_shape.c), so whoever
 * reads can check all of it.
 *
 *	storm.c		the two programs: storm kill, storm read
 *	storm_shape.c	what the batches hold
 *	storm_storage.c	starting, attaching, killing storage
 *	storm_load.c	clients of the append protocol, their ACKs
 *	storm_view.c	reading the head, all of it checked
 *	storm_reader.c	a reader in a process of its own
 */

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/labels/labels.h"
#include "common/tsdb/head_files.h"
#include "common/tsdb/head_reader.h"
#include "ipc/append.h"
#include "ipc/channel.h"

struct event_base;

_Noreturn void storm_fail(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* Below n, from a seeded source of this process. */
uint32_t storm_rnd(uint32_t n);
void	 storm_seed(uint64_t seed);

/* --- storm_shape.c --- */

#define STORM_CLIENTS	3
#define STORM_STEP_MS	100	/* of the samples' time, each tick */

struct storm_shape {
	enum role	role;
	uint32_t	instance;
	uint32_t	n_series;	/* of a batch */
	uint32_t	per_series;	/* samples of each */
	uint32_t	every;		/* ticks */
	uint32_t	moves;		/* series that go and come … */
	uint32_t	moves_every;	/* … each so many batches; 0 = none */
};
extern const struct storm_shape storm_shapes[STORM_CLIENTS];

/* Samples of one batch. */
uint32_t shape_samples(unsigned client);
/* Series of batch seq: n_series from this index. */
uint32_t shape_first(unsigned client, uint64_t seq);
/* Time of a series' sample k in batch seq. */
int64_t	 shape_time(int64_t start_ms, unsigned client, uint64_t seq,
	    uint32_t k);
double	 shape_value(uint64_t seq, uint32_t index);
/* The batch a sample belongs to; 0: there is no such sample. */
uint64_t shape_batch(int64_t start_ms, unsigned client, uint32_t index,
	    int64_t t_ms, double v);
/* The first batch that is wholly at from_ms or later. */
uint64_t shape_batch_from(int64_t start_ms, unsigned client, int64_t from_ms);

/* --- storm_storage.c --- */

struct storm_storage {
	struct event_base	*base;
	const char		*program;
	const char		*dir;
	const char		*query_timeout;
	int			 log[2];
	pid_t			 pid;
	struct ipc_channel	*sup;
	bool			 ready, gone;
	uint32_t		 kill_asked;	/* KILL_READER: set of instances */
};

void	 storm_storage_init(struct storm_storage *s, struct event_base *base,
	    const char *program, const char *dir);
/* Starts and attaches it; ready comes later. */
void	 storm_storage_start(struct storm_storage *s);
/* Runs the loop until *flag, 60 s at most; fails with what. */
void	 storm_wait(struct storm_storage *s, const bool *flag,
	    const char *what);
/* Runs the loop for so long. */
void	 storm_run(struct storm_storage *s, unsigned ms);
/* A channel that storage takes for this peer's; our end of it. */
int	 storm_peer_up(struct storm_storage *s, enum role role,
	    uint32_t instance, uint32_t n_instances);
void	 storm_peer_down(struct storm_storage *s, enum role role,
	    uint32_t instance);
/* SIGKILL; the supervisor's channel stays until storm_storage_forget. */
void	 storm_storage_kill(struct storm_storage *s);
/* STOP, and waits for its end. */
void	 storm_storage_stop(struct storm_storage *s);
void	 storm_storage_forget(struct storm_storage *s);

/* --- storm_load.c --- */

struct storm_client {
	unsigned		 client;
	struct storm_load	*load;
	struct ipc_channel	*ch;
	uint64_t		 sent, acked;	/* last batch */
	uint32_t		 first;		/* declared series … */
	bool			 declared;	/* … from first, n_series */
	bool			 closed;
};

struct storm_load {
	struct storm_storage	*s;
	struct storm_client	 c[STORM_CLIENTS];
	int64_t			 start_ms;
	uint64_t		 tick;
	uint64_t		 acked_samples;
	uint64_t		 resent;
	int			 ack_log;	/* -1: none */
};

void	 storm_load_init(struct storm_load *l, struct storm_storage *s,
	    int64_t start_ms);
/* Attaches the clients; sends what is not acknowledged again. */
void	 storm_load_connect(struct storm_load *l);
/* The batches of the next tick, unless too much waits for its ACK. */
void	 storm_load_tick(struct storm_load *l);
bool	 storm_load_is_acked(const struct storm_load *l);
void	 storm_load_disconnect(struct storm_load *l);

/* --- storm_view.c --- */

struct storm_view {
	struct ipc_channel	*ch;
	struct head_reader	 r;
	struct head_files	 files;
	int			 page_fd;
	bool			 mapped, closed;
	int64_t			 start_ms;
	struct slot_name	*names;		/* by slot */
	size_t			 n_names, cap_names;
	uint32_t		*count[STORM_CLIENTS];	/* by batch */
	size_t			 cap_count[STORM_CLIENTS];
	uint64_t		 from[STORM_CLIENTS];	/* of count[0] */
	uint64_t		 top[STORM_CLIENTS];	/* largest counted */
	uint64_t		 newest[STORM_CLIENTS];	/* whole, last pass */
	int64_t			*t;
	double			*v;
	uint64_t		 n_samples, n_passes;
};

/* Joins over fd as query process `instance`; HEAD_MAP comes later. */
void	 storm_view_open(struct storm_view *v, struct event_base *base, int fd,
	    uint32_t instance, int64_t start_ms);
void	 storm_view_close(struct storm_view *v);
/*
 * One picture of all samples from from_ms on, held for hold_ms before it is
 * decoded; only one client's with client >= 0. Fails the program unless
 * every batch up to the newest is there, whole, once, as it must be.
 * newest[] says how far each goes.
 */
void	 storm_view_pass(struct storm_view *v, int64_t from_ms, int client,
	    unsigned hold_ms);

/* --- storm_reader.c --- */

/* A process that reads over descriptor 3 until it is told to end. */
int	 storm_reader_main(uint32_t instance, int64_t start_ms,
	    uint64_t seed);

#endif
