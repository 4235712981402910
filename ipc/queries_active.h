/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_IPC_QUERIES_ACTIVE_H
#define BRAZIER_IPC_QUERIES_ACTIVE_H

/*
 * queries.active, as the supervisor lays it out and the processes that run
 * queries fill it: '[' and slots of 1,000 bytes, one a process; a slot in
 * use is a JSON object, zeros, and a comma at its end.
 */

#include <stdint.h>

#define QUERIES_ACTIVE_SLOT_BYTES	1000

static inline int64_t
queries_active_offset(uint64_t slot)
{
	return 1 + (int64_t)slot * QUERIES_ACTIVE_SLOT_BYTES;
}

#endif
