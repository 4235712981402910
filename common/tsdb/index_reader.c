/* SPDX-License-Identifier: ISC */
/*
 * Header, TOC, symbols and series of a block's index; the postings are in
 * index_postings.c.
 */

#include "common/tsdb/index_reader.h"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/tsdb/index_section.h"

#define INDEX_MAGIC		0xBAAAD700u
#define INDEX_HEADER_BYTES	5
#define TOC_BYTES		(6 * 8 + 4)
#define SERIES_ALIGN		16
#define SYMBOL_STRIDE		16

int
index_corrupt(struct err *err, const char *what)
{
	return err_set(err, ERR_INTERNAL, "corrupt index: %s", what);
}

int
index_section(const struct index_reader *r, uint64_t off, const char *what,
    struct str *out, struct err *err)
{
	uint32_t len;

	if (off > r->n || r->n - off < 8)
		return err_set(err, ERR_INTERNAL,
		    "corrupt index: %s: offset out of range", what);
	len = load_be32(r->p + off);
	if (len > r->n - off - 8)
		return err_set(err, ERR_INTERNAL,
		    "corrupt index: %s: invalid size", what);
	*out = str_from((const char *)r->p + off + 4, len);
	if (hash_crc32c(0, out->p, len) != load_be32(r->p + off + 4 + len))
		return err_set(err, ERR_INTERNAL,
		    "corrupt index: %s: invalid checksum", what);
	return 0;
}

int
index_reader_open(struct index_reader *r, const void *p, size_t n,
    struct err *err)
{
	const uint8_t *toc;

	*r = (struct index_reader){ .p = p, .n = n };
	if (n < INDEX_HEADER_BYTES)
		return index_corrupt(err, "header: invalid size");
	if (load_be32(p) != INDEX_MAGIC)
		return err_set(err, ERR_INTERNAL, "invalid magic number %x",
		    load_be32(p));
	r->version = r->p[4];
	if (r->version < 1 || r->version > 3)
		return err_set(err, ERR_INTERNAL,
		    "unknown index file version %u", r->version);
	if (n < INDEX_HEADER_BYTES + TOC_BYTES)
		return index_corrupt(err, "table of contents: invalid size");
	toc = r->p + n - TOC_BYTES;
	if (hash_crc32c(0, toc, TOC_BYTES - 4) !=
	    load_be32(toc + TOC_BYTES - 4))
		return index_corrupt(err,
		    "table of contents: invalid checksum");
	r->symbols_off = load_be64(toc);
	r->series_off = load_be64(toc + 8);
	r->postings_off = load_be64(toc + 32);
	r->table_off = load_be64(toc + 40);
	return 0;
}

void
index_reader_close(struct index_reader *r)
{
	free(r->symbol_marks);
	free(r->value_marks);
	free(r->names);
	*r = (struct index_reader){ 0 };
}

/* --- symbols --- */

