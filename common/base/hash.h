/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_HASH_H
#define BRAZIER_COMMON_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH64 with seed 0: the reference's label set hash is built on it. */
uint64_t hash_xxh64(const void *p, size_t n);

/* XXH3, 64 bit: for tables of this process, quicker on short texts. */
uint64_t hash_xxh3(const void *p, size_t n);

/* FNV-1a, 64 bit; start with HASH_FNV64_INIT and chain. */
#define HASH_FNV64_INIT	14695981039346656037ULL
uint64_t hash_fnv64a(uint64_t h, const void *p, size_t n);

/* First 16 bytes out: MD5 (relabelling's hashmod). */
void	 hash_md5(const void *p, size_t n, uint8_t out[16]);

/* CRC-32 Castagnoli as stored in every Prometheus file; chain from 0. */
uint32_t hash_crc32c(uint32_t crc, const void *p, size_t n);

#endif
