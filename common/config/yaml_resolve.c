/* SPDX-License-Identifier: ISC */
/*
 * What plain scalars mean: YAML 1.1 in the dialect of go.yaml.in/yaml/v2,
 * so that a file means here what it means to the reference.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/float_text.h"
#include "common/config/yaml_tree.h"

#define NUMBER_TEXT_MAX	128

static const struct { const char *text; enum yaml_tag tag; bool truth; }
words[] = {
	{ "", YAML_TAG_NULL, false }, { "~", YAML_TAG_NULL, false },
	{ "null", YAML_TAG_NULL, false }, { "Null", YAML_TAG_NULL, false },
	{ "NULL", YAML_TAG_NULL, false },
	{ "y", YAML_TAG_BOOL, true }, { "Y", YAML_TAG_BOOL, true },
	{ "yes", YAML_TAG_BOOL, true }, { "Yes", YAML_TAG_BOOL, true },
	{ "YES", YAML_TAG_BOOL, true }, { "true", YAML_TAG_BOOL, true },
	{ "True", YAML_TAG_BOOL, true }, { "TRUE", YAML_TAG_BOOL, true },
	{ "on", YAML_TAG_BOOL, true }, { "On", YAML_TAG_BOOL, true },
	{ "ON", YAML_TAG_BOOL, true },
	{ "n", YAML_TAG_BOOL, false }, { "N", YAML_TAG_BOOL, false },
	{ "no", YAML_TAG_BOOL, false }, { "No", YAML_TAG_BOOL, false },
	{ "NO", YAML_TAG_BOOL, false }, { "false", YAML_TAG_BOOL, false },
	{ "False", YAML_TAG_BOOL, false }, { "FALSE", YAML_TAG_BOOL, false },
	{ "off", YAML_TAG_BOOL, false }, { "Off", YAML_TAG_BOOL, false },
	{ "OFF", YAML_TAG_BOOL, false },
	{ "<<", YAML_TAG_MERGE, false },
};

/* Underscores cut out, terminated; false when too long. */
static bool
plain_digits(struct str s, char out[NUMBER_TEXT_MAX])
{
	size_t i, n = 0;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '_')
			continue;
		if (n + 1 >= NUMBER_TEXT_MAX)
			return false;
		out[n++] = s.p[i];
	}
	out[n] = '\0';
	return n > 0;
}

/* Magnitude and sign; bases 2, 8, 10, 16 by prefix as Go's ParseInt(…, 0). */
static bool
parse_integer(struct str s, bool *neg_out, uint64_t *mag_out)
{
	char text[NUMBER_TEXT_MAX], *p = text, *end;
	int base = 10;

	if (!plain_digits(s, text))
		return false;
	*neg_out = *p == '-';
	if (*p == '-' || *p == '+')
		p++;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		base = 16;
	else if (p[0] == '0' && (p[1] == 'b' || p[1] == 'B'))
		base = 2;
	else if (p[0] == '0' && (p[1] == 'o' || p[1] == 'O'))
		base = 8;
	if (base != 10)
		p += 2;
	else if (p[0] == '0' && p[1] != '\0')
		base = 8;
	if (!((*p >= '0' && *p <= '9') || (base == 16 &&
	    ((*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F')))))
		return false;
	errno = 0;
	*mag_out = strtoull(p, &end, base);
	return errno == 0 && *end == '\0';
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool
looks_like_float(const char *p)
{
	size_t before = 0, after = 0, exponent = 0;

	if (*p == '-' || *p == '+')
		p++;
	for (; *p >= '0' && *p <= '9'; p++)
		before++;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++)
			after++;
	if (before == 0 && after == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;
		for (; *p >= '0' && *p <= '9'; p++)
			exponent++;
		if (exponent == 0)
			return false;
	}
	return *p == '\0';
}

static bool
special_float(struct str s, double *out)
{
	static const struct { const char *text; double v; } specials[] = {
		{ ".inf", INFINITY }, { ".Inf", INFINITY },
		{ ".INF", INFINITY }, { "+.inf", INFINITY },
		{ "+.Inf", INFINITY }, { "+.INF", INFINITY },
		{ "-.inf", -INFINITY }, { "-.Inf", -INFINITY },
		{ "-.INF", -INFINITY }, { ".nan", NAN }, { ".NaN", NAN },
		{ ".NAN", NAN },
	};
	size_t i;

	for (i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		if (str_eq_c(s, specials[i].text)) {
			*out = specials[i].v;
			return true;
		}
	return false;
}

/* 2001-12-14, 2001-12-14t21:59:43.10-05:00 …: only the shape matters. */
static bool
looks_like_timestamp(struct str s)
{
	size_t i = 0, n;
	int part;

	for (part = 0; part < 3; part++) {
		for (n = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			n++;
		if (part == 0 ? n != 4 : n < 1 || n > 2)
			return false;
		if (part < 2 && (i >= s.n || s.p[i++] != '-'))
			return false;
	}
	return i == s.n || s.p[i] == 't' || s.p[i] == 'T' || s.p[i] == ' ';
}

enum yaml_tag
yaml_resolve(struct str text)
{
	uint64_t mag;
	bool neg;
	double f;
	size_t i;
	char c;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_c(text, words[i].text))
			return words[i].tag;
	c = text.p[0];
	if (c != '.' && c != '+' && c != '-' && (c < '0' || c > '9'))
		return YAML_TAG_STR;
	if (c >= '0' && c <= '9' && looks_like_timestamp(text))
		return YAML_TAG_TIMESTAMP;
	if (c != '.' && parse_integer(text, &neg, &mag) &&
	    (!neg || mag <= (uint64_t)INT64_MAX + 1))
		return YAML_TAG_INT;
	return yaml_to_float(text, &f) ? YAML_TAG_FLOAT : YAML_TAG_STR;
}

bool
yaml_to_bool(struct str text)
{
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_eq_c(text, words[i].text))
			return words[i].truth;
	return false;
}

bool
yaml_to_int(struct str text, int64_t *out)
{
	uint64_t mag;
	bool neg;

	if (!parse_integer(text, &neg, &mag))
		return false;
	if (neg ? mag > (uint64_t)INT64_MAX + 1 : mag > INT64_MAX)
		return false;
	*out = neg ? (int64_t)(0 - mag) : (int64_t)mag;
	return true;
}

bool
yaml_to_uint(struct str text, uint64_t *out)
{
	bool neg;

	return parse_integer(text, &neg, out) && (!neg || *out == 0);
}

bool
yaml_to_float(struct str text, double *out)
{
	char plain[NUMBER_TEXT_MAX];

	if (special_float(text, out))
		return true;
	return plain_digits(text, plain) && looks_like_float(plain) &&
	    float_parse(plain, strlen(plain), out);
}

const char *
yaml_tag_name(enum yaml_tag tag)
{
	static const char *const names[] = {
		[YAML_TAG_STR] = "!!str", [YAML_TAG_NULL] = "!!null",
		[YAML_TAG_BOOL] = "!!bool", [YAML_TAG_INT] = "!!int",
		[YAML_TAG_FLOAT] = "!!float",
		[YAML_TAG_TIMESTAMP] = "!!timestamp",
		[YAML_TAG_BINARY] = "!!binary", [YAML_TAG_MERGE] = "!!merge",
		[YAML_TAG_SEQ] = "!!seq", [YAML_TAG_MAP] = "!!map",
		[YAML_TAG_OTHER] = "!!other",
	};

	return names[tag];
}
