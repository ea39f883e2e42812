/* What the core image does once it runs: core-modules, core-config. */
#include "verify/context.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define CONFIG_LINES 400u
#define VALUE_BYTES 512

/* The variables that decide where GRUB looks. root is "hd0,msdos1", or "UUID=..." once a search has set it. */
struct simulation {
	struct verify *v;
	char root[VALUE_BYTES], prefix[VALUE_BYTES], menu[VALUE_BYTES];
	struct strlist commands;
	char trouble[VALUE_BYTES]; /* a search that finds nothing: GRUB goes on with the old root */
};

int grub_view_open(struct verify *v, const struct volume *volume, struct grub_view *ret, struct p2h_error *err)
{
	struct grub_view view = {.volume = volume};
	int rc;

	*ret = (struct grub_view){0};
	if (v->guest && guest_in_appliance(v->guest, volume)) {
		rc = guest_open_top(v->guest, volume, &view.fs, err);
	} else {
		rc = volume_open(v->disk, volume, &view.slice, err);
		if (!rc)
			rc = fs_ext_open(view.slice, 0, 0, &view.fs, err);
	}
	if (rc) {
		disk_close(view.slice);
		return rc;
	}
	*ret = view;
	return 0;
}

void grub_view_close(struct grub_view *view)
{
	cleanup_fs(&view->fs);
	disk_close(view->slice);
	*view = (struct grub_view){0};
}

char *grub_path(struct verify *v, const char *path)
{
	char *full = NULL;

	if (asprintf(&full, "%s%s", *path == '/' ? "" : "/", path) < 0) {
		v->nomem = true;
		return NULL;
	}
	return full;
}

static bool view_has(struct verify *v, const struct grub_view *view, const char *path)
{
	CLEANUP_FREE char *full = grub_path(v, path);

	return full && fs_exists(view->fs, full);
}

bool grub_has_module(struct verify *v, const char *name)
{
	char path[VALUE_BYTES * 2];

	if (strlist_has(&v->image.modules, name))
		return true;
	if (!v->grub.volume || !v->prefix)
		return false;
	snprintf(path, sizeof path, "%s/i386-pc/%s.mod", v->prefix, name);
	return view_has(v, &v->grub, path);
}

/* ---- the embedded configuration, in the words of GRUB's rescue parser ---- */

static const char *variable(const struct simulation *s, const char *name, size_t len)
{
	if (len == 4 && !strncmp(name, "root", 4))
		return s->root;
	if (len == 6 && !strncmp(name, "prefix", 6))
		return s->prefix;
	return "";
}

/* One line with quotes removed and variables filled in. */
static void expand(const struct simulation *s, const char *line, size_t len, struct buf *ret)
{
	char quote = 0;

	for (size_t i = 0; i < len; i++) {
		char c = line[i];
		size_t start, n;
		bool brace;

		if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
			continue;
		}
		if (c == '#' && !quote && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
			break;
		if (c != '$' || quote == '\'') {
			buf_append(ret, &c, 1);
			continue;
		}
		brace = i + 1 < len && line[i + 1] == '{';
		start = i + 1 + brace;
		for (n = 0; start + n < len && (line[start + n] == '_' || isalnum((unsigned char)line[start + n])); n++)
			;
		buf_puts(ret, variable(s, line + start, n));
		i = start + n - 1 + (brace && start + n < len && line[start + n] == '}');
	}
}

static const struct volume *volume_of(const struct verify *v, const char *grub_device)
{
	const char *comma;
	unsigned number = 0, disk = 0;

	if (!strncmp(grub_device, "UUID=", 5) || !strncmp(grub_device, "LABEL=", 6))
		return volumes_find(&v->volumes, grub_device);
	if (sscanf(grub_device, "hd%2u", &disk) != 1 && *grub_device != ',')
		return NULL;
	comma = strchr(grub_device, ',');
	if (comma && sscanf(comma, ",msdos%5u", &number) != 1 && sscanf(comma, ",gpt%5u", &number) != 1 &&
	    sscanf(comma, ",%5u", &number) != 1)
		return NULL;
	return volumes_number(&v->volumes, volume_number_on(disk, number));
}

/* search --file: the first volume that has it. */
static const struct volume *volume_with_file(struct verify *v, const char *path)
{
	for (size_t i = 0; i < v->volumes.len; i++) {
		__attribute__((cleanup(grub_view_close))) struct grub_view view = {0};

		if (grub_view_open(v, &v->volumes.item[i], &view, NULL) == 0 && view_has(v, &view, path))
			return view.volume;
	}
	return NULL;
}

