/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_LOG_WRITER_H
#define BRAZIER_SUPERVISOR_LOG_WRITER_H

/*
 * The only writer of standard error. Workers send whole lines, already
 * encoded, over a channel of their own that never blocks them; here they are
 * made harmless for terminals and written. A reader of our standard error
 * that stands still loses lines, it never stops the supervisor.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/log.h"

struct event;
struct event_base;

struct log_writer {
	int		 fd;		/* 2, or another for tests */
	uint64_t	 lines;
	uint64_t	 lost;		/* the reader stood still */
};

void	 log_writer_init(struct log_writer *w, int fd);
/* Sink for our own lines; arg is the struct log_writer. */
void	 log_writer_sink(void *arg, enum log_level level, const char *line,
	    size_t n);

/* One worker's end. */
struct log_input {
	struct log_writer	*writer;
	int			 fd;
	struct event		*ev;
};

/* Makes the pair; *worker_fd goes to the worker. */
int	 log_input_open(struct log_input *in, struct log_writer *w,
	    struct event_base *base, int *worker_fd, struct err *err);
/* Writes what is still there, then closes. */
void	 log_input_close(struct log_input *in);

#endif
