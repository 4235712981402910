/* SPDX-License-Identifier: ISC */
/* A reply ring as web sees it: pieces, order, and being detached. */
#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/memfd.h"
#include "workers/web/ring.h"

static char *bytes;
static struct reply_page *page;

static struct ring *
make(void)
{
	struct err err = ERR_INIT;
	int fd = memfd_shared("ring", REPLY_RING_BYTES, &err), ro;
	int page_fd = memfd_shared("page", REPLY_PAGE_BYTES, &err);
	struct ring *r;

	bytes = mmap(NULL, REPLY_RING_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	page = mmap(NULL, REPLY_PAGE_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED, page_fd, 0);
	assert_true(bytes != MAP_FAILED && page != MAP_FAILED);
	ro = memfd_readonly(fd, &err);
	close(fd);
	page->taken = REPLY_RING_BYTES - 100;
	r = ring_open(ro, page_fd, REPLY_RING_BYTES, &err);
	assert_non_null(r);
	return r;
}

static void
put(uint64_t at, char c, size_t n)
{
	memset(bytes + at % REPLY_RING_BYTES, c, n);
}

static void
test_detach(void **state)
{
	uint64_t at = REPLY_RING_BYTES - 100;
	struct ring *r = make(), *next;
	struct str a, b, c;
	size_t spilled = 0;
	char want[200];

	(void)state;
	put(at, 'a', 100);
	assert_true(ring_piece(r, at, 100, &a));
	put(at + 100, 'b', 200);
	assert_true(ring_piece(r, at + 100, 200, &b));
	r->refs += 2;
	next = ring_detach(r, &spilled);
	assert_non_null(next);
	assert_true(ring_is_empty(next) && !ring_is_empty(r));
	assert_int_equal(spilled, REPLY_RING_BYTES);
	assert_int_equal(page->taken, at + 300);
	/* the process goes on, over what it wrote before */
	put(at, 'x', 100);
	put(at + 100, 'x', 200);
	put(at + 300, 'c', 50);
	assert_true(ring_piece(next, at + 300, 50, &c));
	memset(want, 'a', 100);
	assert_memory_equal(a.p, want, 100);
	memset(want, 'b', 200);
	assert_memory_equal(b.p, want, 200);
	memset(want, 'c', 50);
	assert_memory_equal(c.p, want, 50);
	/* taking the old tells the process nothing */
	ring_take(r, 100);
	ring_put(r);
	assert_int_equal(page->taken, at + 300);
	ring_take(r, 200);
	ring_put(r);
	assert_int_equal(spilled, 0);
	ring_take(next, 50);
	assert_int_equal(page->taken, at + 350);
	ring_put(next);
}

static void
test_pieces_that_lie(void **state)
{
	uint64_t at = REPLY_RING_BYTES - 100;
	struct ring *r = make();
	struct str s;

	(void)state;
	assert_false(ring_piece(r, at + 1, 10, &s));
	assert_false(ring_piece(r, at, 101, &s));
	assert_true(ring_piece(r, at, 100, &s));
	assert_false(ring_piece(r, at + 100, REPLY_RING_BYTES, &s));
	assert_true(ring_piece(r, at + 100, REPLY_RING_BYTES - 100, &s));
	ring_put(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_pieces_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