/* Each word "search.fs_uuid X VAR" or "search --fs-uuid --set=VAR X" means one of these. */
static void simulate_search(struct simulation *s, const struct strlist *words)
{
	enum { BY_UUID, BY_LABEL, BY_FILE } by = BY_UUID;
	const char *value = "", *name = "root";
	const struct volume *found;
	unsigned plain = 0;

	if (strstr(words->item[0], "label"))
		by = BY_LABEL;
	else if (strstr(words->item[0], "file"))
		by = BY_FILE;
	for (size_t i = 1; i < words->len; i++) {
		const char *w = words->item[i];

		if (!strncmp(w, "--set=", 6))
			name = w + 6;
		else if (!strcmp(w, "--label") || !strcmp(w, "-l") || !strcmp(w, "--fs-label"))
			by = BY_LABEL;
		else if (!strcmp(w, "--file") || !strcmp(w, "-f"))
			by = BY_FILE;
		else if (*w != '-' && plain++ == 0)
			value = w;
		else if (*w != '-' && plain == 2 && words->item[0][6] == '.')
			name = w;
	}
	if (strcmp(name, "root"))
		return;
	if (by == BY_FILE) {
		found = volume_with_file(s->v, value);
		if (found)
			snprintf(s->root, sizeof s->root, "hd0,%u", found->number);
	} else {
		char tag[VALUE_BYTES];

		snprintf(tag, sizeof tag, "%s%s", by == BY_LABEL ? "LABEL=" : "UUID=", value);
		found = volumes_find(&s->v->volumes, tag);
		if (found)
			snprintf(s->root, sizeof s->root, "%s", tag);
	}
	if (!found)
		snprintf(s->trouble, sizeof s->trouble, "the search for %.200s finds nothing in this image", value);
}

static void simulate_line(struct simulation *s, const char *line, size_t len)
{
	CLEANUP(strlist_done) struct strlist words = {0};
	CLEANUP(buf_done) struct buf text = {0};
	const char *assignment;

	expand(s, line, len, &text);
	if (text.len)
		strlist_split(&words, text.data, " \t\r");
	if (text.failed || words.failed)
		s->v->nomem = true;
	if (!words.len || s->v->nomem)
		return;
	strlist_add(&s->commands, words.item[0]);
	assignment = !strcmp(words.item[0], "set") && words.len > 1 ? words.item[1] : words.item[0];
	if (!strncmp(assignment, "root=", 5))
		snprintf(s->root, sizeof s->root, "%s", assignment + 5);
	else if (!strncmp(assignment, "prefix=", 7))
		snprintf(s->prefix, sizeof s->prefix, "%s", assignment + 7);
	else if (!strncmp(words.item[0], "search", 6))
		simulate_search(s, &words);
	else if ((!strcmp(words.item[0], "configfile") || !strcmp(words.item[0], "normal")) && words.len > 1 && !*s->menu)
		snprintf(s->menu, sizeof s->menu, "%s", words.item[1]);
}

/* As the kernel of GRUB sets $prefix and $root before anything runs: the drive it was started from fills what is missing. */
static void simulate_start(struct simulation *s)
{
	const char *path = s->v->image.prefix;
	char device[VALUE_BYTES / 2] = "";
	size_t len;

	if (*path == '(') {
		len = strcspn(path + 1, ")");
		snprintf(device, sizeof device, "%.*s", (int)len, path + 1);
		path += 1 + len + (path[1 + len] == ')');
	}
	snprintf(s->root, sizeof s->root, "%s%s", *device && *device != ',' ? "" : "hd0", device);
	snprintf(s->prefix, sizeof s->prefix, "(%.250s)%.250s", s->root, path);
}

static void simulate(struct simulation *s)
{
	const char *line = s->v->image.config;

	simulate_start(s);
	for (unsigned n = 0; line && *line && n < CONFIG_LINES; n++) {
		size_t len = strcspn(line, "\n;");

		simulate_line(s, line, len);
		line += len + (line[len] != '\0');
	}
}

/* "(device)/path" to volume and path; without a device it is on $root. */
static const struct volume *resolve(const struct simulation *s, const char *text, const char **ret_path)
{
	char device[VALUE_BYTES];
	size_t len;

	*ret_path = text;
	if (*text != '(')
		return volume_of(s->v, s->root);
	len = strcspn(text + 1, ")");
	snprintf(device, sizeof device, "%.*s", (int)len, text + 1);
	*ret_path = text + 1 + len + (text[1 + len] == ')');
	return volume_of(s->v, device);
}

/* Follows $prefix to the menu; fills v->grub, prefix and menu_path. */
static void judge_config(struct judgement *j, const struct simulation *s)
{
	struct verify *v = j->v;
	const char *path, *menu;
	const struct volume *volume = resolve(s, s->prefix, &path), *menu_volume;
	CLEANUP_FREE char *full = NULL;
	struct p2h_error e = {0};
	char standard[VALUE_BYTES + 16];

	if (!volume || !*path) {
		judge(j, VERIFY_FAIL, "prefix %s%s%s leads to no volume of this image", *s->prefix ? s->prefix : "(none)",
		      *s->trouble ? ": " : "", s->trouble);
		return;
	}
	if (grub_view_open(v, volume, &v->grub, &e)) {
		judge_error(j, &e, s->prefix);
		if (*s->trouble)
			judge(j, VERIFY_FAIL, "%s", s->trouble);
		return;
	}
	v->prefix = strdup(path);
	snprintf(standard, sizeof standard, "%s/grub.cfg", path);
	menu = standard;
	menu_volume = volume;
	if (*s->menu)
		menu_volume = resolve(s, s->menu, &menu);
	full = grub_path(v, menu);
	if (!v->prefix || !full) {
		v->nomem = true;
		return;
	}
	if (menu_volume != volume || !fs_exists(v->grub.fs, full)) {
		judge(j, VERIFY_FAIL, "there is no %s on volume %u%s%s", menu, volume->number, *s->trouble ? ": " : "",
		      s->trouble);
		return;
	}
	if (*s->trouble)
		judge(j, VERIFY_WARN, "%s", s->trouble);
	v->menu_path = TAKE(full);
	v->config_ok = true;
	judge(j, VERIFY_PASS, "%s of volume %u (%s)", menu, volume->number, volume->uuid);
}

