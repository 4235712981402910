/* SPDX-License-Identifier: ISC */
/*
 * The browser's page and its two files, embedded in the program. One page
 * serves every path of the UI: its script looks at the path.
 */
#include "workers/web/web.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a file of ui/, as symbols <name> and <name>_end. */
#define EMBED(name, file)						\
	__asm__(".section .rodata\n"					\
	    ".global " #name "\n" #name ":\n"				\
	    ".incbin \"workers/web/ui/" file "\"\n"			\
	    ".global " #name "_end\n" #name "_end:\n"			\
	    ".byte 0\n.previous\n");					\
	extern const char name[], name##_end[]

EMBED(ui_index, "index.html");
EMBED(ui_script, "app.js");
EMBED(ui_style, "style.css");
EMBED(ui_icon, "favicon.svg");

/* Nothing from elsewhere, nothing inline, nobody frames it. */
#define PAGE_POLICY \
	"default-src 'none'; script-src 'self'; style-src 'self'; " \
	"connect-src 'self'; img-src 'self' data:; base-uri 'none'; " \
	"form-action 'self'; frame-ancestors 'self'"

static struct str
embedded(const char *from, const char *end)
{
	return str_from(from, (size_t)(end - from));
}

/* "<external path>" + rest */
static void
redirect_home(struct call *c, const char *rest, struct str query, bool mark)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_str(&b, c->web->set.external_path);
	buf_add_c(&b, rest);
	if (mark)
		buf_add_byte(&b, '?');
	buf_add_str(&b, query);
	call_redirect(c, 302, buf_str(&b));
	buf_clear(&b);
}

void
handle_home(struct call *c)
{
	redirect_home(c, c->web->set.agent ? "/agent" : "/query", STR_EMPTY,
	    false);
}

/* Old links keep working. */
void
handle_graph(struct call *c)
{
	redirect_home(c, "/query", http_exchange_request(c->x)->raw_query,
	    true);
}

static void
add_escaped(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '<')
			buf_add_c(b, "&lt;");
		else if (s.p[i] == '&')
			buf_add_c(b, "&amp;");
		else if (s.p[i] == '"')
			buf_add_c(b, "&#34;");
		else
			buf_add_byte(b, (uint8_t)s.p[i]);
	}
}

void
handle_page(struct call *c)
{
	static const char mark[] = "TITLE_PLACEHOLDER";
	struct str rest = embedded(ui_index, ui_index_end);
	struct buf b;

	buf_init(&b, 0);
	for (;;) {
		const char *at = memmem(rest.p, rest.n, mark,
		    sizeof(mark) - 1);

		if (at == NULL)
			break;
		buf_add(&b, rest.p, (size_t)(at - rest.p));
		add_escaped(&b, c->web->set.page_title);
		rest.n -= (size_t)(at - rest.p) + sizeof(mark) - 1;
		rest.p = at + sizeof(mark) - 1;
	}
	buf_add_str(&b, rest);
	http_reply_header(c->x, "Content-Security-Policy",
	    STR_LIT(PAGE_POLICY));
	http_reply_header(c->x, "Referrer-Policy", STR_LIT("same-origin"));
	http_reply_header(c->x, "X-Frame-Options", STR_LIT("SAMEORIGIN"));
	call_reply(c, 200, "text/html; charset=utf-8", buf_str(&b));
	buf_clear(&b);
}

void
handle_asset(struct call *c)
{
	static const struct {
		const char *path, *type, *from, *end;
	} assets[] = {
		{ "/assets/app.js", "text/javascript; charset=utf-8",
		  ui_script, ui_script_end },
		{ "/assets/style.css", "text/css; charset=utf-8", ui_style,
		  ui_style_end },
		{ "/favicon.svg", "image/svg+xml", ui_icon, ui_icon_end },
	};

	for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++) {
		if (!str_eq_c(c->path, assets[i].path))
			continue;
		http_reply_header(c->x, "Cache-Control",
		    STR_LIT("no-cache"));
		call_reply(c, 200, assets[i].type,
		    embedded(assets[i].from, assets[i].end));
		return;
	}
	call_reply_text(c, 404, "404 page not found");
}
