/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_BROKER_H
#define BRAZIER_IPC_BROKER_H

/*
 * A worker's side of the file broker: it has no open() of its own and asks
 * the supervisor, which opens with the service user's identity, read-only,
 * regular files only. Answers come in any order through callbacks.
 *
 * The role puts BROKER_HANDLERS into its table of supervisor messages and
 * owns one struct broker.
 */

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "ipc/channel.h"

struct broker;

/* fd is the callback's (-1 on failure, then err says why). */
typedef void broker_open_fn(void *arg, int fd, int64_t size_bytes,
	    int64_t mtime_ns, const struct err *err);
/* paths live until the return. */
typedef void broker_glob_fn(void *arg, const struct str *paths, size_t n,
	    const struct err *err);
typedef void broker_changed_fn(void *arg, struct str path);

struct broker *broker_new(struct ipc_channel *supervisor);
void	 broker_free(struct broker *b);

/* reason: "scrape: password_file of job x", for log and audit. */
int	 broker_open(struct broker *b, struct str path, const char *reason,
	    uint64_t max_bytes, uint32_t flags, broker_open_fn *fn, void *arg,
	    struct err *err);
int	 broker_glob(struct broker *b, struct str pattern, const char *reason,
	    broker_glob_fn *fn, void *arg, struct err *err);
/* One function hears of all watched files. */
int	 broker_watch(struct broker *b, struct str path, struct err *err);
void	 broker_on_changed(struct broker *b, broker_changed_fn *fn, void *arg);

/*
 * To call from the role's handlers of OPENED, GLOBBED, CHANGED (its own
 * three small functions, which know where the broker is).
 */
void	 broker_on_message(struct broker *b, struct ipc_channel *ch,
	    struct ipc_msg *m);

#endif
