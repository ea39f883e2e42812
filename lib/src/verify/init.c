/* The first program and the C library under it: init, libc. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define PROGRAM_LIMIT (32u << 20)
#define SCRIPT_DEPTH 4u   /* the kernel gives up after as many interpreters */

static enum init_kind kind_of(struct verify *v, const char *real)
{
	if (text_ends_with(real, "/systemd"))
		return INIT_SYSTEMD;
	if (text_ends_with(real, "/busybox") || text_ends_with(real, "/busybox.static"))
		return INIT_BUSYBOX;
	if (fs_exists(v->guest->fs, "/sbin/initctl") && fs_is_dir(v->guest->fs, "/etc/init"))
		return INIT_UPSTART;
	return fs_exists(v->guest->fs, "/etc/inittab") ? INIT_SYSV : INIT_UNKNOWN;
}

/* First word after "#!", owned by the caller; NULL if there is none. */
static char *script_interpreter(const struct buf *file)
{
	const char *start, *line = file->data;
	size_t len;

	if (file->len < 3 || memcmp(line, "#!", 2))
		return NULL;
	start = line + 2 + strspn(line + 2, " \t");
	len = strcspn(start, " \t\r\n");
	return len && *start == '/' ? strndup(start, len) : NULL;
}

/* Follows links and scripts to an ELF program. */
static bool program_resolve(struct verify *v, const char *path)
{
	struct init_facts *f = &v->init;
	CLEANUP_FREE char *now = strdup(path);

	for (unsigned depth = 0; now && depth <= SCRIPT_DEPTH; depth++) {
		CLEANUP(buf_done) struct buf file = {0};
		CLEANUP_FREE char *next = NULL;
		struct p2h_error e = {0};
		struct fs_stat st;
		int rc = fs_stat(v->guest->fs, now, &st, &e);

		if (rc == 0 && !(S_ISREG(st.mode) && st.mode & 0111))
			rc = error_set(&e, P2H_CORRUPT, "%s is not an executable file", now);
		if (rc == 0)
			rc = fs_read(v->guest->fs, now, PROGRAM_LIMIT, &file, &e);
		if (rc) {
			v->nomem |= rc == P2H_NOMEM;
			snprintf(f->problem, sizeof f->problem, "%.60s: cannot run %.60s: %.110s", path, now, e.msg);
			return false;
		}
		next = script_interpreter(&file);
		if (!next) {
			rc = elf_parse(file.data ? file.data : "", file.len, &f->elf, &e);
			v->nomem |= rc == P2H_NOMEM;
			if (rc)
				snprintf(f->problem, sizeof f->problem, "%.60s: %.60s: %.120s", path, now, e.msg);
			return rc == 0;
		}
		free(now);
		now = TAKE(next);
	}
	v->nomem |= !now;
	snprintf(f->problem, sizeof f->problem, "%.200s: too many interpreters", path);
	return false;
}

void init_find(struct verify *v)
{
	static const char *const usual[] = {"/sbin/init", "/etc/init", "/bin/init"};
	struct init_facts *f = &v->init;
	struct p2h_error e = {0};
	char given[256] = "";
	const char *path = usual[0];

	if (cmdline_get(v, "init", given, sizeof given))
		path = given;
	else
		for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
			if (fs_exists(v->guest->fs, usual[i])) {
				path = usual[i];
				break;
			}
	f->path = strdup(path);
	if (!f->path) {
		v->nomem = true;
		return;
	}
	if (fs_realpath(v->guest->fs, path, &f->real, &e)) {
		v->nomem |= e.code == P2H_NOMEM;
		snprintf(f->problem, sizeof f->problem, "%.100s: %.150s", path, e.msg);
		return;
	}
	f->kind = kind_of(v, f->real);
	f->found = program_resolve(v, f->real);
}

/* ---- init ---- */

