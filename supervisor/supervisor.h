/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_SUPERVISOR_H
#define BRAZIER_SUPERVISOR_SUPERVISOR_H

/*
 * The supervisor's one context and its children. Only supervisor/ sees this
 * file. Who does what:
 *
 *	children.c  starts and stops workers		 peers.c  channels between
 *	child_messages.c  hears them			 deaths.c  and buries them
 *	attach.c    what a worker is told first		 auto_reload.c
 *	startup.c   load, start, ready			 reload.c the transaction
 *	stop.c      ordered end				 broker.c files for others
 *	control.c   brazierctl				 status.c what it shows
 *	queries_active.c  which query ran when a process died
 *	watchdog.c  finds those that hang		 resolver_files.c
 */

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/role.h"
#include "ipc/channel.h"
#include "ipc/message.h"
#include "supervisor/dirlock.h"
#include "supervisor/flags.h"
#include "supervisor/flags_check.h"
#include "supervisor/identity.h"
#include "supervisor/launch.h"
#include "supervisor/listeners.h"
#include "supervisor/log_writer.h"
#include "supervisor/memory.h"
#include "supervisor/roles.h"

struct event;
struct event_base;
struct metrics;
struct wire_reader;
struct auto_reload;
struct broker_state;
struct control;
struct reload;
struct resolver_files;
struct watchdog;

/* Paths of log files that a configuration names; owned. */
struct log_files {
	char	**path;
	size_t	  n;
};

enum super_phase {
	SUPER_LOADING,		/* the first configuration is being checked */
	SUPER_STARTING,		/* workers attach, storage replays */
	SUPER_COMMITTING,	/* the first configuration comes into force */
	SUPER_RUNNING,
	SUPER_STOPPING
};

enum child_state {
	CHILD_DOWN,		/* no process; perhaps a restart timer */
	CHILD_BOOT,		/* ATTACH sent */
	CHILD_UP,		/* attached and locked in */
	CHILD_STOPPING		/* STOP sent */
};

enum child_step {
	STEP_IDLE,
	STEP_PREPARING,		/* PREPARE sent */
	STEP_PREPARED,
	STEP_COMMITTING		/* COMMIT sent */
};

struct child {
	struct supervisor	*sup;
	enum role		 role;
	uint32_t		 instance;
	enum child_state	 state;
	enum child_step		 step;
	bool			 ready;		/* READY came */
	bool			 running;	/* RUN sent */
	pid_t			 pid;		/* 0 = none */
	struct ipc_channel	*ch;		/* NULL = gone */
	struct log_input	 log;
	int			 metrics_fd;	/* the region, read-only; -1 = none */
	uint32_t		 generation;	/* in force there */
	uint32_t		 next_generation; /* prepared there */
	mono_time		 started;
	uint64_t		 memory_limit;
	/* deaths */
	unsigned		 restarts;
	int64_t			 backoff_ms;
	struct event		*restart_timer;
	struct event		*kill_timer;
	const char		*kill_reason;	/* why we killed it */
	bool			 said_stopped;	/* STOPPED came */
	bool			 leaving;	/* told to, to be replaced */
	bool			 channel_lost;	/* it closed its end first */
	enum peer_cause		 kill_cause;
	char			 last_cause[160]; /* of the last death */
	/* watchdog.c's */
	bool			 asked;		/* PING without PONG */
	unsigned		 looks;		/* at it, since it was asked */
	unsigned		 idle_looks;	/* … in a row without a move */
	uint64_t		 moved;		/* what the scheduler counted */
	/* as it reported */
	struct msg_attached	 attached;
	char			 missing[256];	/* what the kernel lacks */
	/* of the config worker: what it works for */
	struct reload		*reload;
};

struct supervisor {
	const struct flags		*flags;
	const struct flags_settings	*settings;
	struct identity			 identity;
	struct memory_plan		 memory;
	struct launcher			 launcher;
	struct listeners		 listeners;
	struct dirlock			 dirlock;
	int				 queries_active_fd; /* -1 = no tracker */
	struct log_writer		 log_writer;
	struct metrics			*metrics;
	int				 metrics_fd;	/* our own region, read-only */
	struct event_base		*base;
	struct event			*signals[5];

