/* The root file system as the kernel and GRUB meet it: root, file-system. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/features.h"

/* Whoever mounts the root tries these types and no other. ext4's driver serves the older ones by its own name. */
static void judge_type(struct judgement *j)
{
	CLEANUP(strlist_done) struct strlist types = {0};
	const char *content = j->v->root->content;
	char given[128];

	if (!*content || !cmdline_get(j->v, "rootfstype", given, sizeof given))
		return;
	strlist_split(&types, given, ",");
	if (!strlist_has(&types, content) && !strlist_has(&types, "auto") &&
	    !(!strncmp(content, "ext", 3) && strlist_has(&types, "ext4")))
		judge(j, VERIFY_FAIL, "rootfstype=%s, but the root file system is %s", given, content);
	j->v->nomem |= types.failed;
}

/* btrfs: the subvolume that is mounted has to be the one with the system. */
static void judge_subvolume(struct judgement *j)
{
	const struct guest *g = j->v->guest;
	char flags[512], *found;

	if (!g->root_subvolume)
		return;
	found = cmdline_get(j->v, "rootflags", flags, sizeof flags) ? strstr(flags, "subvol=") : NULL;
	if (!found) {
		if (!g->root_is_default)
			judge(j, VERIFY_FAIL, "no rootflags=subvol=%s, and the subvolume mounted by default has no system in it", g->root_subvolume);
		return;
	}
	found += strlen("subvol=");
	found += strspn(found, "/");
	found[strcspn(found, ",")] = '\0';
	if (strcmp(found, g->root_subvolume))
		judge(j, VERIFY_FAIL, "rootflags=subvol=%s, but the system is in subvolume %s", found, *g->root_subvolume ? g->root_subvolume : "/");
}

void step_root(struct verify *v)
{
	static const char what[] = "root= of the command line";
	struct judgement j = {.v = v};
	const struct volume *volume = NULL;
	char root[256], why[320] = "";

	if (!v->entry) {
		verify_skip(v, "root", what, "no entry to boot is known");
		return;
	}
	if (!cmdline_get(v, "root", root, sizeof root)) {
		judge(&j, VERIFY_FAIL, "the default entry has no root=");
		judgement_add(&j, "root", what);
		return;
	}
	switch (device_find(v, root, &volume, why, sizeof why)) {
	case DEVICE_FITS:
		break;
	case DEVICE_OPAQUE:
		judge(&j, VERIFY_WARN, "root=%s cannot be told from outside: %s", root, why);
		break;
	default:
		judge(&j, VERIFY_FAIL, "root=: %s", why);
	}
	if (volume && volume->number != v->root->number && judgement_result(&j) == VERIFY_PASS)
		judge(&j, VERIFY_FAIL, "root=%s is volume %u, the system is on volume %u", root, volume->number,
		      v->root->number);
	judge_type(&j);
	judge_subvolume(&j);
	judge(&j, VERIFY_PASS, "root=%s is volume %u (%s)", root, v->root->number, v->root->content);
	judgement_add(&j, "root", what);
}

/* Features that GRUB 2 refuses ("unknown filesystem"), checked with 2.06. */
static void judge_grub_features(struct judgement *j, const struct fs_info *info, unsigned number)
{
	static const char *const unknown[] = {"inline_data", "ea_inode", "casefold"};

	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		if (strlist_has(&info->features, unknown[i]))
			judge(j, VERIFY_FAIL, "GRUB cannot read volume %u: feature %s", number, unknown[i]);
}

static void judge_kernel_features(struct judgement *j, const struct fs_info *info, unsigned number)
{
	for (const struct fs_feature *f = fs_feature_since; f->name; f++) {
		if (!strlist_has(&info->features, f->name))
			continue;
		if (kernel_older(j->v, f->major, f->minor, 0))
			judge(j, VERIFY_FAIL, "volume %u has the feature %s, which Linux knows from %u.%u; %s boots", number, f->name, f->major,
			      f->minor, j->v->kernel.release);
		else if (f->option && kernel_config(j->v, f->option) == 'n')
			judge(j, VERIFY_FAIL, "volume %u has the feature %s, which %s does not mount: it was built without CONFIG_%s", number, f->name,
			      j->v->kernel.release, f->option);
	}
}

static void judge_state(struct judgement *j, const struct fs_info *info, unsigned number, bool for_grub)
{
	if (info->has_errors)
		judge(j, VERIFY_FAIL, "volume %u is marked as having errors: run e2fsck", number);
	if (info->needs_recovery)
		judge(j, VERIFY_WARN, "volume %u has a journal to replay%s", number,
		      for_grub ? ", which GRUB does not do" : "");
	if (info->not_clean)
		judge(j, VERIFY_WARN, "volume %u was not unmounted cleanly", number);
}

void step_file_system(struct verify *v)
{
	const struct fs_info *root = fs_info(v->guest->fs);
	const struct grub_view *grub = v->boot.fs ? &v->boot : &v->grub;
	struct judgement j = {.v = v};
	bool shared = !grub->fs || grub->volume->number == v->root->number;

	judge_state(&j, root, v->root->number, shared);
	judge_kernel_features(&j, root, v->root->number);
	if (shared) {
		judge_grub_features(&j, root, v->root->number);
	} else {
		judge_state(&j, fs_info(grub->fs), grub->volume->number, true);
		judge_kernel_features(&j, fs_info(grub->fs), grub->volume->number);
		judge_grub_features(&j, fs_info(grub->fs), grub->volume->number);
	}
	judge(&j, VERIFY_PASS, "%s %s, clean", root->type, root->uuid);
	judgement_add(&j, "file-system", "state and features of the file systems");
}
