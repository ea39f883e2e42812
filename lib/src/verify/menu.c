/* From the menu to the kernel: grub-cfg, kernel, kernel-arch. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "parse/unpack.h"

#define MENU_LIMIT (1u << 20)
#define GRUBENV_LIMIT 65536u
#define KERNEL_HEAD 65536u
#define KERNEL_LIMIT (64u << 20)
#define KERNEL_UNPACKED (512u << 20)
#define KCONFIG_LIMIT (4u << 20)

/* Commands of a menu that live in a module whose absence ends the boot if the default entry depends on them. */
static void judge_commands(struct judgement *j)
{
	struct verify *v = j->v;
	const struct strlist *used = &v->menu.commands;
	bool plain = strlist_has(used, "linux");

	if (strlist_has(used, "blscfg") && !grub_has_module(v, "blscfg"))
		judge(j, VERIFY_FAIL, "%s uses blscfg, which this GRUB does not have", v->menu_path);
	if (!plain && strlist_has(used, "linux16") && !grub_has_module(v, "linux16"))
		judge(j, VERIFY_FAIL, "%s uses linux16, which this GRUB does not have", v->menu_path);
	if (!plain && !strlist_has(used, "linux16") && strlist_has(used, "linuxefi"))
		judge(j, VERIFY_FAIL, "%s uses linuxefi only: a BIOS cannot start it", v->menu_path);
	if (strlist_has(used, "legacy_configfile") && !grub_has_module(v, "legacycfg"))
		judge(j, VERIFY_WARN, "legacy_configfile needs the module legacycfg, which this GRUB does not have");
}

/* What the core image says; without a readable one the usual places, so that the rest can still be judged. */
static bool find_menu(struct verify *v)
{
	static const char *const usual[][2] = {{"/boot/grub/grub.cfg", "/grub/grub.cfg"},
					       {"/boot/grub2/grub.cfg", "/grub2/grub.cfg"}};
	bool separate = v->guest->boot_number != v->guest->root_number;
	const struct volume *volume = volumes_number(&v->volumes, v->guest->boot_number);

	if (v->config_ok)
		return true;
	if (v->core_ok)
		return false;
	if (!volume || grub_view_open(v, volume, &v->grub, NULL))
		return false;
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_FREE char *path = grub_path(v, usual[i][separate]);

		if (!path || !fs_exists(v->grub.fs, path))
			continue;
		v->prefix = strndup(usual[i][separate], strlen(usual[i][separate]) - strlen("/grub.cfg"));
		v->menu_path = TAKE(path);
		v->nomem |= !v->prefix;
		return !v->nomem;
	}
	return false;
}

/* The file system that the entry's paths are on: that of its search, else GRUB's. */
static int open_boot_view(struct verify *v, struct p2h_error *err)
{
	const struct volume *volume = v->grub.volume;
	char tag[64];

	if (*v->entry->search_uuid) {
		snprintf(tag, sizeof tag, "UUID=%.50s", v->entry->search_uuid);
		volume = volumes_find(&v->volumes, tag);
		if (!volume)
			return error_set(err, P2H_NOTFOUND, "line %zu searches for %s, which is not in this image",
					 v->entry->line, tag);
	}
	return grub_view_open(v, volume, &v->boot, err);
}

/* A grub.cfg without a menu that ends in `boot` is run from top to bottom: read it as one entry, so that it is judged like one. */
static int parse_menu(struct verify *v, const struct buf *text, const char *env, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf entry = {0};
	int rc = grubcfg_parse(text->data ? text->data : "", text->len, env, &v->menu, err);

	if (rc || v->menu.len || !strlist_has(&v->menu.commands, "linux") || !strlist_has(&v->menu.commands, "boot"))
		return rc;
	buf_puts(&entry, "menuentry 'without a menu' {\n");
	buf_append(&entry, text->data, text->len);
	buf_puts(&entry, "\n}\n");
	if (entry.failed)
		return error_nomem(err);
	grubcfg_done(&v->menu);
	v->menu = (struct grubcfg){0};
	rc = grubcfg_parse(entry.data, entry.len, env, &v->menu, err);
	free(v->menu.timeout);
	v->menu.timeout = NULL; /* there is no menu that could wait */
	return rc;
}

