/* abi.c - what the guest's programs want of the kernel: its age, its width, the vsyscall page */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

static bool kernel_older(const struct planner *p, const unsigned *min)
{
	unsigned have[3] = {0};

	if (sscanf(p->plan->kernel, "%u.%u.%u", &have[0], &have[1], &have[2]) < 2)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (have[i] != min[i])
			return have[i] < min[i];
	return false;
}

/* glibc compares its note with the kernel's version up to 2.35; later ones do not look, and fail at the first call that is missing. */
static bool checks_kernel(const struct facts_abi *abi)
{
	return abi->glibc[0] < 2 || (abi->glibc[0] == 2 && abi->glibc[1] < 36);
}

void rule_abi_tag(struct planner *p)
{
	const struct facts_abi *abi = &p->facts->abi;

	for (size_t i = 0; i < abi->tags; i++) {
		const unsigned *min = abi->tag[i].min;

		if (!kernel_older(p, min))
			continue;
		planner_block(p, arena_printf(p->arena, "%s: .note.ABI-tag: Linux %u.%u.%u", abi->tag[i].path, min[0], min[1], min[2]),
			      arena_printf(p->arena, "kernel %s is too old for the guest's C library%s", p->plan->kernel,
					   checks_kernel(abi) ? ": its programs stop with \"FATAL: kernel too old\"" : ""),
			      arena_printf(p->arena, "choose a donor whose kernel is Linux %u.%u.%u or newer", min[0], min[1], min[2]));
		return; /* the others say the same */
	}
}

void rule_ia32(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct facts_donor *d = &f->donor;
	char built = donor_config(d, "IA32_EMULATION");
	bool all = f->bits == 32;

	if (!*d->chosen.release || !d->chosen.is_64bit || !(all || f->abi.multilib))
		return;
	if (built == 'n' && all)
		planner_block(p, arena_printf(p->arena, "%s: CONFIG_IA32_EMULATION is not set", d->chosen.config),
			      "this 64-bit kernel cannot run the guest's 32-bit programs",
			      "choose a donor whose kernel has IA32_EMULATION, or a 32-bit one");
	else if (built == 'n')
		planner_tell(p, arena_printf(p->arena, "/lib/ld-linux.so.2; %s: CONFIG_IA32_EMULATION is not set", d->chosen.config),
			     "the guest can run 32-bit programs beside its 64-bit ones; this kernel cannot",
			     "choose a donor whose kernel has IA32_EMULATION if any are in use");
	else if (donor_config(d, "IA32_EMULATION_DEFAULT_DISABLED") == 'y')
		planner_replace_cmdline(p, "ia32_emulation=", "ia32_emulation=on");
	else if (built == '?' && all)
		planner_tell(p, arena_printf(p->arena, "kernel %s has no configuration file", d->chosen.release),
			     "whether this 64-bit kernel runs the guest's 32-bit programs cannot be told", "it has to be built with IA32_EMULATION");
}

/*
 * gettimeofday() goes to the vDSO from glibc 2.7 on, time() and getcpu() from 2.14 on; the callers inside of libpthread, and static programs, were done
 * for 2.15. Up to 2.21 the page is what it falls back to where there is no vDSO.
 */
static bool libc_calls_vsyscall(const struct planner *p)
{
	const struct facts_abi *abi = &p->facts->abi;
	unsigned good = planner_cmdline_last(p, "vdso=0") ? 22 : 15;

	return abi->glibc[0] && (abi->glibc[0] < 2 || (abi->glibc[0] == 2 && abi->glibc[1] < good));
}

/* What needs the page, for the report; NULL if nothing does. */
static const char *vsyscall_user(struct planner *p)
{
	const struct facts_abi *abi = &p->facts->abi;

	if (libc_calls_vsyscall(p))
		return arena_printf(p->arena, "%s: GNU C Library %u.%u", abi->libc, abi->glibc[0], abi->glibc[1]);
	if (abi->vsyscalls > 1)
		return arena_printf(p->arena, "%s and %zu more static programs", abi->vsyscall[0], abi->vsyscalls - 1);
	return abi->vsyscalls ? arena_printf(p->arena, "%s, a static program", abi->vsyscall[0]) : NULL;
}

/* What the old command line says, where it gives such programs what they need: "xonly" is known from Linux 5.3 on. */
static const char *vsyscall_given(const struct planner *p)
{
	const char *word = planner_cmdline_last(p, "vsyscall=");

	if (word && (!strcmp(word, "vsyscall=emulate") || (!strcmp(word, "vsyscall=xonly") && !kernel_before(p, 5, 3))))
		return word;
	return NULL;
}

/*
 * Without a word on the command line the kernel does what it was built for: LEGACY_VSYSCALL_NONE (there since 4.4) means that a call is a
 * segmentation fault; the other choices let calls work, and so do older kernels.
 */
void rule_vsyscall(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct facts_donor *d = &f->donor;
	const char *user = f->bits == 64 ? vsyscall_user(p) : NULL, *given = vsyscall_given(p);
	char none = donor_config(d, "LEGACY_VSYSCALL_NONE");

	if (!*d->chosen.release || kernel_before(p, 3, 1))
		return;
	if (!user) {
		if (f->bits == 64 && f->abi.vsyscall_cut && none == 'y' && !given)
			planner_tell(p, "/usr/bin, /usr/local, /opt", "not all of the guest's programs could be looked into for calls of the vsyscall page",
				     "if a static program dies with SIGSEGV under the new kernel: --cmdline-add vsyscall=emulate");
		return;
	}
	if (donor_config(d, "X86_VSYSCALL_EMULATION") == 'n' && !kernel_before(p, 3, 19)) {
		planner_block(p, arena_printf(p->arena, "%s; %s: CONFIG_X86_VSYSCALL_EMULATION is not set", user, d->chosen.config),
			      "the guest's programs call the vsyscall page, which this kernel does not have: they would die with SIGSEGV",
			      "choose a donor whose kernel has X86_VSYSCALL_EMULATION");
		return;
	}
	if (!given && (none == 'y' || planner_cmdline_last(p, "vsyscall=")))
		planner_tell(p, user, "calls the vsyscall page, which the new kernel would not offer", "vsyscall=emulate is put on its command line");
	if (none != 'n' || (!given && planner_cmdline_last(p, "vsyscall=")))
		planner_replace_cmdline(p, "vsyscall=", given ? given : "vsyscall=emulate");
}

/* The loader of these asserts that the 32-bit vDSO lies where its own headers say, which kernels gave up. 2.3.2 had the bug in SUSE Linux 9 only. */
static bool libc_fails_at_vdso(const struct facts *f)
{
	const unsigned *v = f->abi.glibc;

	return v[0] == 2 && v[1] == 3 && (v[2] == 3 || (v[2] == 2 && !strcmp(f->os_id ? f->os_id : "", "sles")));
}

void rule_vdso32(struct planner *p)
{
	const struct facts *f = p->facts;

	if (!*p->plan->kernel || !(f->bits == 32 || f->abi.multilib) || !libc_fails_at_vdso(f) || donor_config(&f->donor, "COMPAT_VDSO") == 'y')
		return;
	if (!planner_cmdline_last(p, "vdso32=0"))
		planner_tell(p, arena_printf(p->arena, "%s: GNU C Library 2.3.%u", f->abi.libc, f->abi.glibc[2]),
			     "32-bit programs stop at their start where the kernel gives them a vDSO", "vdso32=0 is put on the command line: they do without");
	planner_replace_cmdline(p, "vdso32=", "vdso32=0");
}
