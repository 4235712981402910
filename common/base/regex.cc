/* SPDX-License-Identifier: ISC */
/* Go's regexp over RE2, behind a C header; no exception leaves this file. */
#include "common/base/regex.h"

#include <cstdlib>
#include <map>
#include <new>
#include <string>

#include <re2/re2.h>

#define REGEX_MEMORY	(8 << 20)
#define REGEX_GROUPS	100

struct regex {
	re2::RE2		re;
	int			n_groups;
	re2::RE2::Anchor	anchor;

	regex(const std::string &pattern, const re2::RE2::Options &o)
	    : re(re2::StringPiece(pattern), o), n_groups(0),
	    anchor(re2::RE2::UNANCHORED) { }
};

/*
 * Matching has no way to fail: RE2 keeps to its own budget, and where the
 * process has none left it ends, as with the x… allocations.
 */
template <typename F> static auto
or_end(F f) -> decltype(f())
{
	try {
		return f();
	} catch (const std::bad_alloc &) {
		fatal_nomem();
	}
}

/* RE2's error codes in the words of Go's regexp/syntax. */
static const char *
error_words(re2::RE2::ErrorCode code)
{
	switch (code) {
	case re2::RE2::ErrorBadEscape:
		return "invalid escape sequence";
	case re2::RE2::ErrorBadCharClass:
		return "invalid character class";
	case re2::RE2::ErrorBadCharRange:
		return "invalid character class range";
	case re2::RE2::ErrorMissingBracket:
		return "missing closing ]";
	case re2::RE2::ErrorMissingParen:
		return "missing closing )";
	case re2::RE2::ErrorUnexpectedParen:
		return "unexpected )";
	case re2::RE2::ErrorTrailingBackslash:
		return "trailing backslash at end of expression";
	case re2::RE2::ErrorRepeatArgument:
		return "missing argument to repetition operator";
	case re2::RE2::ErrorRepeatSize:
		return "invalid repeat count";
	case re2::RE2::ErrorRepeatOp:
		return "invalid nested repetition operator";
	case re2::RE2::ErrorBadPerlOp:
		return "invalid or unsupported Perl syntax";
	case re2::RE2::ErrorBadUTF8:
		return "invalid UTF-8";
	case re2::RE2::ErrorBadNamedCapture:
		return "invalid named capture";
	case re2::RE2::ErrorPatternTooLarge:
		return "expression too large";
	default:
		return "internal error";
	}
}

/* Go also writes a named group (?<name>…); this RE2 knows (?P<name>…). */
static std::string
with_named_groups(const std::string &in)
{
	std::string out;
	bool in_class = false, quoted = false;
	size_t i;

	for (i = 0; i < in.size(); i++) {
		if (in[i] == '\\' && i + 1 < in.size()) {
			if (in[i + 1] == 'Q' && !in_class)
				quoted = true;
			else if (in[i + 1] == 'E')
				quoted = false;
			out += in[i++];
			out += in[i];
			continue;
		}
		if (!quoted && !in_class && in.compare(i, 3, "(?<") == 0) {
			out += "(?P<";
			i += 2;
			continue;
		}
		if (!quoted && in[i] == '[' && !in_class) {
			in_class = true;
			out += in[i];
			if (i + 1 < in.size() && in[i + 1] == '^')
				out += in[++i];
			if (i + 1 < in.size() && in[i + 1] == ']')
				out += in[++i];
			continue;
		}
		if (!quoted && in[i] == ']')
			in_class = false;
		out += in[i];
	}
	return out;
}

struct regex *
regex_new(struct str pattern, int flags, struct err *err)
{
	try {
		re2::RE2::Options o;
		std::string text(pattern.p, pattern.n);
		struct regex *re;

		o.set_log_errors(false);
		o.set_max_mem(REGEX_MEMORY);
		o.set_dot_nl((flags & REGEX_DOTALL) != 0);
		if (flags & REGEX_ANCHORED)
			text = (flags & REGEX_DOTALL ? "^(?s:" : "^(?:") +
			    text + ")$";
		if (text.find("(?<") != std::string::npos)
			text = with_named_groups(text);
		re = new regex(text, o);
		if (!re->re.ok()) {
			re2::RE2::ErrorCode code = re->re.error_code();
			std::string arg = re->re.error_arg();

			delete re;
			/* Go says the whole expression for an open group */
			if (code == re2::RE2::ErrorMissingParen ||
			    code == re2::RE2::ErrorUnexpectedParen)
				arg = text;
			if (code == re2::RE2::ErrorTrailingBackslash)
				err_set(err, ERR_BAD_DATA, "error parsing "
				    "regexp: %s: ``", error_words(code));
			else
				err_set(err, ERR_BAD_DATA, "error parsing "
				    "regexp: %s: `%s`", error_words(code),
				    arg.c_str());
			return nullptr;
		}
		re->n_groups = re->re.NumberOfCapturingGroups();
		if (flags & REGEX_WHOLE)
			re->anchor = re2::RE2::ANCHOR_BOTH;
		return re;
	} catch (const std::bad_alloc &) {
		err_set(err, ERR_NOMEM, "out of memory for a regexp");
		return nullptr;
	}
}