/* What keeps GRUB from starting the entry by itself. */
static void judge_waiting(struct judgement *j)
{
	const struct grubcfg *menu = &j->v->menu;
	const char *path = j->v->menu_path;

	if (menu->timeout && (!*menu->timeout || *menu->timeout == '-'))
		judge(j, VERIFY_FAIL, "%s has %s%s: GRUB waits for a key", path, *menu->timeout ? "timeout=" : "no timeout", menu->timeout);
	if (menu->superusers && !j->v->entry->unrestricted)
		judge(j, VERIFY_FAIL, "%s sets superusers, and the default entry is not --unrestricted: GRUB asks for a password", path);
	if (menu->unclosed && menu->unclosed <= j->v->entry->line)
		judge(j, VERIFY_FAIL, "%s: the block of line %zu does not end, so GRUB does not read it", path, menu->unclosed);
	else if (menu->unclosed)
		judge(j, VERIFY_WARN, "%s: the block of line %zu does not end", path, menu->unclosed);
}

static void judge_menu(struct judgement *j)
{
	struct verify *v = j->v;
	CLEANUP_FREE char *env_name = NULL, *env_path = NULL;
	CLEANUP(buf_done) struct buf text = {0}, env = {0};
	struct p2h_error e = {0};

	if (asprintf(&env_name, "%s/grubenv", v->prefix) < 0) {
		env_name = NULL;
		v->nomem = true;
		return;
	}
	env_path = grub_path(v, env_name);
	if (!env_path)
		return;
	if (fs_read(v->grub.fs, v->menu_path, MENU_LIMIT, &text, &e)) {
		judge_error(j, &e, v->menu_path);
		return;
	}
	if (fs_read(v->grub.fs, env_path, GRUBENV_LIMIT, &env, NULL))
		buf_clear(&env);
	if (parse_menu(v, &text, env.len ? env.data : NULL, &e)) {
		judge_error(j, &e, v->menu_path);
		return;
	}
	judge_commands(j);
	if (!v->menu.len) {
		judge(j, VERIFY_FAIL, "%s has no menu entry", v->menu_path);
		return;
	}
	v->entry = &v->menu.item[v->menu.default_entry < v->menu.len ? v->menu.default_entry : 0];
	if (!v->menu.default_found)
		judge(j, VERIFY_WARN, "default \"%s\" names no entry: GRUB boots the first", v->menu.default_value);
	if (!*v->entry->linux_path) {
		judge(j, VERIFY_FAIL, "the default entry \"%s\" (line %zu) loads no Linux kernel", v->entry->title,
		      v->entry->line);
		v->entry = NULL;
		return;
	}
	judge_waiting(j);
	if (open_boot_view(v, &e))
		judge_error(j, &e, v->menu_path);
	judge(j, VERIFY_PASS, "%s line %zu: %s", v->menu_path, v->entry->line, v->entry->title);
}

void step_grub_cfg(struct verify *v)
{
	struct judgement j = {.v = v};

	if (!find_menu(v)) {
		verify_skip(v, "grub-cfg", "the boot menu",
			    v->core_ok ? "the core image does not find it" : "there is neither a core image nor a grub.cfg");
		return;
	}
	judge_menu(&j);
	judgement_add(&j, "grub-cfg", "the boot menu");
}

struct unpacked {
	uint64_t bytes;
};

static int count_bytes(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	struct unpacked *u = ctx;

	(void)data;
	u->bytes += len;
	return u->bytes > KERNEL_UNPACKED ? error_set(err, P2H_UNSUPPORTED, "more than %u MiB unpacked", KERNEL_UNPACKED >> 20) : 0;
}

/*
 * Unpacks the packed kernel within, as it would itself: all that shows damage in its middle. Behind every packing but gzip stands the size that it
 * has to come to (arch/x86/boot/compressed/Makefile, "size_append"), which for lz4 is the only check.
 */
