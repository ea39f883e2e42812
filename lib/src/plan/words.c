#include "plan/words.h"

#include <string.h>

#include "base/cleanup.h"

#define CONSOLE "console="

struct word {
	const char *at;
	size_t len;
};

/* The next word of text; its blanks in front start at *ret_before. A blank within double quotes belongs to its word. */
static bool next_word(const char *text, size_t len, size_t *at, size_t *ret_before, struct word *ret)
{
	bool quoted = false;
	size_t i = *at;

	*ret_before = i;
	while (i < len && is_blank(text[i]))
		i++;
	ret->at = text + i;
	for (; i < len && (quoted || !is_blank(text[i])); i++)
		quoted ^= text[i] == '"';
	ret->len = (size_t)(text + i - ret->at);
	*at = i;
	return ret->len > 0;
}

static bool starts(const struct word *w, const char *with)
{
	return w->len >= strlen(with) && !memcmp(w->at, with, strlen(with));
}

static bool equals(const struct word *w, const char *text)
{
	return strlen(text) == w->len && !memcmp(w->at, text, w->len);
}

bool word_is_plain(const char *word, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";

	for (size_t i = 0; i < len; i++)
		if (!memchr(plain, word[i], sizeof(plain) - 1))
			return false;
	return len > 0;
}

static bool same_name(const struct word *w, const char *text)
{
	const char *equal = memchr(w->at, '=', w->len);
	size_t n = equal ? (size_t)(equal - w->at) : w->len;

	return !strncmp(text, w->at, n) && (!text[n] || text[n] == '=');
}

/* Consoles apart: their order counts, so they are judged together. */
static bool stays(const struct planner *p, const struct word *w)
{
	CLEANUP_FREE char *text = NULL;

	if (memchr(w->at, '$', w->len) || memchr(w->at, '\\', w->len) || memchr(w->at, '"', w->len) || memchr(w->at, '\'', w->len) ||
	    memchr(w->at, '`', w->len) || equals(w, "ro") || equals(w, "rw") || starts(w, "initrd="))
		return true;
	if (starts(w, "root=UUID=") && w->len == 10 + strlen(p->facts->root_uuid) &&
	    !memcmp(w->at + 10, p->facts->root_uuid, w->len - 10))
		return true;
	for (size_t i = 0; i < p->plan->words; i++)
		if (equals(w, p->plan->word[i].text))
			return true;
	for (size_t i = 0; i < p->plan->words; i++)
		if (same_name(w, p->plan->word[i].text))
			return false;
	text = strndup(w->at, w->len);
	if (!text) {
		p->arena->failed = true;
		return true;
	}
	return !cmdline_unwanted(p, text);
}

void words_done(struct words *w)
{
	strlist_done(&w->all);
}

void words_look(const struct planner *p, struct words *seen, const char *text, size_t len)
{
	size_t at = 0, before;
	struct word w;

	while (next_word(text, len, &at, &before, &w))
		if (starts(&w, CONSOLE) || stays(p, &w))
			strlist_addf(&seen->all, "%.*s", (int)w.len, w.at);
	if (seen->all.failed)
		p->arena->failed = true;
}

/* Do the texts name the plan's consoles, and in its order? The last one is /dev/console. */
static bool consoles_fit(const struct planner *p, const struct words *seen)
{
	size_t k = 0;

	for (size_t i = 0; i < p->plan->words; i++) {
		if (strncmp(p->plan->word[i].text, CONSOLE, strlen(CONSOLE)))
			continue;
		while (k < seen->all.len && strncmp(seen->all.item[k], CONSOLE, strlen(CONSOLE)))
			k++;
		if (k == seen->all.len || strcmp(seen->all.item[k++], p->plan->word[i].text))
			return false;
	}
	for (; k < seen->all.len; k++)
		if (!strncmp(seen->all.item[k], CONSOLE, strlen(CONSOLE)))
			return false;
	return true;
}

void words_filter(const struct planner *p, const struct words *seen, const char *text, size_t len, struct buf *out)
{
	bool consoles = consoles_fit(p, seen), dropped = false;
	size_t at = 0, before, start = out->len;
	struct word w;

	while (next_word(text, len, &at, &before, &w)) {
		if (starts(&w, CONSOLE) ? !consoles : !stays(p, &w)) {
			dropped = true;
			continue;
		}
		/* The blanks behind a first word that went go with it. */
		if (out->len > start || !dropped)
			buf_append(out, text + before, (size_t)(w.at - text) - before);
		buf_append(out, w.at, w.len);
	}
	if (!dropped)
		buf_append(out, text + before, len - before);
}

void words_missing(const struct planner *p, const struct words *seen, struct buf *out)
{
	bool consoles = consoles_fit(p, seen);

	for (size_t i = 0; i < p->plan->words; i++) {
		const char *word = p->plan->word[i].text;
		bool console = !strncmp(word, CONSOLE, strlen(CONSOLE));

		if (word_is_plain(word, strlen(word)) && (console ? !consoles : !strlist_has(&seen->all, word)))
			buf_printf(out, " %s", word);
	}
}

static void put_root(const struct planner *p, const char *text, size_t len, struct buf *out)
{
	size_t at = 0, before, copied = 0;
	struct word w;

	while (next_word(text, len, &at, &before, &w)) {
		if (!starts(&w, "root=") || memchr(w.at, '$', w.len))
			continue;
		buf_append(out, text + copied, (size_t)(w.at - text) - copied);
		buf_printf(out, "root=UUID=%s", p->facts->root_uuid);
		copied = at;
	}
	buf_append(out, text + copied, len - copied);
}

void words_line(const struct planner *p, const char *text, size_t len, const struct words *also, struct buf *out)
{
	CLEANUP(words_done) struct words seen = {0};
	CLEANUP(buf_done) struct buf rooted = {0};

	put_root(p, text, len, &rooted);
	if (rooted.failed) {
		p->arena->failed = true;
		return;
	}
	words_look(p, &seen, rooted.len ? rooted.data : "", rooted.len);
	for (size_t i = 0; also && i < also->all.len; i++)
		if (strncmp(also->all.item[i], CONSOLE, strlen(CONSOLE)))
			strlist_add(&seen.all, also->all.item[i]);
	if (seen.all.failed)
		p->arena->failed = true;
	words_filter(p, &seen, rooted.len ? rooted.data : "", rooted.len, out);
	words_missing(p, &seen, out);
}
