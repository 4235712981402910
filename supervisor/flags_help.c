/* SPDX-License-Identifier: ISC */

/* What --help and its relatives print, all from the flag table. */

#include "supervisor/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define HELP_COLUMN	33	/* where the text of a flag begins */
#define HELP_WIDTH	80

static const char title[] =
    "Prometheus for hardened hosts: the monitoring server as a set of "
    "sandboxed processes";

static bool
flag_is_quoted(const struct flag_def *d)
{
	return d->type == FLAG_TYPE_STRING || d->type == FLAG_TYPE_STRINGS;
}

/* "--x", "--x=5m", "--x=<path>", "--x="text" ...": the left column. */
static void
usage_of_flag(struct buf *b, const struct flag_def *d)
{
	buf_printf(b, "%s--%s%s", strcmp(d->name, "help") == 0 ? "-h, " : "    ",
	    d->type == FLAG_TYPE_BOOL && (d->attrs & FA_LIBRARY) == 0 ?
	    "[no-]" : "", d->name);
	if (d->type != FLAG_TYPE_BOOL) {
		buf_add_byte(b, '=');
		if (d->values != NULL && d->values[0] == '<')
			buf_add_c(b, d->values);
		else if (d->def == NULL)
			buf_printf(b, "<%s>", d->type == FLAG_TYPE_BYTES ?
			    "bytes" : "duration");
		else if (flag_is_quoted(d))
			buf_printf(b, "\"%s\"", d->def);
		else
			buf_add_c(b, d->def);
	}
	if (d->attrs & FA_REPEAT)
		buf_add_c(b, " ...");
}

/* Words of text, broken before the right margin; the cursor stands at col. */
static void
help_wrap(struct buf *b, const char *text, size_t col)
{
	bool first = true;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (!first && col + 1 + n > HELP_WIDTH) {
			buf_printf(b, "\n%*s", HELP_COLUMN, "");
			col = HELP_COLUMN;
			first = true;
		}
		if (!first) {
			buf_add_byte(b, ' ');
			col++;
		}
		buf_add(b, text, n);
		col += n;
		first = false;
		text += n + (text[n] == ' ');
	}
	buf_add_byte(b, '\n');
}

static void
feature_names(struct buf *b)
{
	bool first = true;

	for (size_t i = 0; i < FEATURE_COUNT; i++) {
		if (feature_defs[i].state != FEATURE_STATE_ACTIVE)
			continue;
		buf_printf(b, "%s%s", first ? "" : ", ", feature_defs[i].name);
		first = false;
	}
}

static void
help_text(struct buf *b, size_t id)
{
	const struct flag_def *d = &flag_defs[id];

	buf_add_c(b, d->help);
	if (id == FLAG_ENABLE_FEATURE) {
		buf_add_c(b, " Those that work so far: ");
		feature_names(b);
		buf_add_byte(b, '.');
	}
	if (d->mode == FLAG_MODE_SERVER)
		buf_add_c(b, " Not with --agent.");
	if (d->mode == FLAG_MODE_AGENT)
		buf_add_c(b, " Only with --agent.");
	if (d->attrs & FA_NO_EFFECT)
		buf_add_c(b, " [no effect yet]");
	if (d->attrs & FA_DEPRECATED)
		buf_add_c(b, " [deprecated]");
}

void
flags_help(struct buf *out, const char *prog, bool hidden_too)
{
	struct buf text;

	buf_printf(out, "usage: %s [<flags>]\n\n%s\n\n\nFlags:\n", prog, title);
	buf_init(&text, 0);
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		size_t start = out->n;

		if ((flag_defs[id].attrs & FA_HIDDEN) && !hidden_too)
			continue;
		buf_add_c(out, "  ");
		usage_of_flag(out, &flag_defs[id]);
		if (out->n - start >= HELP_COLUMN - 1)
			buf_printf(out, "\n%*s", HELP_COLUMN, "");
		else
			buf_printf(out, "%*s",
			    (int)(HELP_COLUMN - (out->n - start)), "");
		buf_reset(&text);
		help_text(&text, id);
		buf_add_byte(&text, '\0');
		help_wrap(out, text.p, HELP_COLUMN);
	}
	buf_clear(&text);
}

/* Roff takes a leading dot or quote and every backslash as its own. */
static void
man_escape(struct buf *b, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			buf_add_c(b, "\\e");
		else if (*p == '-')
			buf_add_c(b, "\\-");
		else {
			if (p == text && (*p == '.' || *p == '\''))
				buf_add_c(b, "\\&");
			buf_add_byte(b, (uint8_t)*p);
		}
	}
}