static int payload_read(struct verify *v, struct fs_file *f, struct p2h_error *err)
{
	const struct kimage *k = &v->kernel;
	CLEANUP_FREE uint8_t *packed = NULL;
	struct unpacked u = {0};
	size_t got = 0, used = 0;
	int rc;

	if (k->payload_size < 8 || k->payload_size > KERNEL_LIMIT)
		return 0;
	packed = malloc((size_t)k->payload_size);
	if (!packed)
		return error_nomem(err);
	rc = fs_pread(f, packed, k->payload, (size_t)k->payload_size, &got, err);
	if (rc || !*unpack_name(packed, got))
		return rc;
	rc = unpack_stream(packed, got, count_bytes, &u, &used, err);
	if (rc == 0 && strcmp(unpack_name(packed, got), "gzip") != 0 && le32_get(packed + got - 4) != (uint32_t)u.bytes)
		rc = error_set(err, P2H_CORRUPT, "%llu bytes instead of %u", (unsigned long long)u.bytes, le32_get(packed + got - 4));
	return !rc || rc == P2H_UNSUPPORTED ? 0 : error_prefix(err, rc, "the packed kernel within is damaged");
}

static int kernel_read(struct verify *v, const char *path, struct p2h_error *err)
{
	CLEANUP_FREE char *head = malloc(KERNEL_HEAD);
	struct fs_file *f = NULL;
	struct fs_stat st;
	size_t got = 0;
	int rc;

	if (!head)
		return error_nomem(err);
	rc = fs_stat(v->boot.fs, path, &st, err);
	if (rc)
		return rc;
	if (!S_ISREG(st.mode))
		return error_set(err, P2H_CORRUPT, "not a regular file");
	rc = fs_open(v->boot.fs, path, &f, err);
	if (rc)
		return rc;
	rc = fs_pread(f, head, 0, KERNEL_HEAD, &got, err);
	if (rc == 0)
		rc = kimage_parse(head, got, st.size, &v->kernel, err);
	/* A conversion has just copied it from a donor; unpacking would take longer than the rest of verify. */
	if (rc == 0 && !v->known && v->kernel.expected_size <= st.size)
		rc = payload_read(v, f, err);
	fs_file_close(f, NULL);
	if (rc)
		return rc;
	if (v->kernel.kind != KIMAGE_BZIMAGE)
		return error_set(err, P2H_UNSUPPORTED, "a Xen PV kernel (plain vmlinux): a BIOS boot loader cannot start it");
	if (v->kernel.expected_size > st.size)
		return error_set(err, P2H_CORRUPT, "truncated: %llu bytes of %llu", (unsigned long long)st.size,
				 (unsigned long long)v->kernel.expected_size);
	return 0;
}

/* An image without a version string: its name tells, as in vmlinuz-6.1.0-18-amd64. */
static void release_from_name(struct verify *v)
{
	const char *base = strrchr(v->entry->linux_path, '/');
	const char *dash = strchr(base ? base : v->entry->linux_path, '-');

	if (!*v->kernel.release && dash)
		snprintf(v->kernel.release, sizeof v->kernel.release, "%.64s", dash + 1);
}

/* The configuration of that kernel, wherever distributions put it. */
static void load_config(struct verify *v)
{
	static const char *const places[] = {"/boot/config-%s", "/lib/modules/%s/config", "/usr/lib/modules/%s/config"};
	char path[128];

	for (size_t i = 0; i < sizeof places / sizeof *places && !v->config.len; i++) {
		const char *mark = strchr(places[i], '%');
		struct p2h_error e = {0};

		snprintf(path, sizeof path, "%.*s%s%s", (int)(mark - places[i]), places[i], v->kernel.release, mark + 2);
		if (fs_read(v->guest->fs, path, KCONFIG_LIMIT, &v->config, &e) == 0)
			continue;
		buf_clear(&v->config);
		v->nomem |= e.code == P2H_NOMEM;
	}
}

