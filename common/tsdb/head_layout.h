/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_HEAD_LAYOUT_H
#define BRAZIER_COMMON_TSDB_HEAD_LAYOUT_H

/*
 * What lies in the head arena: one sparse memfd, written by storage alone,
 * mapped read-only by the processes that answer queries. Everything points
 * by head_off, a u32 count of 16-byte units from the start of the arena;
 * 0 means none. Readers trust nothing: every offset and count is checked
 * against the arena before use (head_reader.h does that), and what is read
 * may change under the reader's eyes, so it is read once.
 *
 *	0        superblock, hash shards            (struct head_super)
 *	+        series directory: HEAD_SEGMENTS head_offs
 *	...      blocks, allocated upward, recycled by size
 *
 *	symbol shard ─▶ table of symbols ─▶ {len, text}
 *	pair shard ──▶ table of pairs ──▶ {name, value, list} ─▶ {n, slots…}
 *	               value 0: the name  {name, 0,     list} ─▶ {n, pairs…}
 *	names ─▶ {n, pairs with value 0…}
 *	directory ─▶ segment of slots ─▶ series {ref, labels…, chunks}
 *	                                  chunks ─▶ {n, {word, where, times}…}
 *	                                               └─▶ chunk data, here or
 *	                                                   in a chunks_head file
 *
 * A series is known by its slot: a dense number, given in order of creation
 * and never used twice, so lists of slots are sorted by growing.
 *
 * Orders. Storage makes a thing whole first and then publishes it by one
 * release store of an aligned word: an offset, a hash slot, a count, a
 * publication word. Readers load such words with acquire (head_load…). A
 * list that grows keeps its capacity: items first, then the count. When it
 * is full, a bigger copy is published by the offset of the list; the old one
 * stays as it was until no reader's epoch can see it.
 *
 * Publication. A batch becomes visible whole: each chunk carries a word
 * {samples now, samples before the last commit that touched it, number of
 * that commit, how much earlier the one before it was}. Appending stores the
 * words with the number of the commit under way; the batch ends by storing
 * that number in the superblock. A reader takes the number C, then the words
 * of its series:
 *
 *	commit <= C                  sees `now` samples
 *	commit > C, previous <= C    sees `before`
 *	previous > C                 written twice meanwhile: `before` may be
 *	                             too new; the reader takes a new C and
 *	                             the words again
 *
 * Only the last chunk of a series ever changes its word. A chunk created by
 * a later commit has before = 0 and is not seen; the chunk before it was the
 * last one at C, so its word is asked the same question.
 *
 * Epochs. A reader stores the global epoch in its own page (struct
 * head_reader_page), fences, and reads the global one again until both are
 * equal; 0 means it holds none. Storage retires a block with the epoch of
 * that moment and reuses it when every page shows 0 or a later epoch.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_MAGIC		0x314441454852425aULL	/* "ZBRHEAD1" */
#define HEAD_VERSION		1u
#define HEAD_UNIT		16u
#define HEAD_SHARDS		256u	/* by the top 8 bits of a hash */
#define HEAD_SEGMENT_SLOTS	4096u
#define HEAD_SEGMENTS		65536u
#define HEAD_SLOTS_MAX		((uint64_t)HEAD_SEGMENTS * HEAD_SEGMENT_SLOTS)
#define HEAD_LABELS_MAX		4096u	/* of one series */
#define HEAD_SYMBOL_MAX		((1u << 24) - 1)	/* bytes of one symbol */
#define HEAD_PAGE_BYTES		4096u	/* a reader's page */

typedef uint32_t head_off;

/* All fields in native byte order; the arena never leaves the machine. */
struct head_super {
	/* written once, before the arena is handed out */
	uint64_t	magic;
	uint32_t	version;
	uint32_t	super_units;	/* first unit behind the directory */
	uint64_t	size_bytes;	/* the ceiling = length of the memfd */
	uint64_t	id;		/* of this arena: storage's start, ns */
	uint64_t	reserved[4];

	/* written by storage all the time; own cache line */
	uint64_t	commit;		/* release at the end of a batch */
	uint64_t	epoch;		/* seq_cst; begins with 1 */
	int64_t		mint_ms;	/* relaxed; INT64_MAX while empty */
	int64_t		maxt_ms;	/* relaxed; INT64_MIN while empty */
	uint64_t	n_chunks;	/* relaxed */
	uint64_t	used_bytes;	/* relaxed; in use, without free blocks */
	uint32_t	n_slots;	/* release, behind the slot itself */
	uint32_t	n_series;	/* relaxed; slots that are not empty */