	enum super_phase		 phase;
	int				 exit_code;
	int64_t				 start_ms;
	char				 hostname[256];
	char				 cwd[4096];

	struct child			*children;	/* all roles, all instances */
	size_t				 n_children;
	struct child			 config;	/* one a load */
	bool				 missing_told;	/* what the kernel lacks */
	uint64_t			 oom_kills;	/* of the machine, seen last */
	int				 kernel_log;	/* -1 = may not be read */

	/* the configuration in force */
	uint32_t			 generation;
	uint32_t			 last_generation; /* last number used */
	int				 blobs[ROLE_COUNT]; /* -1 = none */
	struct log_files		 log_files;	/* of the same generation */
	bool				 reload_ok;
	int64_t				 reload_ms;	/* last good one */
	struct msg_progress		 replay;

	struct lost_pair		*lost;	/* to be connected again */
	size_t				 n_lost, cap_lost;
	struct event			*lost_timer;

	struct reload			*reload;	/* the one under way */
	struct auto_reload		*auto_reload;	/* NULL = off */
	struct broker_state		*broker;
	struct control			*control;
	struct watchdog			*watchdog;
	struct resolver_files		*resolver_files;
	/* stop */
	size_t				 stop_stage;
	mono_time			 stop_began;
	bool				 stop_counted;	/* somebody to wait for */
	mono_time			 stop_signalled; /* first signal, 0 = none */
};

/* --- startup.c --- */

/* Everything up to the loop; -1 = sup->exit_code says how to end. */
int	 supervisor_start(struct supervisor *sup);
/* Ends what is left, gives everything back but the struct itself. */
void	 supervisor_free(struct supervisor *sup);
/* A child attached, got ready, committed: moves the start on. */
void	 startup_check(struct supervisor *sup);
/* The start has failed: logs "Fatal error" and stops with exit code. */
void	 startup_fail(struct supervisor *sup, int exit_code,
	    const struct err *err);

/* --- children.c --- */

int	 children_new(struct supervisor *sup, struct err *err);
void	 children_free(struct supervisor *sup);
/* Starts the process; on failure it is tried again later. */
void	 child_start(struct child *c);
/* Reaps what has ended. */
void	 children_reap(struct supervisor *sup);
void	 child_kill(struct child *c, enum peer_cause cause, const char *reason);
/* Sends RUN, once. */
void	 child_run(struct child *c);
/* Asks it to end, kills it after the deadline. */
void	 child_stop(struct child *c, uint32_t deadline_ms);
/* Ends it in good order and starts another; false = not now. */
bool	 child_replace(struct child *c, uint32_t deadline_ms);
void	 child_send(struct child *c, enum ipc_type type, uint64_t id,
	    const void *data, size_t n, int fd);
/* Fixed part and text behind it, as wire strings. */
void	 child_send_text(struct child *c, enum ipc_type type, uint64_t id,
	    const void *data, size_t n, struct str text, int fd);
struct child *children_find(struct supervisor *sup, enum role role,
	    uint32_t instance);
/* "scrape/0" */
const char *child_name(const struct child *c, char out[32]);

/* --- attach.c --- */

/* Descriptors made for a process that only it keeps. */
struct gifts { int log_fd, region_fd; };
void	 child_attach(struct child *c, const struct gifts *g);

/* --- peers.c --- */

void	 peers_connect(struct child *c);
void	 peers_tell_down(struct child *c, enum peer_cause cause,
	    const char *why);
/* Regions of all processes to web; of one process to all webs. */
/* c says that its channel to this peer has closed. false = it never had one. */
bool	 peers_lost(struct child *c, const struct msg_peer_lost *lost);
void	 peers_free(struct supervisor *sup);
void	 peers_send_regions(struct child *web);
void	 peers_send_region(struct child *c);
void	 peers_send_region_gone(struct child *c);
void	 peers_send_server_state(struct supervisor *sup);

/* --- reload.c --- */

