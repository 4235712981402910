/* SPDX-License-Identifier: ISC */

/*
 * Takes the words of the command line apart as kingpin does.
 *
 * Two passes. The first turns words into (flag, text) pairs and stops at the
 * first word that it does not understand; the second sets the values and
 * remembers the first refusal. Then, in this order: --version and the long
 * helps win over everything, an error of the first pass ends with 1, --help
 * wins over a refused value, a refused value ends with 2 and the usage.
 */

#include "supervisor/flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/vec.h"

/* A file of arguments may name further files; cycles end here. */
#define ARG_FILES_MAX	64
#define ARG_WORDS_MAX	65536

enum token_type {
	TOKEN_END, TOKEN_ARG, TOKEN_LONG, TOKEN_SHORT, TOKEN_BAD
};

struct token {
	enum token_type	 type;
	const char	*text;		/* in the lexer's words or `text` */
};

struct lexer {
	char	**words;		/* owned */
	size_t	  n, cap;
	size_t	  pos;			/* next word */
	bool	  args_only;		/* behind "--" */
	size_t	  n_files;
	struct token peeked;
	bool	  has_peeked;
	char	 *inline_arg;		/* behind the '=', owned */
	char	 *name;			/* of the current long flag, owned */
	struct err error;		/* TOKEN_BAD */
};

struct pair {
	enum flag_id	 id;
	char		*text;		/* owned */
};

struct parse {
	struct pair	*pairs;
	size_t		 n, cap;
	struct err	 err;
};

static void
lexer_insert(struct lexer *lx, size_t at, const char *word)
{
	if (lx->n >= ARG_WORDS_MAX)
		return;
	if (vec_grow(&lx->words, &lx->cap, lx->n + 1, sizeof(*lx->words)) == -1)
		fatal("out of memory");
	memmove(lx->words + at + 1, lx->words + at,
	    (lx->n - at) * sizeof(*lx->words));
	lx->words[at] = xstrdup(word);
	lx->n++;
}

static void
lexer_clear(struct lexer *lx)
{
	for (size_t i = 0; i < lx->n; i++)
		free(lx->words[i]);
	free(lx->words);
	free(lx->inline_arg);
	free(lx->name);
}

/* Puts the lines of a file where its name stood. */
static int
lexer_expand_file(struct lexer *lx, const char *path)
{
	size_t at = lx->pos, cap = 0;
	char *line = NULL;
	FILE *fp;

	if (++lx->n_files > ARG_FILES_MAX)
		return err_set(&lx->error, ERR_BAD_DATA,
		    "too many arguments files, last \"%s\"", path);
	if ((fp = fopen(path, "re")) == NULL)
		return err_set(&lx->error, ERR_BAD_DATA,
		    "failed to open arguments file \"%s\": open %s: %s", path,
		    path, errno == ENOENT ? "no such file or directory" :
		    errno == EACCES ? "permission denied" : strerror(errno));
	while (getline(&line, &cap, fp) != -1) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			lexer_insert(lx, at++, line);
	}
	free(line);
	fclose(fp);
	return 0;
}

static struct token
lexer_long(struct lexer *lx, const char *word)
{
	const char *eq = strchr(word + 2, '=');

	free(lx->name);
	free(lx->inline_arg);
	lx->inline_arg = NULL;
	lx->name = eq == NULL ? xstrdup(word + 2) :
	    str_dup(str_from(word + 2, (size_t)(eq - word - 2)));
	if (lx->name == NULL)
		fatal("out of memory");
	if (eq != NULL)
		lx->inline_arg = xstrdup(eq + 1);
	return (struct token){ TOKEN_LONG, lx->name };
}

static struct token
lexer_next(struct lexer *lx)
{
	if (lx->has_peeked) {
		lx->has_peeked = false;
		return lx->peeked;
	}
	if (lx->inline_arg != NULL) {
		free(lx->name);
		lx->name = lx->inline_arg;
		lx->inline_arg = NULL;
		return (struct token){ TOKEN_ARG, lx->name };
	}
	while (lx->pos < lx->n) {
		const char *word = lx->words[lx->pos++];

		if (lx->args_only)
			return (struct token){ TOKEN_ARG, word };
		if (strcmp(word, "--") == 0)
			lx->args_only = true;
		else if (strncmp(word, "--", 2) == 0)
			return lexer_long(lx, word);
		else if (word[0] == '-') {
			if (word[1] == 'h' && word[2] != '\0') {
				char *rest = xstrdup(word + 1);

				rest[0] = '-';
				lexer_insert(lx, lx->pos, rest);
				free(rest);
				word = "-h";
			}
			return (struct token){ TOKEN_SHORT, word + 1 };
		} else if (word[0] == '@') {
			if (lexer_expand_file(lx, word + 1) == -1)
				return (struct token){ TOKEN_BAD, word };
		} else
			return (struct token){ TOKEN_ARG, word };
	}
	return (struct token){ TOKEN_END, "" };
}

static struct token
lexer_peek(struct lexer *lx)
{
	if (!lx->has_peeked) {
		lx->peeked = lexer_next(lx);
		lx->has_peeked = true;
	}
	return lx->peeked;
}

