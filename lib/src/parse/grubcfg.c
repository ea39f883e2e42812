#include "parse/grubcfg.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/grubrun.h"
#include "parse/scan.h"

#define MAX_COMMANDS 100000u

static void entry_done(struct grubcfg_entry *e)
{
	free(e->title);
	free(e->id);
	free(e->linux_path);
	free(e->args);
	free(e->search_uuid);
	strlist_done(&e->initrd);
}

void grubcfg_done(struct grubcfg *g)
{
	for (size_t i = 0; i < g->len; i++)
		entry_done(&g->item[i]);
	free(g->item);
	free(g->default_value);
	free(g->timeout);
	strlist_done(&g->terminal_output);
	strlist_done(&g->commands);
	*g = (struct grubcfg){0};
}

static void parser_done(struct grubrun *p)
{
	grubcfg_done(&p->g);
	grubmenu_done(&p->menu);
	grubscript_vars_done(&p->vars);
	free(p->word);
}

static int push_frame(struct grubrun *p, enum grubrun_kind kind)
{
	if (p->depth == GRUBRUN_MAX_DEPTH)
		return error_set(p->err, P2H_UNSUPPORTED, "line %zu: blocks nest deeper than %u", p->reader.line,
				 GRUBRUN_MAX_DEPTH);
	p->frame[p->depth++] = (struct grubrun_frame){
	    .kind = kind,
	    .line = p->words ? p->word[0].line : p->reader.line,
	    .outer_skip = p->skip,
	    .mark = p->vars.logged,
	    .parent = p->parent,
	};
	if (kind == FRAME_SKIPPED)
		p->skip = true;
	return 0;
}

static int pop_frame(struct grubrun *p)
{
	struct grubrun_frame *f = &p->frame[--p->depth];
	int code = 0;

	if (f->kind == FRAME_ENTRY) {
		const char *uuid = grubscript_get(&p->vars, GRUBRUN_UUID);

		code = grubrun_replace_text(p, &p->g.item[p->entry].search_uuid, uuid ? uuid : "");
		p->entry = GRUBMENU_NONE;
	}
	if (f->kind == FRAME_ENTRY || f->kind == FRAME_SUBMENU) {
		int undone = grubscript_undo(&p->vars, f->mark, p->err);

		code = code ? code : undone;
		p->parent = f->parent;
	}
	p->skip = f->outer_skip;
	return code;
}

/*
 * Ends the innermost frame of a kind (with braces: of any kind that has them) and all that were left open within it. Words that
 * close nothing are passed over, as GRUB goes on after a line it cannot read.
 */
static int close_frame(struct grubrun *p, enum grubrun_kind kind)
{
	bool braces = kind >= FRAME_GROUP;
	size_t i = p->depth;
	int code = 0;

	while (i && !(braces ? p->frame[i - 1].kind >= FRAME_GROUP : p->frame[i - 1].kind == kind)) {
		if (p->frame[i - 1].kind >= FRAME_GROUP)
			return 0;
		i--;
	}
	while (i && p->depth >= i && !code)
		code = pop_frame(p);
	return code;
}

/* A branch of an if begins: `then` with the status of the condition, `else` with true. */
static void begin_branch(struct grubrun *p, enum grubtest condition)
{
	struct grubrun_frame *f = p->depth ? &p->frame[p->depth - 1] : NULL;

	if (!f || f->kind != FRAME_IF)
		return;
	p->skip = f->outer_skip || f->taken || condition == GRUBTEST_FALSE;
	f->taken |= condition == GRUBTEST_TRUE;
}

/* The condition of an elif is run only if no branch before it was. */
static void begin_condition(struct grubrun *p)
{
	struct grubrun_frame *f = p->depth ? &p->frame[p->depth - 1] : NULL;

	if (f && f->kind == FRAME_IF)
		p->skip = f->outer_skip || f->taken;
	p->status = GRUBTEST_UNKNOWN;
}

/* Which word of a menuentry's or submenu's line is its title, which its id; NULL if there is none. */
static void find_names(const struct strlist *w, const char **title, const char **id)
{
	*title = *id = NULL;
	for (size_t i = 1; i < w->len; i++) {
		const char *word = w->item[i];

		if (!strncmp(word, "--id=", 5)) {
			*id = word + 5;
		} else if (!strcmp(word, "--id") || !strcmp(word, "--class") || !strcmp(word, "--users") ||
			   !strcmp(word, "--hotkey") || !strcmp(word, "--source")) {
			i++;
			if (word[2] == 'i' && i < w->len)
				*id = w->item[i];
		} else if (strncmp(word, "--", 2) != 0 && !*title) {
			*title = word;
		}
	}
}

static int take_text(struct grubrun *p, struct buf *b, char **text)
{
	int code = grubscript_spend(&p->spent, b->len, p->err);

	if (code)
		return code;
	*text = buf_take(b);
	return *text ? 0 : error_nomem(p->err);
}