void step_kernel(struct verify *v)
{
	struct judgement j = {.v = v};
	CLEANUP_FREE char *path = NULL;
	struct p2h_error e = {0};

	if (!v->entry || !v->boot.volume) {
		verify_skip(v, "kernel", "the kernel of the default entry", "no entry to boot is known");
		return;
	}
	path = grub_path(v, v->entry->linux_path);
	if (!path)
		return;
	if (kernel_read(v, path, &e)) {
		judge_error(&j, &e, path);
	} else {
		release_from_name(v);
		if (release_ok(v->kernel.release)) {
			v->kernel_ok = true;
			load_config(v);
			modules_load(v);
			judge(&j, VERIFY_PASS, "%s is Linux %s", path, v->kernel.release);
		} else {
			judge(&j, VERIFY_FAIL, "%s has no usable release name: its modules cannot be found", path);
		}
	}
	judgement_add(&j, "kernel", "the kernel of the default entry");
}

/* 64, 32 or 0. Headers before protocol 2.12 do not say; the configuration or the modules do. */
static unsigned kernel_bits(struct verify *v)
{
	char config = kernel_config(v, "X86_64");

	if (v->kernel.is_64bit_known)
		return v->kernel.is_64bit ? 64 : 32;
	if (config != '?')
		return config == 'y' ? 64 : 32;
	for (size_t i = 0; i < v->modules.len && i < 8; i++) {
		CLEANUP(elf_done) struct elf_facts facts = {0};
		CLEANUP(buf_done) struct buf file = {0};
		CLEANUP_FREE char *path = NULL;

		if (asprintf(&path, "%s/%s", v->modules_dir, v->modules.item[i].path) < 0) {
			path = NULL;
			v->nomem = true;
			return 0;
		}
		if (fs_read(v->guest->fs, path, KCONFIG_LIMIT, &file, NULL) == 0 &&
		    elf_parse(file.data, file.len, &facts, NULL) == 0)
			return facts.bits;
	}
	return 0;
}

/* A 32-bit userland under a 64-bit kernel. */
static void judge_ia32(struct judgement *j)
{
	const struct verify *v = j->v;
	char built = kernel_config(v, "IA32_EMULATION"), value[16];

	if (built == '?') {
		judge(j, VERIFY_WARN, "32-bit userland on the 64-bit kernel %s, whose configuration is not known",
		      v->kernel.release);
		return;
	}
	if (built != 'y') {
		judge(j, VERIFY_FAIL, "%s is a 32-bit program, and %s is built without CONFIG_IA32_EMULATION", v->init.real,
		      v->kernel.release);
		return;
	}
	if (!cmdline_get(v, "ia32_emulation", value, sizeof value))
		snprintf(value, sizeof value, "%s", kernel_config(v, "IA32_EMULATION_DEFAULT_DISABLED") == 'y' ? "0" : "1");
	if (!strcmp(value, "0") || !strcmp(value, "off") || !strcmp(value, "n") || !strcmp(value, "false"))
		judge(j, VERIFY_FAIL, "%s is a 32-bit program, and 32-bit programs are switched off: add ia32_emulation=on",
		      v->init.real);
}

void step_kernel_arch(struct verify *v)
{
	static const char what[] = "kernel and userland fit each other";
	struct judgement j = {.v = v};
	unsigned bits;

	init_find(v); /* the command line, which may name another init, is known now */
	if (!v->kernel_ok || !v->init.found) {
		verify_skip(v, "kernel-arch", what, v->kernel_ok ? "there is no init" : "there is no kernel");
		return;
	}
	bits = kernel_bits(v);
	if (!bits)
		judge(&j, VERIFY_WARN, "nothing tells whether %s is a 64-bit kernel", v->kernel.release);
	else if (bits == 32 && v->init.elf.bits == 64)
		judge(&j, VERIFY_FAIL, "%s is a 32-bit kernel, %s a 64-bit program", v->kernel.release, v->init.real);
	else if (bits == 64 && v->init.elf.bits == 32)
		judge_ia32(&j);
	judge(&j, VERIFY_PASS, "%u-bit kernel, %u-bit userland", bits, v->init.elf.bits);
	judgement_add(&j, "kernel-arch", what);
}