void
flags_help_man(struct buf *out, const char *prog)
{
	struct buf text;

	buf_init(&text, 0);
	buf_printf(out, ".TH %s 1 \"\" %s \"\"\n.SH \"NAME\"\n%s\n"
	    ".SH \"SYNOPSIS\"\n.TP\n\\fB%s [<flags>]\\fR\n"
	    ".SH \"DESCRIPTION\"\n%s\n.SH \"OPTIONS\"\n", prog, BRAZIER_VERSION,
	    prog, prog, title);
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		if (flag_defs[id].attrs & FA_HIDDEN)
			continue;
		buf_reset(&text);
		usage_of_flag(&text, &flag_defs[id]);
		buf_add_byte(&text, '\0');
		buf_add_c(out, ".TP\n\\fB");
		man_escape(out, text.p + strspn(text.p, " "));
		buf_add_c(out, "\\fR\n");
		buf_reset(&text);
		help_text(&text, id);
		buf_add_byte(&text, '\0');
		man_escape(out, text.p);
		buf_add_byte(out, '\n');
	}
	buf_clear(&text);
}

void
flags_help_markdown(struct buf *out, const char *prog)
{
	buf_printf(out, "# %s\n\n%s\n\n## Flags\n\n"
	    "| Flag | Description | Default |\n| --- | --- | --- |\n", prog, title);
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		const struct flag_def *d = &flag_defs[id];

		if (d->attrs & FA_HIDDEN)
			continue;
		buf_printf(out, "| <code>%s--%s</code>%s | ",
		    id == FLAG_HELP ? "-h, " : "", d->name,
		    d->attrs & FA_REPEAT ? " ..." : "");
		help_text(out, id);
		if (d->def != NULL && d->def[0] != '\0')
			buf_printf(out, " | `%s` |\n", d->def);
		else
			buf_add_c(out, " |  |\n");
	}
}

/*
 * The last word decides: names that begin with it; after a flag with a fixed
 * set of values, those.
 */
void
flags_complete(struct buf *out, int argc, char *const *argv)
{
	const char *last = argc > 1 ? argv[argc - 1] : "";

	if (strncmp(last, "--completion", 12) == 0)
		last = "--";
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		const struct flag_def *d = &flag_defs[id];

		if (strncmp(last, "--", 2) == 0 && strcmp(last + 2, d->name) == 0 &&
		    d->values != NULL && d->values[0] != '<') {
			for (const char *w = d->values; *w != '\0'; ) {
				size_t n = strcspn(w, ",");

				buf_add(out, w, n);
				buf_add_byte(out, '\n');
				w += n + (w[n] == ',');
			}
			return;
		}
	}
	for (size_t id = 0; id < FLAG_COUNT; id++) {
		const char *name = flag_defs[id].name;

		if ((flag_defs[id].attrs & FA_HIDDEN) == 0 &&
		    (strncmp(last, "--", 2) != 0 ||
		    strncmp(last + 2, name, strlen(last + 2)) == 0))
			buf_printf(out, "--%s\n", name);
	}
}

void
flags_completion_script(struct buf *out, const char *prog, bool zsh)
{
	if (zsh)
		buf_printf(out, "#compdef %s\nautoload -U compinit && compinit\n"
		    "autoload -U bashcompinit && bashcompinit\n\n", prog);
	buf_printf(out,
	    "_%s_words() {\n"
	    "    local word=\"${COMP_WORDS[COMP_CWORD]}\"\n"
	    "    COMPREPLY=( $(compgen -W \"$(${COMP_WORDS[0]} --completion-bash "
	    "\"${COMP_WORDS[@]:1:$COMP_CWORD}\")\" -- \"$word\") )\n"
	    "}\n"
	    "complete -F _%s_words -o default %s\n", prog, prog, prog);
}

void
flags_version(struct buf *out, const char *prog)
{
	struct utsname u;

	buf_printf(out, "%s, version %s (branch: main, revision: %s)\n"
	    "  compiler:         gcc %s\n", prog, BRAZIER_VERSION,
	    BRAZIER_VERSION, __VERSION__);
	if (uname(&u) == 0)
		buf_printf(out, "  platform:         %s/%s\n", "linux",
		    strcmp(u.machine, "x86_64") == 0 ? "amd64" : u.machine);
}
