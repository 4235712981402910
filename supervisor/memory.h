/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_SUPERVISOR_MEMORY_H
#define BRAZIER_SUPERVISOR_MEMORY_H

/*
 * Division of the memory among the workers, fixed at start: the smaller of
 * the control group's limit and the machine's memory; half of it is the
 * head's ceiling, a quarter the query pool's, a twentieth eval's, the rest
 * everybody else's. Flags override each part.
 */

#include <stdint.h>

#include "supervisor/flags.h"

struct memory_plan {
	uint64_t machine_bytes;		/* RAM */
	uint64_t cgroup_bytes;		/* 0 = no limit found */
	uint64_t total_bytes;		/* what is divided */
	uint64_t head_bytes;
	uint64_t query_bytes;		/* all query workers together */
	uint64_t eval_bytes;		/* all eval workers together */
	uint64_t rest_bytes;
};

void	 memory_plan_make(struct memory_plan *m, const struct flags *f);

/*
 * The smallest memory limit of a control group and its parents.
 * root       "/sys/fs/cgroup"
 * membership content of /proc/self/cgroup
 * 0 when there is none.
 */
uint64_t memory_cgroup_limit(const char *root, const char *membership);

#endif
