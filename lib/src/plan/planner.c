/* planner.c - collecting actions and findings */
#include "plan/planner.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The last action on a path, or NULL. */
static struct action *last_action(struct planner *p, const char *path)
{
	for (size_t i = p->plan->actions; i--;)
		if (!strcmp(p->plan->action[i].path, path))
			return &p->plan->action[i];
	return NULL;
}

const char *planner_text(struct planner *p, const char *path, size_t *ret_len)
{
	const struct action *a = last_action(p, path);
	const struct facts_file *f;

	*ret_len = 0;
	if (a && a->kind == ACTION_REMOVE)
		return NULL;
	if (a && a->kind == ACTION_FILE) {
		*ret_len = a->after_len;
		return a->after;
	}
	f = facts_file(p->facts, path);
	if (!f)
		return NULL;
	*ret_len = f->len;
	return f->text;
}

bool planner_exists(struct planner *p, const char *path)
{
	const struct action *a = last_action(p, path);

	return a ? a->kind != ACTION_REMOVE : facts_file(p->facts, path) != NULL;
}

/* An ssh server that starts at boot: who cannot log in on a console can log in by it. */
static bool has_ssh(const struct facts *f)
{
	static const char *const service[] = {"ssh", "sshd", "dropbear", "openssh-server"};
	static const char *const job[] = {"/etc/init/ssh.conf", "/etc/init/sshd.conf"};
	bool has = false;

	for (size_t i = 0; i < sizeof(service) / sizeof(service[0]); i++)
		has |= strlist_has(&f->services, service[i]);
	for (size_t i = 0; i < sizeof(job) / sizeof(job[0]); i++)
		has |= f->init == INIT_UPSTART && facts_file(f, job[i]);
	return has;
}

/* A login on the console is not the only one everywhere. */
static enum severity severity_here(const struct planner *p)
{
	return p->severity == SEVERITY_LOGIN && has_ssh(p->facts) ? SEVERITY_DEGRADED : p->severity;
}

struct action *planner_action(struct planner *p, enum action_kind kind, const char *path, const char *reason)
{
	struct action *a = arena_push(p->arena, &p->plan->action, &p->plan->actions, sizeof(*a));

	if (!a)
		return NULL;
	*a = (struct action){.kind = kind, .rule = p->rule->id, .severity = severity_here(p), .before = "", .after = ""};
	a->path = arena_strdup(p->arena, path);
	a->reason = arena_strdup(p->arena, reason);
	return a->path && a->reason ? a : NULL;
}

void planner_write(struct planner *p, const char *path, const char *text, size_t len, uint32_t mode, const char *reason)
{
	size_t before_len;
	const char *before = planner_text(p, path, &before_len);
	bool existed = planner_exists(p, path);
	struct action *a;

	if (before && before_len == len && !memcmp(before, text, len))
		return;
	a = planner_action(p, ACTION_FILE, path, reason);
	if (!a)
		return;
	a->existed = existed;
	a->before = before ? before : "";
	a->before_len = before_len;
	a->after = arena_memdup(p->arena, text, len);
	a->after_len = len;
	a->mode = mode;
}

void planner_write_buf(struct planner *p, const char *path, const struct buf *text, uint32_t mode, const char *reason)
{
	if (text->failed)
		p->arena->failed = true;
	else
		planner_write(p, path, text->len ? text->data : "", text->len, mode, reason);
}

void planner_link(struct planner *p, const char *path, const char *target, const char *reason)
{
	const struct facts_file *f = facts_file(p->facts, path);
	struct action *a;

	if (f && f->is_link && !strcmp(f->target, target))
		return;
	a = planner_action(p, ACTION_LINK, path, reason);
	if (!a)
		return;
	a->existed = f != NULL;
	a->before = f && f->is_link ? f->target : "";
	a->before_len = strlen(a->before);
	a->after = arena_strdup(p->arena, target);
	a->after_len = strlen(target);
}

void planner_remove(struct planner *p, const char *path, const char *reason)
{
	size_t len;
	const char *before = planner_text(p, path, &len);
	const struct facts_file *f = facts_file(p->facts, path);
	struct action *a;

	if (!planner_exists(p, path))
		return;
	a = planner_action(p, ACTION_REMOVE, path, reason);
	if (!a)
		return;
	a->existed = true;
	a->before = f && f->is_link ? f->target : before ? before : "";
	a->before_len = strlen(a->before);
	if (!(f && f->is_link))
		a->before_len = len;
}