	uint32_t	n_symbols;	/* relaxed */
	uint32_t	n_pairs;	/* relaxed; without the names */
	head_off	names;		/* acquire: struct head_list of pairs */
	uint32_t	top_units;	/* relaxed; first never allocated unit */
	uint64_t	min_valid_ms;	/* relaxed, int64: appends below fail */
	uint64_t	reserved2[6];

	head_off	sym_shard[HEAD_SHARDS];		/* acquire: head_table */
	head_off	pair_shard[HEAD_SHARDS];	/* acquire: head_table */
	head_off	segment[HEAD_SEGMENTS];		/* acquire: slots */
};
_Static_assert(offsetof(struct head_super, commit) == 64, "cache line");
_Static_assert(offsetof(struct head_super, n_symbols) == 120, "packed");
_Static_assert(sizeof(struct head_super) % HEAD_UNIT == 0, "units");

/*
 * One shard of a hash table: open addressing, linear probing from
 * (uint32_t)hash. A slot is {high half of the hash, head_off}, stored with
 * release; 0 = empty. Never more than 3/4 full; nothing is deleted.
 */
struct head_table {
	uint32_t	mask;		/* slots - 1, slots a power of two */
	uint32_t	n;		/* writer's own */
	uint64_t	reserved;
	uint64_t	slot[];
};

/* A symbol: its id is the offset of this. Never freed, never changed. */
struct head_symbol {
	uint32_t	len_bytes;
	uint32_t	hash;		/* low half of hash_xxh64(text) */
	char		text[];
};

/* A name (value = 0) or a pair of name and value. Never freed. */
struct head_pair {
	uint32_t	name;		/* symbol */
	uint32_t	value;		/* symbol; 0 in the entry of a name */
	head_off	list;		/* acquire: slots, or pairs of a name */
	uint32_t	reserved;
};

/* A growing list: of slots (ascending) or of offsets of pairs. */
struct head_list {
	uint32_t	n;		/* acquire; <= cap */
	uint32_t	cap;		/* fixed in a block's life */
	uint32_t	item[];
};

struct head_label {
	uint32_t	name;		/* symbols */
	uint32_t	value;
};

struct head_series {
	uint64_t	ref;		/* Prometheus's series ref, from 1 */
	uint32_t	slot;
	head_off	chunks;		/* acquire: struct head_chunks; 0 = none */
	uint32_t	n_labels;
	head_off	deleted;	/* acquire: struct head_deleted; 0 = none */
	uint32_t	reserved[2];
	struct head_label label[];	/* sorted by name's text */
};
_Static_assert(sizeof(struct head_series) == 32, "packed");

/* Closed. */
struct head_interval {
	int64_t		mint_ms;
	int64_t		maxt_ms;
};

/*
 * Ranges of time whose samples readers leave out (tombstones), sorted; they
 * neither touch nor overlap. A block never changes once it is published.
 */
struct head_deleted {
	uint32_t	n;
	uint32_t	units;		/* of the block, the writer's own */
	uint64_t	reserved;
	struct head_interval interval[];
};
_Static_assert(sizeof(struct head_deleted) == HEAD_UNIT, "a unit");

/* See "Publication" above. */
struct head_chunk {
	uint64_t	word;		/* acquire; head_word_… */
	uint64_t	where;		/* acquire; head_where_… */
	int64_t		mint_ms;	/* fixed: time of the first sample */
	int64_t		maxt_ms;	/* relaxed, before the word; a bound */
};
_Static_assert(sizeof(struct head_chunk) == 32, "packed");

/* A series' chunks in order of time; the last one is open. */
struct head_chunks {
	uint32_t	n;		/* acquire; <= cap */
	uint32_t	cap;		/* fixed in a block's life */
	uint64_t	reserved;
	struct head_chunk chunk[];
};

/*
 * --- the publication word: commit 38 | gap 4 | before 11 | now 11 ---
 * The previous commit that touched the chunk is at most commit - 2^gap; the
 * greatest gap also says that there was none, as good as that for a reader,
 * whose own commit is never 32,768 behind when it reads the words.
 */

#define HEAD_CHUNK_SAMPLES_MAX	2047u
#define HEAD_GAP_MAX		15u

static inline uint64_t
head_word_make(uint64_t commit, uint32_t gap, uint32_t before, uint32_t now)
{
	return commit << 26 | (uint64_t)gap << 22 | (uint64_t)before << 11 |
	    now;
}