static void judge_interpreter(struct judgement *j)
{
	struct verify *v = j->v;
	const struct elf_facts *elf = &v->init.elf;
	CLEANUP(elf_done) struct elf_facts loader = {0};
	CLEANUP(buf_done) struct buf file = {0};
	struct p2h_error e = {0};

	if (!*elf->interp)
		return;
	if (fs_read(v->guest->fs, elf->interp, PROGRAM_LIMIT, &file, &e) ||
	    elf_parse(file.data ? file.data : "", file.len, &loader, &e)) {
		judge_error(j, &e, v->init.real);
		return;
	}
	if (loader.bits != elf->bits)
		judge(j, VERIFY_FAIL, "%s is a %u-bit program, its loader %s is of %u bits", v->init.real, elf->bits, elf->interp,
		      loader.bits);
	judge_libraries(j);
}

/* What was left out of a copy because it is empty there: initramfs and init mount on it, and the root is still read-only then. */
static void judge_mount_points(struct judgement *j)
{
	static const char *const dirs[] = {"/dev", "/proc", "/sys"};

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		if (!fs_is_dir(j->v->guest->fs, dirs[i]))
			judge(j, VERIFY_FAIL, "there is no directory %s to mount on", dirs[i]);
}

/* Programs ask whether systemd is the running init by looking for this directory (sd_booted(3)). */
static bool asks_booted(struct verify *v, const char *path)
{
	CLEANUP(buf_done) struct buf file = {0};
	int rc = fs_read(v->guest->fs, path, PROGRAM_LIMIT, &file, NULL);

	v->nomem |= rc == P2H_NOMEM;
	return !rc && file.len && memmem(file.data, file.len, "/run/systemd/system", strlen("/run/systemd/system"));
}

/*
 * systemd of an initramfs moves its /run to the root that it switches to, which may be read-only, and stays where that fails. Behind it any other
 * init finds the directory; udevd then kills whatever is in its control group, and outside of systemd that is everything.
 */
static void judge_handover(struct judgement *j)
{
	static const char *const daemons[] = {"/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd-udevd", "/lib/udev/udevd", "/usr/lib/udev/udevd",
					      "/sbin/udevd"};
	struct verify *v = j->v;
	const char *killer = NULL;

	if (!v->initrd_systemd)
		return;
	if (!fs_is_dir(v->guest->fs, "/run")) {
		judge(j, VERIFY_FAIL, "there is no directory /run, without which systemd of the initramfs does not switch to the root");
		return;
	}
	if (v->init.kind == INIT_SYSTEMD || v->initrd_new_run)
		return;
	for (size_t i = 0; i < sizeof daemons / sizeof *daemons && !killer; i++)
		if (asks_booted(v, daemons[i]))
			killer = daemons[i];
	if (killer)
		judge(j, VERIFY_FAIL, "systemd of the initramfs leaves /run/systemd/system behind: %s takes it for the running init, and kills all other processes",
		      killer);
	else
		judge(j, VERIFY_WARN, "systemd of the initramfs leaves /run/systemd/system behind, and is not the running init");
}

/* Words that end the boot in a shell (kernel-command-line(7), initramfs-tools(7), dracut.cmdline(7)); init looks at the first three. */
static void judge_shell(struct judgement *j)
{
	static const char *const for_init[] = {"single", "S", "1"};
	static const char *const words[] = {
		"emergency", "rescue", "rd.break", "systemd.unit=rescue.target", "systemd.unit=emergency.target", "break",
	};
	const struct verify *v = j->v;

	for (size_t i = 0; i < sizeof for_init / sizeof *for_init && v->init.kind != INIT_BUSYBOX; i++)
		if (cmdline_has(v, for_init[i]))
			judge(j, VERIFY_FAIL, "\"%s\" on the command line: it boots to single user mode", for_init[i]);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (cmdline_has(v, words[i]))
			judge(j, VERIFY_FAIL, "\"%s\" on the command line: it boots to a shell", words[i]);
}