void
regex_free(struct regex *re)
{
	delete re;
}

bool
regex_matches(const struct regex *re, struct str text)
{
	return or_end([&] {
		return re->re.Match(re2::StringPiece(text.p, text.n), 0,
		    text.n, re->anchor, nullptr, 0);
	});
}

static bool
is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

/* Number of the group that a template name means, -1 for none. */
static int
group_of(const struct regex *re, const char *p, size_t n)
{
	int v = 0;
	size_t i;

	for (i = 0; i < n && p[i] >= '0' && p[i] <= '9' && v < 100000; i++)
		v = v * 10 + (p[i] - '0');
	if (i == n && n > 0 && !(n > 1 && p[0] == '0'))
		return v <= re->n_groups ? v : -1;
	const std::map<std::string, int> &names =
	    re->re.NamedCapturingGroups();
	std::map<std::string, int>::const_iterator it =
	    names.find(std::string(p, n));
	return it == names.end() ? -1 : it->second;
}

/* Go's Regexp.Expand. */
static void
expand(const struct regex *re, const re2::StringPiece *groups, int n_groups,
    struct str t, struct buf *out)
{
	size_t i = 0, j;

	while (i < t.n) {
		if (t.p[i] != '$') {
			for (j = i; j < t.n && t.p[j] != '$'; j++)
				;
			buf_add(out, t.p + i, j - i);
			i = j;
			continue;
		}
		if (i + 1 < t.n && t.p[i + 1] == '$') {
			buf_add_byte(out, '$');
			i += 2;
			continue;
		}
		bool brace = i + 1 < t.n && t.p[i + 1] == '{';
		size_t start = i + 1 + (brace ? 1 : 0);

		for (j = start; j < t.n && is_word(t.p[j]); j++)
			;
		if (j == start || (brace && (j == t.n || t.p[j] != '}'))) {
			/* malformed: a plain dollar */
			buf_add_byte(out, '$');
			i++;
			continue;
		}
		int g = group_of(re, t.p + start, j - start);
		if (g >= 0 && g < n_groups && groups[g].data() != nullptr)
			buf_add(out, groups[g].data(), groups[g].size());
		i = j + (brace ? 1 : 0);
	}
}

static bool
match_and_expand(const struct regex *re, struct str text,
    struct str template_, struct buf *out)
{
	re2::StringPiece groups[REGEX_GROUPS];
	int n = re->n_groups + 1 < REGEX_GROUPS ? re->n_groups + 1 :
	    REGEX_GROUPS;

	if (!re->re.Match(re2::StringPiece(text.p, text.n), 0, text.n,
	    re->anchor, groups, n))
		return false;
	expand(re, groups, n, template_, out);
	return true;
}

bool
regex_expand(const struct regex *re, struct str text, struct str template_,
    struct buf *out)
{
	return or_end([&] {
		return match_and_expand(re, text, template_, out);
	});
}

static void
match_and_replace(const struct regex *re, struct str text,
    struct str template_, struct buf *out)
{
	re2::StringPiece in(text.p, text.n), groups[REGEX_GROUPS];
	int n = re->n_groups + 1 < REGEX_GROUPS ? re->n_groups + 1 :
	    REGEX_GROUPS;
	size_t pos = 0, last = 0;
	bool had = false;

	while (pos <= text.n) {
		size_t from, to;

		if (!re->re.Match(in, pos, text.n, re2::RE2::UNANCHORED,
		    groups, n))
			break;
		from = (size_t)(groups[0].data() - text.p);
		to = from + groups[0].size();
		/* an empty match right behind a match does not count */
		if (to > from || !had || from != last) {
			buf_add(out, text.p + last, from - last);
			expand(re, groups, n, template_, out);
			last = to;
			had = true;
		}
		pos = to > from ? to : to + 1;
	}
	buf_add(out, text.p + last, text.n - last);
}

void
regex_replace_all(const struct regex *re, struct str text,
    struct str template_, struct buf *out)
{
	or_end([&] { match_and_replace(re, text, template_, out); });
}

int
regex_n_groups(const struct regex *re)
{
	return re->n_groups;
}