static int add_entry(struct grubrun *p, size_t node, size_t line)
{
	CLEANUP(buf_done) struct buf title = {0}, id = {0};
	struct grubcfg_entry *e, *bigger = scan_room(p->g.item, p->g.len, &p->item_cap, sizeof(*p->g.item));
	int code;

	if (!bigger)
		return error_nomem(p->err);
	p->g.item = bigger;
	e = &p->g.item[p->g.len++];
	*e = (struct grubcfg_entry){.line = line};
	grubmenu_full_title(&p->menu, node, &title);
	grubmenu_full_id(&p->menu, node, &id);
	code = take_text(p, &title, &e->title);
	if (!code)
		code = take_text(p, &id, &e->id);
	if (!code)
		code = grubrun_replace_text(p, &e->linux_path, "");
	if (!code)
		code = grubrun_replace_text(p, &e->args, "");
	return code ? code : grubrun_replace_text(p, &e->search_uuid, "");
}

/* A menuentry or submenu whose block begins. An entry within an entry means nothing to GRUB. */
static int begin_menu(struct grubrun *p, const struct strlist *w, size_t line)
{
	bool submenu = !strcmp(w->item[0], "submenu");
	const char *title, *id;
	int code;

	if (p->entry != GRUBMENU_NONE)
		return push_frame(p, FRAME_SKIPPED);
	find_names(w, &title, &id);
	code = grubmenu_add(&p->menu, p->parent, title ? title : "", id ? id : "", submenu ? GRUBMENU_NONE : p->g.len, p->err);
	if (!code && !submenu)
		code = add_entry(p, p->menu.len - 1, line);
	if (!code)
		code = push_frame(p, submenu ? FRAME_SUBMENU : FRAME_ENTRY);
	if (code)
		return code;
	if (submenu)
		p->parent = p->menu.len - 1;
	else
		p->entry = p->g.len - 1;
	if (!submenu)
		p->g.item[p->entry].unrestricted = strlist_has(w, "--unrestricted");
	return 0;
}

static bool is_word(const struct grubscript_word *w, const char *text)
{
	return w->len == strlen(text) && !memcmp(w->at, text, w->len);
}

/* "name=value" as a command of its own */
static bool is_assignment(const struct grubscript_word *w)
{
	size_t n = 0;

	while (n < w->len && (w->at[n] == '_' || (w->at[n] >= '0' && w->at[n] <= '9') ||
			      ((w->at[n] | 0x20) >= 'a' && (w->at[n] | 0x20) <= 'z')))
		n++;
	return n && n < w->len && w->at[n] == '=';
}

static int note_command(struct grubrun *p, const struct grubscript_word *w)
{
	CLEANUP_FREE char *name = strndup(w->at, w->len);

	if (!name)
		return error_nomem(p->err);
	strlist_add(&p->g.commands, name);
	return p->g.commands.failed ? error_nomem(p->err) : 0;
}

/* Runs the command whose words were gathered; block: a "{" follows it. */
static int run_expanded(struct grubrun *p, bool block)
{
	CLEANUP(strlist_done) struct strlist w = {0};
	bool unknown = false;
	int code;

	for (size_t i = 0; i < p->words; i++) {
		code = grubscript_expand(&p->word[i], &p->vars, &p->spent, &w, &unknown, p->err);
		if (code)
			return code;
	}
	if (is_assignment(&p->word[0])) {
		p->status = GRUBTEST_TRUE;
		code = w.len ? grubrun_assign(p, w.item[0], unknown) : 0;
	} else if (!w.len) {
		code = 0;
	} else if (block && (!strcmp(w.item[0], "menuentry") || !strcmp(w.item[0], "submenu"))) {
		return begin_menu(p, &w, p->word[0].line);
	} else {
		code = grubrun_command(p, &w, unknown);
	}
	return !code && block ? push_frame(p, FRAME_SKIPPED) : code;
}

/* The end of a command (which may be empty). */
static int end_command(struct grubrun *p, bool block)
{
	const struct grubscript_word *name = p->word;
	int code = 0;

	if (!p->words) {
		/* A "{" of its own: the body of a function, or commands held together. */
		if (block)
			code = push_frame(p, p->function ? FRAME_SKIPPED : FRAME_GROUP);
		p->function &= !block;
		return code;
	}
	p->function = is_word(name, "function") && !block;
	if (++p->commands > MAX_COMMANDS)
		return error_set(p->err, P2H_UNSUPPORTED, "line %zu: more than %u commands", name->line, MAX_COMMANDS);
	if (is_word(name, "for")) {
		if (p->words > 1) {
			CLEANUP_FREE char *variable = strndup(name[1].at, name[1].len);

			code = variable ? grubscript_set(&p->vars, variable, NULL, p->err) : error_nomem(p->err);
		}
		if (!code)
			code = push_frame(p, FRAME_LOOP);
	} else if (is_word(name, "function")) {
		code = block ? push_frame(p, FRAME_SKIPPED) : 0;
	} else {
		if (!is_assignment(name))
			code = note_command(p, name);
		if (!code && p->skip)
			code = block ? push_frame(p, FRAME_SKIPPED) : 0;
		else if (!code)
			code = run_expanded(p, block);
	}
	if (p->negate)
		p->status = grubtest_not(p->status);
	p->negate = false;
	p->words = 0;
	return code;
}

