/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_LANES_H
#define BRAZIER_COMMON_PROMQL_LANES_H

/*
 * Four doubles at once, as GCC's vector extension has them, and the clones
 * of a hot function for newer processors.
 */

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__) && !defined(BRAZIER_SANITIZED)
#define HOT_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define HOT_CLONES
#endif

/* Vectors never cross a call: what uses them must be inlined. */
#define LANES_INLINE static inline __attribute__((always_inline))

#define LANES	4
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t mask __attribute__((vector_size(LANES * sizeof(int64_t))));

/* Where m is set a, else b. */
#define LANES_PICK(m, a, b) \
	((lanes)(((m) & (mask)(a)) | (~(m) & (mask)(b))))

#define LANES_LOAD(to, from)	memcpy(&(to), (from), sizeof(to))
#define LANES_STORE(to, from)	memcpy((to), &(from), sizeof(from))

#endif