/* ---- modules ---- */

static const char *fs_module(const char *content)
{
	if (!strncmp(content, "ext", 3))
		return "ext2";
	if (!strcmp(content, "xfs") || !strcmp(content, "btrfs"))
		return content;
	return strcmp(content, "vfat") ? NULL : "fat";
}

/* Needed before GRUB can read a file. */
static void judge_in_core(struct judgement *j, const struct simulation *s)
{
	static const struct {
		unsigned layer;
		const char *module;
	} layer[] = {{VOLUME_LVM, "lvm"}, {VOLUME_RAID, "mdraid1x"}, {VOLUME_LUKS, "luks"}};
	const struct verify *v = j->v;
	const struct strlist *have = &v->image.modules;
	const char *fs = v->grub.volume ? fs_module(v->grub.volume->content) : NULL;
	bool uuid = strlist_has(&s->commands, "search.fs_uuid");

	for (size_t i = 0; v->grub.volume && i < sizeof layer / sizeof *layer; i++)
		if (v->grub.volume->layers & layer[i].layer && !strlist_has(have, layer[i].module))
			judge(j, VERIFY_FAIL, "core lacks %s for %s", layer[i].module, v->grub.volume->device);
	if (v->grub.volume && v->grub.volume->layers & VOLUME_LUKS && !strlist_has(&s->commands, "cryptomount"))
		judge(j, VERIFY_FAIL, "%s is encrypted, and core's configuration has no cryptomount for it", v->grub.volume->device);
	if (!strlist_has(have, "biosdisk"))
		judge(j, VERIFY_FAIL, "core lacks biosdisk: it cannot read a disk");
	if (v->volumes.table == TABLE_MBR && !strlist_has(have, "part_msdos"))
		judge(j, VERIFY_FAIL, "core lacks part_msdos for the MBR partition table");
	if (v->volumes.table == TABLE_GPT && !strlist_has(have, "part_gpt"))
		judge(j, VERIFY_FAIL, "core lacks part_gpt for the GPT partition table");
	if (fs && !strlist_has(have, fs))
		judge(j, VERIFY_FAIL, "core lacks %s for %s", fs, v->grub.volume->content);
	if (uuid && !strlist_has(have, "search_fs_uuid"))
		judge(j, VERIFY_FAIL, "core's configuration uses search.fs_uuid but core lacks search_fs_uuid");
	if (strlist_has(&s->commands, "search") && !(strlist_has(have, "search") && strlist_has(have, "search_fs_uuid")))
		judge(j, VERIFY_FAIL, "core's configuration uses search but core lacks search or search_fs_uuid");
}

/* May come from $prefix/i386-pc, if that is of the same build. */
static void judge_loadable(struct judgement *j, const struct simulation *s)
{
	const char *names[] = {"normal", "linux", strlist_has(&s->commands, "configfile") ? "configfile" : NULL};
	struct verify *v = j->v;
	unsigned loaded = 0;
	char path[VALUE_BYTES * 2];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!names[i] || strlist_has(&v->image.modules, names[i]))
			continue;
		if (v->grub.volume && !grub_has_module(v, names[i]))
			judge(j, VERIFY_FAIL, "%s is neither in core nor in %s/i386-pc", names[i], v->prefix ? v->prefix : "");
		loaded++;
	}
	snprintf(path, sizeof path, "%s/i386-pc/modinfo.sh", v->prefix ? v->prefix : "");
	if (loaded && v->grub.volume && !view_has(v, &v->grub, path))
		judge(j, VERIFY_WARN, "core loads modules from the disk, and nothing says that they are of its version (no %s)",
		      path);
}

void step_core_config(struct verify *v)
{
	struct judgement config = {.v = v}, modules = {.v = v};
	struct simulation s = {.v = v};

	if (!v->core_ok || !v->volumes_ok) {
		const char *why = v->core_ok ? "the volumes are not known" : "there is no readable core image";

		verify_skip(v, "core-modules", "modules that the core image needs", why);
		verify_skip(v, "core-config", "where the core image looks for its menu", why);
		return;
	}
	simulate(&s);
	judge_config(&config, &s);
	judge_in_core(&modules, &s);
	judge_loadable(&modules, &s);
	judge(&modules, VERIFY_PASS, "%zu in core", v->image.modules.len);
	strlist_done(&s.commands);
	judgement_add(&modules, "core-modules", "modules that the core image needs");
	judgement_add(&config, "core-config", "where the core image looks for its menu");
}