static void add_finding(struct planner *p, bool blocks, const char *evidence, const char *text, const char *advice)
{
	struct finding *f = arena_push(p->arena, &p->plan->finding, &p->plan->findings, sizeof(*f));

	if (!f || !evidence || !text || !advice) {
		p->arena->failed = true;
		return;
	}
	for (const char *const *allow = p->options->allow; blocks && allow && *allow; allow++)
		if (!strcmp(*allow, p->rule->id))
			blocks = false;
	*f = (struct finding){.rule = p->rule->id, .severity = severity_here(p), .blocks = blocks};
	f->evidence = arena_strdup(p->arena, evidence);
	f->text = arena_strdup(p->arena, text);
	f->advice = arena_strdup(p->arena, advice);
	if (blocks && !p->plan->blocked) {
		p->plan->blocked = true;
		p->plan->blocked_by = arena_printf(p->arena, "%s: %s%s%s; %s", p->rule->id, evidence, *evidence ? ": " : "", text, advice);
	}
}

void planner_block(struct planner *p, const char *evidence, const char *text, const char *advice)
{
	add_finding(p, true, evidence, text, advice);
}

void planner_tell(struct planner *p, const char *evidence, const char *text, const char *advice)
{
	add_finding(p, false, evidence, text, advice);
}

void planner_cmdline(struct planner *p, const char *word)
{
	struct plan *plan = p->plan;
	struct cmdline_word *w;

	/* A converted guest's command line has the rules' words already: they get their place again. */
	for (size_t i = 0; i < plan->words; i++) {
		if (strcmp(plan->word[i].text, word))
			continue;
		memmove(plan->word + i, plan->word + i + 1, (--plan->words - i) * sizeof(*plan->word));
		break;
	}
	w = arena_push(p->arena, &plan->word, &plan->words, sizeof(*w));
	if (w)
		*w = (struct cmdline_word){arena_strdup(p->arena, word), p->rule->id};
}

const char *planner_cmdline_last(const struct planner *p, const char *name)
{
	for (size_t i = p->plan->words; i--;)
		if (!strncmp(p->plan->word[i].text, name, strlen(name)))
			return p->plan->word[i].text;
	return NULL;
}

static void drop_kept(struct planner *p, const char *name, const char *word)
{
	struct strlist *kept = &p->plan->kept;
	size_t to = 0;

	for (size_t i = 0; i < kept->len; i++) {
		if (strncmp(kept->item[i], name, strlen(name)) || !strcmp(kept->item[i], word)) {
			kept->item[to++] = kept->item[i];
			continue;
		}
		strlist_add(&p->plan->dropped, kept->item[i]);
		free(kept->item[i]);
	}
	kept->len = to;
}

void planner_replace_cmdline(struct planner *p, const char *name, const char *word)
{
	char *copy = arena_strdup(p->arena, word); /* it may be one of those that go */
	size_t to = 0;

	if (!copy)
		return;
	for (size_t i = 0; i < p->plan->words; i++)
		if (strncmp(p->plan->word[i].text, name, strlen(name)))
			p->plan->word[to++] = p->plan->word[i];
	p->plan->words = to;
	drop_kept(p, name, copy);
	planner_cmdline(p, copy);
}

bool has_target(const struct planner *p, unsigned target)
{
	return (p->targets & target) != 0;
}

bool kernel_before(const struct planner *p, unsigned major, unsigned minor)
{
	return release_before(p->plan->kernel, major, minor);
}

static bool is_word_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool has_word(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);
	const char *at = text, *end = text + len;

	while ((at = memmem(at, (size_t)(end - at), word, n))) {
		if ((at == text || !is_word_byte(at[-1])) && (at + n == end || !is_word_byte(at[n])))
			return true;
		at++;
	}
	return false;
}

bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool next_line(const char *text, size_t len, size_t *at, struct line *ret)
{
	const char *nl;

	if (*at >= len)
		return false;
	nl = memchr(text + *at, '\n', len - *at);
	ret->text = text + *at;
	ret->whole = nl ? (size_t)(nl - ret->text) + 1 : len - *at;
	ret->len = nl ? ret->whole - 1 : ret->whole;
	if (ret->len && ret->text[ret->len - 1] == '\r')
		ret->len--;
	ret->number++;
	*at += ret->whole;
	return true;
}

const char *line_end(const char *text, size_t len)
{
	struct line l = {0};

	return next_line(text, len, &(size_t){0}, &l) && l.whole - l.len == 2 ? "\r\n" : "\n";
}