static inline uint64_t
head_word_commit(uint64_t word)
{
	return word >> 26;
}

static inline uint32_t
head_word_gap(uint64_t word)
{
	return (uint32_t)(word >> 22) & 15;
}

static inline uint32_t
head_word_before(uint64_t word)
{
	return (uint32_t)(word >> 11) & 0x7ff;
}

static inline uint32_t
head_word_now(uint64_t word)
{
	return (uint32_t)word & 0x7ff;
}

/* The word after `commit` has made it `now` samples; 0 for a new chunk. */
static inline uint64_t
head_word_next(uint64_t word, uint64_t commit, uint32_t now)
{
	uint64_t gap;

	if (word == 0)
		return head_word_make(commit, HEAD_GAP_MAX, 0, now);
	if (head_word_commit(word) == commit)
		return head_word_make(commit, head_word_gap(word),
		    head_word_before(word), now);
	gap = 63 - (uint64_t)__builtin_clzll(commit - head_word_commit(word));
	return head_word_make(commit, gap < HEAD_GAP_MAX ? (uint32_t)gap :
	    HEAD_GAP_MAX, head_word_now(word), now);
}

/* Samples that a reader which took `commit` sees. */
static inline uint32_t
head_word_seen(uint64_t word, uint64_t commit)
{
	return head_word_commit(word) <= commit ? head_word_now(word) :
	    head_word_before(word);
}

/* Whether head_word_seen may be too much for this commit. */
static inline bool
head_word_is_newer(uint64_t word, uint64_t commit)
{
	return head_word_commit(word) > commit &&
	    head_word_gap(word) < HEAD_GAP_MAX &&
	    head_word_commit(word) - ((uint64_t)1 << head_word_gap(word)) >
	    commit;
}

/*
 * --- where a chunk's data is ---
 * arena: 0 | encoding 4 | 0… | units 16 | offset 32; from the offset on, at
 *        most units * 16 bytes, beginning with the two bytes of the count
 * file:  1 | encoding 4 | file number 27 | byte offset 32, of the chunk's
 *        record in chunks_head/%06d (spec tsdb.tsv, chunks_head)
 * The step from the first to the second keeps the data bytes.
 */
#define HEAD_WHERE_FILE		((uint64_t)1 << 63)

static inline uint64_t
head_where_arena(unsigned encoding, head_off off, uint32_t units)
{
	return (uint64_t)(encoding & 15) << 59 | (uint64_t)units << 32 | off;
}

static inline uint64_t
head_where_file(unsigned encoding, uint32_t file, uint32_t offset)
{
	return HEAD_WHERE_FILE | (uint64_t)(encoding & 15) << 59 |
	    (uint64_t)(file & 0x7ffffff) << 32 | offset;
}

static inline bool
head_where_is_file(uint64_t where)
{
	return (where & HEAD_WHERE_FILE) != 0;
}

static inline unsigned
head_where_encoding(uint64_t where)
{
	return (unsigned)(where >> 59) & 15;
}

static inline head_off
head_where_off(uint64_t where)
{
	return (head_off)where;		/* file: byte offset */
}

static inline uint32_t
head_where_units(uint64_t where)
{
	return (uint32_t)(where >> 32) & 0xffff;
}

static inline uint32_t
head_where_file_no(uint64_t where)
{
	return (uint32_t)(where >> 32) & 0x7ffffff;
}

/*
 * One page a reader process, a memfd of its own (HEAD_PAGE_BYTES long,
 * F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), mapped by storage too.
 */
struct head_reader_page {
	uint64_t	epoch;		/* seq_cst, reader; 0 = holds none */
	uint64_t	reserved[511];
};
_Static_assert(sizeof(struct head_reader_page) == HEAD_PAGE_BYTES, "a page");

/* --- loads and stores of shared words --- */

static inline uint32_t
head_load32(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint64_t
head_load64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline int64_t
head_load_time(const int64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void
head_store32(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline void
head_store64(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline void
head_store_time(int64_t *p, int64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* The hash that finds a pair; symbols are offsets, so mix them well. */
static inline uint64_t
head_pair_hash(uint32_t name, uint32_t value)
{
	uint64_t h = ((uint64_t)name << 32 | value) * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 29;
}

static inline unsigned
head_shard(uint64_t hash)
{
	return (unsigned)(hash >> 56);
}

#endif