/*
 * Loads the configuration and brings it into force. done is called once, with
 * err NULL on success. Requests beyond the bound are refused at once.
 */
typedef void reload_done_fn(void *arg, const struct err *err,
	    unsigned exit_code);
void	 reload_request(struct supervisor *sup, reload_done_fn *done, void *arg);
/* SIGHUP: one that waits already is enough. */
void	 reload_on_signal(struct supervisor *sup);
/* The first load only checks and keeps the blobs; commit comes later, and
 * ends with ERR_UNAVAILABLE when a worker died before the decision: it is to
 * be asked for again once all are up. */
void	 reload_load_initial(struct supervisor *sup, reload_done_fn *done,
	    void *arg);
void	 reload_commit_initial(struct supervisor *sup, reload_done_fn *done,
	    void *arg);
/* Config worker's and workers' part of it. */
void	 reload_on_attached(struct child *c);
void	 reload_on_blob(struct child *c, struct ipc_msg *m);
void	 reload_on_loaded(struct child *c, struct ipc_msg *m);
void	 reload_on_prepared(struct child *c, bool ok, struct str why);
void	 reload_on_committed(struct child *c);
void	 reload_on_death(struct child *c, const char *cause);
/* Brings a restarted worker to the configuration in force. */
void	 reload_catch_up(struct child *c);
/* Forgets waiting requests, answering each. */
void	 reload_cancel_all(struct supervisor *sup, const char *why);

/* --- auto_reload.c --- */

/* NULL when the flag is off. */
struct auto_reload *auto_reload_new(struct supervisor *sup);
void	 auto_reload_free(struct auto_reload *a);
/* Whether the configuration in force names this log file, or the one that is
 * being prepared. */
bool	 reload_names_log_file(const struct supervisor *sup, const char *path);
/* Takes the list of files of a good load; a may be NULL. */
void	 auto_reload_files(struct auto_reload *a, struct wire_reader *r);

/* --- resolver_files.c --- */

struct resolver_files *resolver_files_new(struct supervisor *sup);
void	 resolver_files_free(struct resolver_files *f);

/* --- log_files.c --- */

/* Takes a list of a message in place of what is there. */
void	 log_files_read(struct log_files *l, struct wire_reader *r);
void	 log_files_clear(struct log_files *l);
bool	 log_files_have(const struct log_files *l, const char *path);

/* --- watchdog.c --- */

struct watchdog *watchdog_new(struct supervisor *sup);
void	 watchdog_free(struct watchdog *wd);
void	 watchdog_on_pong(struct child *c);

/* --- stop.c --- */

/* signal_name NULL: asked over HTTP or the control socket. */
void	 stop_begin(struct supervisor *sup, const char *signal_name);
void	 stop_on_death(struct supervisor *sup);

/* --- broker.c --- */

struct broker_state *broker_state_new(struct supervisor *sup);
void	 broker_state_free(struct broker_state *b);
void	 broker_on_open(struct child *c, struct ipc_msg *m);
void	 broker_on_glob(struct child *c, struct ipc_msg *m);
void	 broker_on_watch(struct child *c, struct ipc_msg *m);
void	 broker_forget(struct child *c);

/* --- queries_active.c --- */

/* Tells what did not finish in the last life, makes the file anew. */
void	 queries_active_open(struct supervisor *sup);
/* For a worker; -1 = no tracker. */
int	 queries_active_open_writer(const struct supervisor *sup);
uint32_t queries_active_slot(const struct child *c);
/* Tells which query its slot still names, frees the slot. */
void	 queries_active_on_death(const struct child *c, const char *cause);

/* --- control.c, status.c --- */

struct control *control_open(struct supervisor *sup, struct err *err);
void	 control_close(struct control *ctl);
void	 control_on_web_reply(struct supervisor *sup, struct ipc_msg *m);
void	 control_on_web_down(struct supervisor *sup);
void	 status_json(struct supervisor *sup, struct buf *out);

/* Own numbers of the supervisor and of the processes' tree. */
void	 status_update_metrics(struct supervisor *sup);

#endif