int
index_symbols_load(struct index_reader *r, struct err *err)
{
	struct cursor c;
	struct str s;
	uint32_t i;

	if (r->have_symbols)
		return 0;
	if (index_section(r, r->symbols_off, "symbols", &s, err) == -1)
		return -1;
	c = cursor_make(s.p, s.n);
	r->n_symbols = cursor_be32(&c);
	r->symbols = c.p;
	r->symbols_len = cursor_left(&c);
	if (c.failed || r->n_symbols > r->symbols_len)
		return index_corrupt(err, "symbols: invalid count");
	r->symbol_marks = calloc(r->n_symbols / SYMBOL_STRIDE + 1,
	    sizeof(*r->symbol_marks));
	if (r->symbol_marks == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (i = 0; i < r->n_symbols; i++) {
		if (i % SYMBOL_STRIDE == 0)
			r->symbol_marks[i / SYMBOL_STRIDE] =
			    (uint32_t)(c.p - r->symbols);
		(void)cursor_uvarint_str(&c);
	}
	if (c.failed) {
		free(r->symbol_marks);
		r->symbol_marks = NULL;
		return index_corrupt(err, "symbols: too short");
	}
	r->have_symbols = true;
	return 0;
}

/* Version 1: symbols are offsets in the file. */
static struct str
symbol_at(const struct index_reader *r, uint32_t off)
{
	size_t first = (size_t)(r->symbols - r->p);
	struct cursor c;
	struct str s;

	if (off < first || off - first >= r->symbols_len)
		return STR_EMPTY;
	c = cursor_make(r->p + off, r->symbols_len - (off - first));
	s = cursor_uvarint_str(&c);
	return c.failed ? STR_EMPTY : s;
}

/* A cursor at the symbol that a mark stands for. */
static struct cursor
at_mark(const struct index_reader *r, uint32_t mark)
{
	uint32_t off = r->symbol_marks[mark];

	return cursor_make(r->symbols + off, r->symbols_len - off);
}

struct str
index_symbol(const struct index_reader *r, uint32_t sym)
{
	struct cursor c;
	uint32_t skip;

	if (!r->have_symbols)
		return STR_EMPTY;
	if (r->version == 1)
		return symbol_at(r, sym);
	if (sym >= r->n_symbols)
		return STR_EMPTY;
	c = at_mark(r, sym / SYMBOL_STRIDE);
	for (skip = sym % SYMBOL_STRIDE; skip > 0; skip--)
		(void)cursor_uvarint_str(&c);
	return cursor_uvarint_str(&c);
}

bool
index_symbol_find(const struct index_reader *r, struct str text,
    uint32_t *sym_out)
{
	uint32_t lo = 0, hi, mid, i;
	struct cursor c;

	if (!r->have_symbols || r->version == 1 || r->n_symbols == 0)
		return false;
	/* The last mark whose symbol is not above the text. */
	hi = (r->n_symbols - 1) / SYMBOL_STRIDE + 1;
	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		c = at_mark(r, mid);
		if (str_cmp(cursor_uvarint_str(&c), text) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	c = at_mark(r, lo);
	for (i = lo * SYMBOL_STRIDE;
	    i < r->n_symbols && i < (lo + 1) * SYMBOL_STRIDE; i++)
		if (str_eq(cursor_uvarint_str(&c), text)) {
			*sym_out = i;
			return true;
		}
	return false;
}

/* --- series --- */

int
index_series_get(const struct index_reader *r, uint32_t id,
    struct index_series *out, struct err *err)
{
	uint64_t off = r->version == 1 ? id : (uint64_t)id * SERIES_ALIGN;
	struct cursor c;
	const uint8_t *body;
	uint64_t len;

	if (off < INDEX_HEADER_BYTES || off >= r->n)
		return index_corrupt(err, "series: offset out of range");
	c = cursor_make(r->p + off, r->n - off);
	len = cursor_uvarint(&c);
	if (c.failed || len > cursor_left(&c))
		return index_corrupt(err, "series: invalid size");
	body = cursor_take(&c, (size_t)len);
	if (cursor_be32(&c) != hash_crc32c(0, body, (size_t)len) || c.failed)
		return index_corrupt(err, "series: invalid checksum");
	*out = (struct index_series){ .c = cursor_make(body, (size_t)len) };
	len = cursor_uvarint(&out->c);
	/* A label takes two bytes at least. */
	if (out->c.failed || len > cursor_left(&out->c) / 2)
		return index_corrupt(err, "series: invalid label count");
	out->n_labels = (uint32_t)len;
	out->first = true;
	return 0;
}

int
index_series_chunks(struct index_series *s, struct err *err)
{
	uint64_t n = cursor_uvarint(&s->c);

	if (s->c.failed || n > cursor_left(&s->c) / 3)
		return index_corrupt(err, "series: invalid chunk count");
	s->n_chunks = (uint32_t)n;
	return 0;
}

int
index_series_chunk(struct index_series *s, struct index_chunk *out,
    struct err *err)
{
	struct index_chunk *k = &s->last;

	/* Sums wrap, as hostile numbers may. */
	if (s->first) {
		k->mint_ms = cursor_varint(&s->c);
		k->maxt_ms = (int64_t)((uint64_t)k->mint_ms +
		    cursor_uvarint(&s->c));
		k->ref = cursor_uvarint(&s->c);
		s->first = false;
	} else {
		k->mint_ms = (int64_t)((uint64_t)k->maxt_ms +
		    cursor_uvarint(&s->c));
		k->maxt_ms = (int64_t)((uint64_t)k->mint_ms +
		    cursor_uvarint(&s->c));
		k->ref += (uint64_t)cursor_varint(&s->c);
	}
	if (s->c.failed)
		return index_corrupt(err, "series: chunks end too early");
	*out = *k;
	return 0;
}