static void
parse_add(struct parse *p, enum flag_id id, const char *text)
{
	if (vec_grow(&p->pairs, &p->cap, p->n + 1, sizeof(*p->pairs)) == -1)
		fatal("out of memory");
	p->pairs[p->n++] = (struct pair){ id, xstrdup(text) };
}

/* The flag that a long name means; *invert for --no-…. */
static enum flag_id
long_find(const char *name, bool *invert)
{
	enum flag_id id = flags_find(str_c(name));

	*invert = false;
	if (id == FLAG_COUNT && strncmp(name, "no-", 3) == 0) {
		id = flags_find(str_c(name + 3));
		*invert = true;
		if (id != FLAG_COUNT && flag_defs[id].type != FLAG_TYPE_BOOL)
			id = FLAG_COUNT;
	}
	return id;
}

static int
parse_flag(struct parse *p, struct lexer *lx, struct token t)
{
	char shown[256];
	bool invert = false;
	enum flag_id id;

	snprintf(shown, sizeof(shown), "%s%s",
	    t.type == TOKEN_LONG ? "--" : "-", t.text);
	if (t.type == TOKEN_LONG)
		id = long_find(t.text, &invert);
	else
		id = strcmp(t.text, "h") == 0 ? FLAG_HELP : FLAG_COUNT;
	if (id == FLAG_COUNT)
		return err_set(&p->err, ERR_BAD_DATA, "unknown %s flag '%s'",
		    t.type == TOKEN_LONG ? "long" : "short", shown);
	if (flag_defs[id].type == FLAG_TYPE_BOOL) {
		parse_add(p, id, invert ? "false" : "true");
		return 0;
	}
	if (lexer_peek(lx).type != TOKEN_ARG)
		return err_set(&p->err, ERR_BAD_DATA,
		    "expected argument for flag '%s'", shown);
	parse_add(p, id, lexer_next(lx).text);
	return 0;
}

static int
parse_words(struct parse *p, struct lexer *lx)
{
	for (;;) {
		struct token t = lexer_next(lx);

		switch (t.type) {
		case TOKEN_END:
			return 0;
		case TOKEN_LONG:
		case TOKEN_SHORT:
			if (parse_flag(p, lx, t) == -1)
				return -1;
			break;
		case TOKEN_BAD:
			p->err = lx->error;
			return -1;
		case TOKEN_ARG:
			return err_set(&p->err, ERR_BAD_DATA, "unexpected %s",
			    t.text);
		}
	}
}

static bool
parse_has(const struct parse *p, enum flag_id id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->pairs[i].id == id)
			return true;
	return false;
}

/* --version and what else wins over errors; true when it was there. */
static bool
parse_print(const struct parse *p, const char *prog, int argc,
    char *const *argv, struct flags_result *r)
{
	if (parse_has(p, FLAG_COMPLETION_BASH))
		flags_complete(&r->out, argc, argv);
	else if (parse_has(p, FLAG_VERSION))
		flags_version(&r->out, prog);
	else if (parse_has(p, FLAG_HELP_LONG))
		flags_help(&r->out, prog, true);
	else if (parse_has(p, FLAG_HELP_MAN))
		flags_help_man(&r->out, prog);
	else if (parse_has(p, FLAG_COMPLETION_SCRIPT_BASH))
		flags_completion_script(&r->out, prog, false);
	else if (parse_has(p, FLAG_COMPLETION_SCRIPT_ZSH))
		flags_completion_script(&r->out, prog, true);
	else
		return false;
	r->exit_code = 0;
	return true;
}

static void
parse_finish(struct flags *f, const struct parse *p, int words_rc,
    const char *prog, struct flags_result *r)
{
	struct err err = ERR_INIT;
	int set_rc = 0;

	for (size_t i = 0; i < p->n && set_rc == 0; i++)
		set_rc = flags_set(f, p->pairs[i].id, p->pairs[i].text, &err);
	if (words_rc == -1) {
		buf_printf(&r->err, "Error parsing command line arguments: %s\n"
		    "%s: error: %s\n", p->err.text, prog, p->err.text);
		r->exit_code = 1;
	} else if (parse_has(p, FLAG_HELP)) {
		flags_help(&r->out, prog, false);
		r->exit_code = 0;
	} else if (set_rc == -1) {
		buf_printf(&r->err, "Error parsing command line arguments: %s\n",
		    err.text);
		flags_help(&r->out, prog, false);
		r->exit_code = 2;
	} else if (flags_bool(f, FLAG_WRITE_DOCUMENTATION)) {
		flags_help_markdown(&r->out, prog);
		r->exit_code = 0;
	}
}

void
flags_parse(struct flags *f, int argc, char *const *argv,
    struct flags_result *r)
{
	const char *prog = argc > 0 ? argv[0] : "brazierd";
	struct lexer lx = { .n = 0 };
	struct parse p = { .n = 0 };
	int rc;

	if (strrchr(prog, '/') != NULL)
		prog = strrchr(prog, '/') + 1;
	for (int i = 1; i < argc; i++)
		lexer_insert(&lx, lx.n, argv[i]);
	rc = parse_words(&p, &lx);
	if (!parse_print(&p, prog, argc, argv, r))
		parse_finish(f, &p, rc, prog, r);
	for (size_t i = 0; i < p.n; i++)
		free(p.pairs[i].text);
	free(p.pairs);
	lexer_clear(&lx);
}