/* Words that mean something where a command may begin. *is: whether this is one. */
static int keyword(struct grubrun *p, const struct grubscript_word *w, bool *is)
{
	*is = true;
	if (is_word(w, "if")) {
		p->status = GRUBTEST_UNKNOWN;
		return push_frame(p, FRAME_IF);
	}
	if (is_word(w, "while") || is_word(w, "until"))
		return push_frame(p, FRAME_LOOP);
	if (is_word(w, "fi"))
		return close_frame(p, FRAME_IF);
	if (is_word(w, "done"))
		return close_frame(p, FRAME_LOOP);
	if (is_word(w, "then"))
		begin_branch(p, p->status);
	else if (is_word(w, "else"))
		begin_branch(p, GRUBTEST_TRUE);
	else if (is_word(w, "elif"))
		begin_condition(p);
	else if (is_word(w, "!"))
		p->negate = !p->negate;
	else if (!is_word(w, "do") && !is_word(w, "time"))
		*is = false;
	return 0;
}

static int add_word(struct grubrun *p, const struct grubscript_word *w)
{
	struct grubscript_word *bigger;
	bool is;
	int code;

	if (!p->words) {
		code = keyword(p, w, &is);
		if (code || is)
			return code;
	}
	if (p->words == MAX_COMMANDS)
		return error_set(p->err, P2H_UNSUPPORTED, "line %zu: more than %u words in a command", w->line, MAX_COMMANDS);
	bigger = scan_room(p->word, p->words, &p->word_cap, sizeof(*p->word));
	if (!bigger)
		return error_nomem(p->err);
	p->word = bigger;
	p->word[p->words++] = *w;
	return 0;
}

static int read_all(struct grubrun *p)
{
	struct grubscript_word w;
	int code = 0;

	while (!code) {
		switch (grubscript_next(&p->reader, &w)) {
		case GRUBSCRIPT_WORD:
			code = add_word(p, &w);
			break;
		case GRUBSCRIPT_SEPARATOR:
			code = end_command(p, false);
			break;
		case GRUBSCRIPT_OPEN:
			code = end_command(p, true);
			break;
		case GRUBSCRIPT_CLOSE:
			code = end_command(p, false);
			if (!code)
				code = close_frame(p, FRAME_GROUP);
			break;
		case GRUBSCRIPT_END:
			code = end_command(p, false);
			p->g.unclosed = p->depth ? p->frame[0].line : 0;
			while (p->depth && !code)
				code = pop_frame(p);
			return code;
		}
	}
	return code;
}

/* Sorts the names and drops the repeated ones. */
static void make_distinct(struct strlist *l)
{
	size_t n = 0;

	strlist_sort(l);
	for (size_t i = 0; i < l->len; i++) {
		if (n && !strcmp(l->item[n - 1], l->item[i]))
			free(l->item[i]);
		else
			l->item[n++] = l->item[i];
	}
	l->len = n;
}

static int find_default(struct grubrun *p)
{
	const char *saved = grubscript_get(&p->vars, "saved_entry");
	struct grubcfg *g = &p->g;
	int code = 0;

	if (!g->default_value || (!strcmp(g->default_value, "saved") && saved))
		code = grubrun_replace_text(p, &g->default_value, g->default_value ? saved : "");
	if (code)
		return code;
	/* No value at all is the usual way to say "the first". */
	g->default_found = grubmenu_resolve(&p->menu, *g->default_value ? g->default_value : "0", &g->default_entry);
	return 0;
}

/* What the menu's own variables say in the end. */
static int read_variables(struct grubrun *p)
{
	const char *timeout = grubscript_get(&p->vars, "timeout"), *superusers = grubscript_get(&p->vars, "superusers");

	p->g.superusers = superusers && *superusers;
	return timeout ? grubrun_replace_text(p, &p->g.timeout, timeout) : 0;
}

int grubcfg_parse(const char *text, size_t len, const char *grubenv, struct grubcfg *ret, struct p2h_error *err)
{
	CLEANUP(parser_done) struct grubrun p = {
	    .reader = {.text = text, .len = len, .line = 1},
	    .parent = GRUBMENU_NONE,
	    .entry = GRUBMENU_NONE,
	    .grubenv = grubenv,
	    .err = err,
	};
	int code;

	*ret = (struct grubcfg){0};
	code = read_all(&p);
	if (!code)
		code = find_default(&p);
	if (!code)
		code = read_variables(&p);
	if (code)
		return code;
	make_distinct(&p.g.commands);
	*ret = p.g;
	p.g = (struct grubcfg){0};
	return 0;
}
