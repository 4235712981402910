/* SPDX-License-Identifier: ISC */
/* Answers without a name server. See hosts.h. */

#include "workers/resolver/hosts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"

/* Names that are kept of a hosts file. */
#define HOSTS_MAX	100000

struct host {
	char			name[NAME_MAX_BYTES + 1];
	struct addresses	addresses;
};

static bool
host_eq(const void *val, const void *key)
{
	const struct host *h = val;
	const char *name = key;

	return strcmp(h->name, name) == 0;
}

static uint64_t
name_hash(const char *name)
{
	return hash_xxh64(name, strlen(name));
}

void
hosts_init(struct hosts *h)
{
	map_init(&h->by_name);
	h->n = 0;
}

void
hosts_clear(struct hosts *h)
{
	size_t pos = 0;
	void *p;

	while ((p = map_next(&h->by_name, &pos)) != NULL)
		free(p);
	map_clear(&h->by_name);
	h->n = 0;
}

bool
addresses_add(struct addresses *as, int family, const char *text)
{
	struct address *a;

	if (as->n == ADDRS_MAX)
		return false;
	a = &as->a[as->n++];
	a->family = family;
	(void)snprintf(a->text, sizeof(a->text), "%s", text);
	return true;
}

bool
address_literal(struct str text, struct addresses *out)
{
	char copy[48], plain[48], *zone;
	struct in6_addr a6;
	struct in_addr a4;

	if (text.n == 0 || text.n >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (strlen(copy) != text.n)
		return false;
	if (inet_pton(AF_INET, copy, &a4) == 1)
		return addresses_add(out, 4, copy);
	memcpy(plain, copy, sizeof(plain));
	if ((zone = strchr(plain, '%')) != NULL)
		*zone = '\0';
	if (inet_pton(AF_INET6, plain, &a6) != 1)
		return false;
	return addresses_add(out, 6, copy);
}

bool
name_is_localhost(struct str name, struct addresses *out)
{
	char lower[NAME_MAX_BYTES + 1];
	struct str s;

	if (!name_normalise(name, lower))
		return false;
	s = str_c(lower);
	if (!str_eq_c(s, "localhost") &&
	    !str_has_suffix(s, STR_LIT(".localhost")))
		return false;
	(void)addresses_add(out, 4, "127.0.0.1");
	(void)addresses_add(out, 6, "::1");
	return true;
}

bool
name_normalise(struct str name, char out[NAME_MAX_BYTES + 1])
{
	size_t i, label = 0;
	bool letter = false;
	char c;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_BYTES)
		return false;
	for (i = 0; i < name.n; i++) {
		c = name.p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '.') {
			if (label == 0 || label > 63 || out[i - 1] == '-')
				return false;
			label = 0;
		} else {
			if ((c >= 'a' && c <= 'z') || c == '_' ||
			    (c == '-' && label > 0))
				letter = true;
			else if (c < '0' || c > '9')
				return false;
			label++;
		}
		out[i] = c;
	}
	out[i] = '\0';
	return label > 0 && label <= 63 && out[i - 1] != '-' && letter;
}

static void
add_name(struct hosts *h, struct str name, const struct addresses *as)
{
	char lower[NAME_MAX_BYTES + 1];
	struct host *host;
	size_t i;

	if (!name_normalise(name, lower) || h->n >= HOSTS_MAX)
		return;
	host = map_get(&h->by_name, name_hash(lower), host_eq, lower);
	if (host == NULL) {
		host = calloc(1, sizeof(*host));
		if (host == NULL)
			return;
		memcpy(host->name, lower, sizeof(lower));
		if (map_put(&h->by_name, name_hash(lower), host) == -1) {
			free(host);
			return;
		}
		h->n++;
	}
	for (i = 0; i < as->n; i++)
		(void)addresses_add(&host->addresses, as->a[i].family,
		    as->a[i].text);
}

/* The next word of the line, empty at its end. */
static struct str
next_word(struct str *line)
{
	size_t i = 0, start;
	struct str word;

	while (i < line->n && (line->p[i] == ' ' || line->p[i] == '\t' ||
	    line->p[i] == '\r'))
		i++;
	for (start = i; i < line->n && line->p[i] != ' ' &&
	    line->p[i] != '\t' && line->p[i] != '\r'; i++)
		;
	word = str_from(line->p + start, i - start);
	*line = str_from(line->p + i, line->n - i);
	return word;
}

static void
parse_line(struct hosts *h, struct str line)
{
	const char *hash = memchr(line.p, '#', line.n);
	struct addresses as = { .n = 0 };
	struct str word;

	if (hash != NULL)
		line.n = (size_t)(hash - line.p);
	if (!address_literal(next_word(&line), &as))
		return;
	while ((word = next_word(&line)).n > 0)
		add_name(h, word, &as);
}

void
hosts_parse(struct hosts *h, struct str text)
{
	const char *nl;
	size_t n;

	while (text.n > 0) {
		nl = memchr(text.p, '\n', text.n);
		n = nl == NULL ? text.n : (size_t)(nl - text.p);
		parse_line(h, str_from(text.p, n));
		n += nl == NULL ? 0 : 1;
		text = str_from(text.p + n, text.n - n);
	}
}

bool
hosts_find(const struct hosts *h, struct str name, struct addresses *out)
{
	char lower[NAME_MAX_BYTES + 1];
	const struct host *host;
	size_t i;

	if (!name_normalise(name, lower))
		return false;
	host = map_get(&h->by_name, name_hash(lower), host_eq, lower);
	for (i = 0; host != NULL && i < host->addresses.n; i++)
		(void)addresses_add(out, host->addresses.a[i].family,
		    host->addresses.a[i].text);
	return host != NULL;
}