void step_init(struct verify *v)
{
	static const char *const kinds[] = {"unknown kind", "systemd", "upstart", "sysvinit", "busybox"};
	const struct elf_facts *elf = &v->init.elf;
	struct judgement j = {.v = v};

	if (!v->init.found) {
		judge(&j, VERIFY_FAIL, "%s", v->init.problem);
	} else {
		if (elf->machine != 3 && elf->machine != 62)
			judge(&j, VERIFY_FAIL, "%s is for ELF machine %u, not for x86", v->init.real, elf->machine);
		if (elf->type != 2 && elf->type != 3)
			judge(&j, VERIFY_FAIL, "%s is no program (ELF type %u)", v->init.real, elf->type);
		judge_interpreter(&j);
		judge_mount_points(&j);
		judge_handover(&j);
		judge_shell(&j);
		judge(&j, VERIFY_PASS, "%s is %s (%s), %u-bit, %s", v->init.path, v->init.real, kinds[v->init.kind], elf->bits,
		      *elf->interp ? elf->interp : "static");
	}
	judgement_add(&j, "init", "the first program");
}

/* ---- libc ---- */

static void judge_tag(struct judgement *j, const char *path, const struct elf_facts *elf)
{
	const unsigned *min = elf->abi_min;

	if (!elf->has_abi_tag)
		return;
	if (kernel_older(j->v, min[0], min[1], min[2]))
		judge(j, VERIFY_FAIL, "%s wants Linux %u.%u.%u or newer (\"FATAL: kernel too old\"), %s boots", path, min[0], min[1],
		      min[2], j->v->kernel.release);
	else
		judge(j, VERIFY_PASS, "%s wants Linux %u.%u.%u", path, min[0], min[1], min[2]);
}

static void judge_file_tag(struct judgement *j, const char *path)
{
	CLEANUP(elf_done) struct elf_facts elf = {0};
	CLEANUP(buf_done) struct buf file = {0};

	if (fs_read(j->v->guest->fs, path, PROGRAM_LIMIT, &file, NULL) == 0 &&
	    elf_parse(file.data ? file.data : "", file.len, &elf, NULL) == 0)
		judge_tag(j, path, &elf);
}

/* Up to 2.14 and before 2.15 time() and others call the fixed vsyscall page of x86-64, which a kernel may not have. */
static void judge_vsyscall(struct judgement *j, const char *libc)
{
	struct verify *v = j->v;
	CLEANUP_FREE char *real = NULL;
	unsigned major = 0, minor = 0;
	const char *base;
	char mode[16] = "";

	if (fs_realpath(v->guest->fs, libc, &real, NULL))
		return;
	base = strrchr(real, '/');
	/* Files named libc-2.11.3.so; newer ones are libc.so.6 itself. */
	if (!base || sscanf(base, "/libc-%3u.%3u", &major, &minor) != 2 || major != 2 || minor >= 15)
		return;
	cmdline_get(v, "vsyscall", mode, sizeof mode);
	if (!strcmp(mode, "none") || (!*mode && kernel_config(v, "LEGACY_VSYSCALL_NONE") == 'y'))
		judge(j, VERIFY_FAIL, "%s (glibc %u.%u) calls the vsyscall page, which %s does not have: add vsyscall=emulate", libc,
		      major, minor, v->kernel.release);
	else if (kernel_config(v, "X86_VSYSCALL_EMULATION") == 'n' && !kernel_older(v, 3, 19, 0))
		judge(j, VERIFY_FAIL, "%s (glibc %u.%u) calls the vsyscall page, and %s is built without it", libc, major, minor,
		      v->kernel.release);
}

void step_libc(struct verify *v)
{
	const struct elf_facts *elf = &v->init.elf;
	struct judgement j = {.v = v};

	if (!v->kernel_ok || !v->init.found) {
		verify_skip(v, "libc", "the C library accepts the kernel", v->kernel_ok ? "there is no init" : "there is no kernel");
		return;
	}
	judge_tag(&j, v->init.real, elf);
	if (*elf->interp) {
		CLEANUP(elf_done) struct elf_facts facts = {0};
		CLEANUP_FREE char *libc = library_find(v, "libc.so.6", elf->bits, &facts);

		judge_file_tag(&j, elf->interp);
		if (libc) {
			judge_tag(&j, libc, &facts);
			if (elf->bits == 64)
				judge_vsyscall(&j, libc);
		}
	}
	if (!j.count[VERIFY_PASS])
		judge(&j, VERIFY_PASS, "names no earliest kernel");
	judgement_add(&j, "libc", "the C library accepts the kernel");
}
