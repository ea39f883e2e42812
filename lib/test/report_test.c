#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "base/run.h"
#include "base/escape.h"
#include "report/report.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
/* A list that lives as long as the program. */
#define WORDS(...)                                                       \
	({                                                               \
		static const char *const words_[] = {__VA_ARGS__};       \
		(struct strlist){.item = (char **)words_, .len = ARRAY_LEN(words_)}; \
	})
#define GIB (1024ull * 1024 * 1024)
#define MIB (1024ull * 1024)
#define RELEASE "6.1.0-18-cloud-amd64"

/* --- an old Debian on a whole disk, a new one as its donor ----------------------------------------------------------- */

static const char fstab_old[] = "proc /proc proc defaults 0 0\n/dev/sda1 / ext3 errors=remount-ro 0 1\n/dev/sda2 /mnt ext3 defaults 0 2\n";
static const char fstab_mid[] = "proc /proc proc defaults 0 0\nUUID=11 / ext3 errors=remount-ro 0 1\n/dev/sda2 /mnt ext3 defaults 0 2\n";
static const char fstab_new[] = "proc /proc proc defaults 0 0\nUUID=11 / ext3 errors=remount-ro 0 1\n/dev/sda2 /mnt ext3 nofail 0 0\n";
static const char grub_cfg[] = "set timeout=3\n";
static const char rules_net[] = "SUBSYSTEM==\"net\", NAME=\"eth0\"\n";

struct sample {
	struct facts facts;
	struct plan plan;
	struct verify_report before, after;
	struct fs_space space_after;
	uint64_t changed;
	struct strlist warnings;
	struct report_input in;
	struct volume volume[3];
	struct facts_kernel kernel[2], donor_kernel;
	struct facts_file file[4];
	struct action action[10];
	struct finding finding[4];
	struct verify_step before_step[3], after_step[3];
};

static void fill_facts(struct sample *s)
{
	struct facts *f = &s->facts;

	s->volume[0] = (struct volume){.len = 10 * GIB, .content = "ext3", .uuid = "11", .label = "old\x01root"};
	s->kernel[0] = (struct facts_kernel){.release = "2.6.32-5-xen-amd64", .image = "/boot/vmlinuz-2.6.32-5-xen-amd64", .config = "",
		.system_map = "", .initrd = "", .modules = "/lib/modules/2.6.32-5-xen-amd64", .is_64bit = true,
		.why_not = "an ELF image without boot header: boots paravirtual only"};
	s->kernel[1] = (struct facts_kernel){.release = "2.6.32-5-amd64", .image = "/boot/vmlinuz-2.6.32-5-amd64", .config = "",
		.system_map = "", .initrd = "/boot/initrd.img-2.6.32-5-amd64", .modules = "/lib/modules/2.6.32-5-amd64", .is_64bit = true, .hvm = true};
	s->donor_kernel = (struct facts_kernel){.release = RELEASE, .image = "/boot/vmlinuz-" RELEASE, .config = "", .system_map = "",
		.initrd = "/boot/initrd.img-" RELEASE, .modules = "/usr/lib/modules/" RELEASE, .is_64bit = true, .hvm = true};
	/* sorted by path, as facts are */
	s->file[0] = (struct facts_file){.path = "/boot/grub/menu.lst", .target = "", .text = "default 0\n", .len = 10, .mode = 0644};
	s->file[1] = (struct facts_file){.path = "/etc/fstab", .target = "", .text = fstab_old, .len = sizeof(fstab_old) - 1, .mode = 0644};
	s->file[2] = (struct facts_file){.path = "/etc/rc2.d/S20xen", .is_link = true, .target = "../init.d/xen", .text = ""};
	s->file[3] = (struct facts_file){.path = "/etc/udev/rules.d/70-persistent-net.rules", .target = "", .text = rules_net,
		.len = sizeof(rules_net) - 1, .mode = 0644};
	*f = (struct facts){.source = "squeeze.img", .format = "raw", .disk_size = 10 * GIB,
		.volumes = {.table = TABLE_NONE, .sector_size = 512, .item = s->volume, .len = 1},
		.root_volume = s->volume, .boot_volume = s->volume, .root_subvolume = "", .root_uuid = "11", .root_label = "old\x01root", .root_type = "ext3", .boot_uuid = "11", .boot_prefix = "/boot/grub",
		.boot_path = "/boot", .space = {4096, 2621440, 1000000, 655360, 600000}, .boot_space = {4096, 2621440, 1000000, 655360, 600000},
		.block_size = 4096, .features = WORDS("has_journal", "ext_attr"), .unmounted = WORDS("/data on 3 (xfs)"), .os_id = "debian",
		.os_version = "6.0", .os_name = "Debian GNU/Linux 6.0", .init = INIT_SYSVINIT, .init_path = "/sbin/init", .bits = 64,
		.file = s->file, .files = 4, .kernels = {s->kernel, 2}, .boot = {.sector0 = "empty"}};
	f->donor = (struct facts_donor){.given = true, .name = "bookworm.qcow2", .os_name = "Debian GNU/Linux 12", .kernels = {&s->donor_kernel, 1},
		.chosen = s->donor_kernel, .boot = {.files = 4, .bytes = 40 * MIB}, .modules = {.files = 3996, .directories = 300, .links = 2, .bytes = 60 * MIB},
		.initramfs = {.read = true, .error = "", .kind = "initramfs-tools", .missing = {[2] = WORDS("virtio_blk")}}, .config = ""};
	f->host = (struct facts_host){.grub_version = "2.06-13+deb12u1", .platform_dir = "/usr/lib/grub/i386-pc",
		.platform = WORDS("ext2.mod", "normal.mod", "modinfo.sh"), .core_len = 50 * 512};
}

static void fill_actions(struct sample *s)
{
	static const char net[] = "/etc/udev/rules.d/70-persistent-net.rules";
	struct action *a = s->action;

#define TEXT(old, new) .before = old, .before_len = sizeof(old) - 1, .after = new, .after_len = sizeof(new) - 1
	a[0] = (struct action){.kind = ACTION_TABLE, .rule = "layout", .reason = "a BIOS needs a boot sector", .path = "", .before = "", .after = "",
		.table_id = 0x1234abcd, .start = MIB, .len = 10 * GIB};
	a[1] = (struct action){.kind = ACTION_TREE, .rule = "donor-kernel", .reason = "kernel and modules", .path = "/lib/modules/" RELEASE,
		.before = "", .after = "", .files = 4000, .bytes = 100 * MIB};
	a[2] = (struct action){.kind = ACTION_FILE, .rule = "fstab-root", .reason = "root by UUID", .path = "/etc/fstab", .existed = true,
		TEXT(fstab_old, fstab_mid), .mode = 0644};
	a[3] = (struct action){.kind = ACTION_FILE, .rule = "fstab-missing", .reason = "not there on HVM", .path = "/etc/fstab", .existed = true,
		TEXT(fstab_mid, fstab_new), .mode = 0644};
	a[4] = (struct action){.kind = ACTION_FILE, .rule = "grub-cfg", .reason = "the boot menu", .path = "/boot/grub/grub.cfg",
		TEXT("", grub_cfg), .mode = 0600};
	a[5] = (struct action){.kind = ACTION_REMOVE, .rule = "persistent-net", .severity = SEVERITY_NETWORK, .reason = "binds eth0 to the old card",
		.path = net, .existed = true, TEXT(rules_net, "")};
	a[6] = (struct action){.kind = ACTION_REMOVE, .rule = "xen-tools", .severity = SEVERITY_DEGRADED, .reason = "no Xen there",
		.path = "/etc/rc2.d/S20xen", .existed = true, .before = "../init.d/xen", .before_len = 13, .after = ""};
	a[7] = (struct action){.kind = ACTION_LINK, .rule = "getty-systemd", .severity = SEVERITY_LOGIN, .reason = "a login on ttyS0",
		.path = "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", TEXT("", "/lib/systemd/system/serial-getty@.service")};
	a[8] = (struct action){.kind = ACTION_BOOT_LOADER, .rule = "boot-loader", .reason = "GRUB 2", .path = "", .before = "", .after = "",
		.place = PLACE_GAP, .place_off = 512, .place_len = MIB - 512};
#undef TEXT
	s->plan.action = a;
	s->plan.actions = 9;
}

static void fill_plan(struct sample *s)
{
	fill_actions(s);
	s->finding[0] = (struct finding){"boot-links", SEVERITY_INFO, false, "/vmlinuz", "points to the old kernel", "nothing: nobody reads it"};
	s->finding[1] = (struct finding){"persistent-net", SEVERITY_NETWORK, false, "/etc/udev/rules.d/70-persistent-net.rules line 1: eth0",
		"a rule names the old card", "the file is removed"};
	s->finding[2] = (struct finding){"initramfs-drivers", SEVERITY_BOOT, false, "initrd.img-" RELEASE, "has no driver for kvm", "use another donor"};
	s->finding[3] = (struct finding){"fstab-missing", SEVERITY_BOOT, false, "/etc/fstab line 3: /dev/sda2\x1b[31m\xff\nforged: line",
		"the device will not be there", "the line gets nofail"};
	s->plan.finding = s->finding;
	s->plan.findings = 4;
	s->plan.layout = P2H_LAYOUT_PARTITION;
	s->plan.layout_reason = "a new output";
	s->plan.shift = MIB;
	s->plan.kernel = RELEASE;
	s->plan.cmdline = "root=UUID=11 ro quiet console=ttyS0,115200n8";
	s->plan.cmdline_before = "root=/dev/sda1 ro quiet console=hvc0";
	s->plan.kept = WORDS("quiet");
	s->plan.dropped = WORDS("console=hvc0", "xencons=tty");
	s->plan.blocked_by = "";
	s->plan.blocks_needed = 26000;
	s->plan.inodes_needed = 4321;
}

static void fill_verification(struct sample *s)
{
	s->before_step[0] = (struct verify_step){"boot-sector", "the first sector", VERIFY_FAIL, (char *)"sector 0 is empty"};
	s->before_step[1] = (struct verify_step){"core-image", "GRUB's core image", VERIFY_SKIP, (char *)"not judged: no boot sector"};
	s->before = (struct verify_report){s->before_step, 2, false, (char *)"2.6.32-5-xen-amd64", (char *)"root=/dev/sda1 ro", (char *)"11"};
	s->after_step[0] = (struct verify_step){"boot-sector", "the first sector", VERIFY_PASS, (char *)"boot.img of GRUB"};
	s->after_step[1] = (struct verify_step){"fstab", "mounts at boot", VERIFY_WARN, (char *)"line 3 is left out"};
	s->after_step[2] = (struct verify_step){"console", "a login", VERIFY_PASS, (char *)"ttyS0"};
	s->after = (struct verify_report){s->after_step, 3, true, (char *)RELEASE, (char *)"root=UUID=11 ro", (char *)"11"};
}

static void fill(struct sample *s)
{
	*s = (struct sample){0};
	fill_facts(s);
	fill_plan(s);
	fill_verification(s);
	s->space_after = (struct fs_space){4096, 2621440, 974000, 655360, 595679};
	s->changed = 110 * MIB;
	s->warnings = WORDS("UUID 11 is mounted on this host");
	s->in = (struct report_input){.verb = "convert", .source = "squeeze.img", .output = "squeeze-hvm.img", .facts = &s->facts, .plan = &s->plan,
		.before = &s->before, .after = &s->after, .space_after = &s->space_after, .changed_bytes = &s->changed,
		.targets = TARGET_XEN_HVM | TARGET_NITRO, .outcome = P2H_OUTCOME_READY, .dry_run = true, .output_format = "raw", .warnings = &s->warnings};
}

/* --- looking at reports ----------------------------------------------------------------------------------------------- */

static char *text_of(const struct sample *s)
{
	struct buf b = {0};
	struct p2h_error err = {0};

	assert_int_equal(report_text(&s->in, &b, &err), 0);
	return buf_take(&b);
}

static json_t *json_of(const struct sample *s)
{
	CLEANUP(buf_done) struct buf b = {0};
	struct p2h_error err = {0};
	json_error_t where;
	json_t *root;

	assert_int_equal(report_json(&s->in, &b, &err), 0);
	root = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		fail_msg("line %d: %s", where.line, where.text);
	return root;
}

/* The texts occur, each behind the one before. */
static void assert_in_order(const char *text, const char *const *want, size_t n)
{
	const char *at = text;

	for (size_t i = 0; i < n; i++) {
		const char *found = strstr(at, want[i]);

		if (!found)
			fail_msg("\"%s\" is missing%s in:\n%s", want[i], strstr(text, want[i]) ? " at its place" : "", text);
		at = found + strlen(want[i]);
	}
}
#define ASSERT_IN_ORDER(text, ...) \
	assert_in_order(text, (const char *const[]){__VA_ARGS__}, ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

/* "plan.actions.0.kind" */
static json_t *member(json_t *at, const char *path)
{
	CLEANUP(strlist_done) struct strlist words = {0};

	strlist_split(&words, path, ".");
	for (size_t i = 0; i < words.len && at; i++)
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(words.item[i])) : json_object_get(at, words.item[i]);
	return at;
}

struct expected {
	const char *path, *text; /* numbers and booleans as text, NULL: absent */
};

static void assert_members(json_t *root, const struct expected *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *value = member(root, want[i].path);
		CLEANUP_FREE char *got = NULL;

		if (json_is_string(value))
			got = strdup(json_string_value(value));
		else if (value)
			got = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
		if (!got != !want[i].text || (got && strcmp(got, want[i].text)))
			fail_msg("%s is %s", want[i].path, got ? got : "absent");
	}
}

/* --- tests ------------------------------------------------------------------------------------------------------------ */

static void test_text_has_all_parts_in_order(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	text = text_of(&s);
	ASSERT_IN_ORDER(text,
		"squeeze.img: Debian GNU/Linux 6.0, kernel " RELEASE " of bookworm.qcow2 (Debian GNU/Linux 12), for xen-hvm, nitro: ready, nothing was written (dry run)\n",
		"output: squeeze-hvm.img (raw)\n",
		"warning: UUID 11 is mounted on this host\n",
		"\nFindings: 4, none blocks\n",
		"  [boot] initramfs-drivers: has no driver for kvm\n      seen: initrd.img-" RELEASE "\n      do: use another donor\n",
		"  [boot] fstab-missing: the device will not be there\n      seen: /etc/fstab line 3: /dev/sda2", "      changes: /etc/fstab\n",
		"  [network] persistent-net: a rule names the old card\n",
		"      changes: /etc/udev/rules.d/70-persistent-net.rules\n",
		"  [info] boot-links:",
		"\nDisk layout, in sectors of 512 bytes\n",
		"  before  20971520 sectors, 10.0 GiB (10737418240 bytes), no partition table\n",
		"          whole disk  sectors 0-20971519 (10.0 GiB), ext3 UUID=11 LABEL=old\\x01root\n",
		"  after   20973568 sectors, 10.0 GiB (10738466816 bytes), MBR partition table 0x1234abcd\n",
		"          partition 1  sectors 2048-20973567 (10.0 GiB), type 83, active, ext3 UUID=11 LABEL=old\\x01root\n",
		"  layout  partition: a new output\n",
		"  moved   everything by 2048 sectors\n",
		"\nBoot path\n",
		"  before  boot sector  empty\n",
		"          kernel       2.6.32-5-xen-amd64\n",
		"          command line root=/dev/sda1 ro quiet console=hvc0\n",
		"          boots as HVM no: boot-sector: sector 0 is empty\n",
		"  after   boot loader  GRUB 2.06-13+deb12u1, gap before the first partition, sectors 1-2047 (boot-loader)\n",
		"          platform     /boot/grub/i386-pc, 3 files\n",
		"          kernel       " RELEASE "\n",
		"          command line root=UUID=11 ro quiet console=ttyS0,115200n8\n",
		"          kept         quiet\n",
		"          dropped      console=hvc0 xencons=tty\n",
		"\nChanged files: 5\n",
		"# grub-cfg: the boot menu (boot)\n# new file, mode 0600\n--- /dev/null\n+++ b/boot/grub/grub.cfg\n@@ -0,0 +1 @@\n+set timeout=3\n",
		"# fstab-root: root by UUID (boot)\n# fstab-missing: not there on HVM (boot)\n--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1,3 +1,3 @@\n",
		"-/dev/sda1 / ext3 errors=remount-ro 0 1\n-/dev/sda2 /mnt ext3 defaults 0 2\n+UUID=11 / ext3 errors=remount-ro 0 1\n+/dev/sda2 /mnt ext3 nofail 0 0\n",
		"removed link /etc/rc2.d/S20xen -> ../init.d/xen\n",
		"new link /etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service -> /lib/systemd/system/serial-getty@.service\n",
		"--- a/etc/udev/rules.d/70-persistent-net.rules\n+++ /dev/null\n",
		"\nKernel tree\n  " RELEASE " from bookworm.qcow2: 4000 files, 100.0 MiB (104857600 bytes), into /boot and /lib/modules/" RELEASE "\n",
		"\nSpace in the root file system, in blocks of 4096 bytes\n  before  1000000 of 2621440 blocks free (3.8 GiB), 600000 of 655360 inodes free\n",
		"  needed  26000 blocks (101.5 MiB), 4321 inodes\n",
		"  after   974000 of 2621440 blocks free (3.7 GiB), 595679 of 655360 inodes free\n",
		"  changed 110.0 MiB (115343360 bytes) of the disk differ from the source\n",
		"\nLeft alone on purpose\n",
		"  kernel 2.6.32-5-xen-amd64 stays, but not in the menu: an ELF image without boot header: boots paravirtual only\n",
		"  kernel 2.6.32-5-amd64 stays, and can be chosen in the menu\n",
		"  /boot/grub/menu.lst stays: GRUB 2 does not read it\n",
		"  /data on 3 (xfs): cannot be read here\n",
		"  boot-links: /vmlinuz\n",
		"\nVerification of the result\n",
		"  [pass] boot-sector  the first sector: boot.img of GRUB\n  [warn] fstab        mounts at boot: line 3 is left out\n  [pass] console      a login: ttyS0\n",
		"verdict: boots as HVM on xen-hvm, nitro\n");
	assert_null(strstr(text, "defaults 0 2\n+/dev/sda2 /mnt ext3 defaults")); /* one diff a path, not one an action */
}

static void test_text_of_a_refusal(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	s.finding[1].blocks = true;
	s.finding[2].blocks = false;
	s.finding[3].blocks = true; /* behind [2] in the plan, before it in the report */
	s.plan.blocked = true;
	s.plan.blocked_by = "persistent-net: it blocks";
	s.in.outcome = P2H_OUTCOME_REFUSED;
	s.in.after = NULL;
	s.in.space_after = NULL;
	s.in.changed_bytes = NULL;
	text = text_of(&s);
	ASSERT_IN_ORDER(text, ": refused, nothing was written\nblocked by persistent-net: it blocks\n", "\nFindings: 4, 2 block\n",
		"  [boot, BLOCKS] fstab-missing", "  [boot] initramfs-drivers", "  [network, BLOCKS] persistent-net", "  [info] boot-links");
	assert_null(strstr(text, "Verification"));
	assert_null(strstr(text, "  changed"));
}

static void test_text_of_an_unfit_result(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	s.after_step[2].result = VERIFY_FAIL;
	s.after.passed = false;
	s.in.outcome = P2H_OUTCOME_UNFIT;
	text = text_of(&s);
	ASSERT_IN_ORDER(text, ": the result would not boot, nothing was written\nfails at console: ttyS0\n", "  [FAIL] console      a login: ttyS0\n",
		"verdict: would not boot: console: ttyS0\n");
}

static void test_text_of_nothing_to_do(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	s.before = s.after;
	s.in.plan = NULL;
	s.in.after = NULL;
	s.in.output = "";
	s.in.outcome = P2H_OUTCOME_NOTHING;
	text = text_of(&s);
	ASSERT_IN_ORDER(text, "for xen-hvm, nitro: boots as HVM already, nothing to do\n", "\nVerification of the image as it is\n", "verdict: boots as HVM");
	assert_null(strstr(text, "Findings"));
	assert_null(strstr(text, "output:"));
}

static void test_boot_places(void **state)
{
	static const struct {
		enum boot_place place;
		const char *want;
	} rows[] = {
		{PLACE_GAP, "gap before the first partition, sectors 1-2047 ("},
		{PLACE_BIOS_BOOT, "BIOS boot partition, sectors 1-2047 ("},
		{PLACE_INODE5, "inode 5 of the root file system ("},
	};
	CLEANUP_FREE char *separate = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP_FREE char *text = NULL;

		s.action[8].place = rows[i].place;
		text = text_of(&s);
		ASSERT_IN_ORDER(text, "boot loader  GRUB 2.06-13+deb12u1, ", rows[i].want);
	}
	s.facts.boot_number = 2;
	separate = text_of(&s);
	ASSERT_IN_ORDER(separate, "boot loader  GRUB 2.06-13+deb12u1, inode 5 of the root file system (", "  /boot   1000000 of 2621440 blocks free");
}

/* Layouts flat and keep leave the disk as it is, other partitions are named as left alone. */
static void test_layouts_that_stay(void **state)
{
	struct sample s;
	CLEANUP_FREE char *flat = NULL, *keep = NULL;
	json_t *root;

	(void)state;
	fill(&s);
	s.plan.layout = P2H_LAYOUT_FLAT;
	s.plan.shift = 0;
	flat = text_of(&s);
	ASSERT_IN_ORDER(flat, "  after   20971520 sectors, 10.0 GiB (10737418240 bytes), no partition table\n          whole disk  sectors 0-20971519", "  layout  flat");
	assert_null(strstr(flat, "  moved"));
	root = json_of(&s);
	assert_int_equal(json_array_size(member(root, "layout_after.partitions")), 0);
	json_decref(root);

	s.volume[0] = (struct volume){.len = 10 * GIB};
	s.volume[1] = (struct volume){.number = 1, .off = MIB, .len = GIB, .active = true, .type = "83", .content = "ext3", .uuid = "11"};
	s.volume[2] = (struct volume){.number = 2, .off = 2 * GIB, .len = GIB, .type = "82", .content = "swap"};
	s.facts.volumes = (struct volumes){.table = TABLE_MBR, .table_id = "0x00000001", .sector_size = 512, .item = s.volume, .len = 3};
	s.facts.root_number = s.facts.boot_number = 1;
	s.plan.layout = P2H_LAYOUT_KEEP;
	keep = text_of(&s);
	ASSERT_IN_ORDER(keep, "  before  20971520 sectors", "MBR partition table 0x00000001\n", "  after   20971520 sectors", "MBR partition table 0x00000001\n",
		"partition 1  sectors 2048-2099199 (1.0 GiB), type 83, active, ext3 UUID=11\n", "partition 2  sectors 4194304-6291455 (1.0 GiB), type 82, swap\n",
		"Left alone on purpose\n", "  partition 2 (swap)\n");
	root = json_of(&s);
	assert_members(root, (const struct expected[]){{"layout_after.table", "mbr"}, {"layout_after.table_id", "0x00000001"},
		{"layout_after.partitions.1.start_sector", "4194304"}, {"layout_after.partitions.2", NULL}, {"source.root", "1"}}, 5);
	json_decref(root);
}

static void test_text_of_inspect(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	s.in.verb = "inspect";
	s.in.plan = NULL;
	s.in.after = NULL;
	s.in.outcome = P2H_OUTCOME_OPEN;
	text = text_of(&s);
	ASSERT_IN_ORDER(text, "squeeze.img\n", "\nDisk\n  raw     20971520 sectors", "\nSystem\n  name         Debian GNU/Linux 6.0\n  id           debian 6.0\n"
		"  init         sysvinit, /sbin/init, 64-bit\n", "\nRoot file system\n  place        the whole disk\n  type         ext3\n", "  state        clean\n",
		"  features     has_journal ext_attr\n", "  not read     /data on 3 (xfs)\n", "\nKernels\n",
		"  2.6.32-5-xen-amd64, 64-bit, /boot/vmlinuz-2.6.32-5-xen-amd64: cannot boot as HVM: an ELF image", "  2.6.32-5-amd64, 64-bit, /boot/vmlinuz-2.6.32-5-amd64: can boot as HVM\n",
		"\nBoot loader\n  boot sector  empty\n", "\nDonor\n  name         bookworm.qcow2\n", "  kernel       " RELEASE ", 4000 files, 100.0 MiB\n",
		"\nWould it boot as HVM?\n", "verdict: would not boot: boot-sector: sector 0 is empty\n");
	assert_null(strstr(text, "Findings"));
}

static void test_text_of_verify(void **state)
{
	CLEANUP_FREE char *bad = NULL, *good = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	s.in = (struct report_input){.verb = "verify", .source = "x.img", .before = &s.before, .targets = TARGET_KVM};
	bad = text_of(&s);
	assert_string_equal(bad, "  [FAIL] boot-sector  the first sector: sector 0 is empty\n"
		"  [skip] core-image   GRUB's core image: not judged: no boot sector\nverdict: would not boot: boot-sector: sector 0 is empty\n");
	s.in.before = NULL;
	s.in.after = &s.after; /* either will do: there is only one image */
	good = text_of(&s);
	ASSERT_IN_ORDER(good, "  [pass] boot-sector  the first sector: boot.img of GRUB\n", "verdict: boots as HVM on kvm\n");
	assert_string_equal(strrchr(good, '\n'), "\n");
}

static void test_escape(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *want;
	} rows[] = {
		{"plain\ttext\\", 11, "plain\ttext\\"},
		{"a\nb\r", 4, "a\\x0Ab\\x0D"},
		{"\0x", 2, "\\x00x"},
		{"\x1b[0m\x7f", 5, "\\x1B[0m\\x7F"},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7", 15, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7"},
		{"\xfc", 1, "\\xFC"},
		{"\xc3", 1, "\\xC3"},                             /* cut short */
		{"\xc0\xaf\xe0\x80\xaf", 5, "\\xC0\\xAF\\xE0\\x80\\xAF"}, /* overlong */
		{"\xed\xa0\x80", 3, "\\xED\\xA0\\x80"},           /* a surrogate */
		{"\xf4\x90\x80\x80", 4, "\\xF4\\x90\\x80\\x80"},  /* past U+10FFFF */
		{"\xc2\x9b", 2, "\\xC2\\x9B"},                    /* a terminal's CSI in one character */
		{"\xe2\x80\xae", 3, "\\xE2\\x80\\xAE"},           /* right-to-left override */
		{"\xe2\x80\xa8", 3, "\\xE2\\x80\\xA8"},           /* line separator */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_done) struct buf b = {0};

		escape_append(&b, rows[i].text, rows[i].len);
		assert_string_equal(b.data, rows[i].want);
	}
}

/* Nothing of a guest starts a line of its own or reaches the terminal, in whatever member it sits. */
static void test_hostile_strings(void **state)
{
	static char evil[] = "x\ny\x1b]0;\xff";
	CLEANUP_FREE char *text = NULL, *image = NULL;
	struct sample s;
	json_t *root;

	(void)state;
	fill(&s);
	s.facts.os_name = s.facts.os_id = s.facts.os_version = s.facts.init_path = s.facts.root_uuid = s.facts.root_type = evil;
	s.facts.boot.sector0 = s.facts.donor.name = s.facts.donor.os_name = s.facts.source = s.in.source = s.in.output = evil;
	s.plan.cmdline_before = s.plan.cmdline = s.plan.kernel = s.plan.layout_reason = evil;
	s.plan.kept = s.plan.dropped = s.facts.unmounted = s.facts.features = s.warnings = WORDS(evil, evil);
	s.kernel[0].release = s.kernel[0].image = s.kernel[0].why_not = evil;
	s.facts.donor.chosen.release = evil;
	s.finding[0].text = s.finding[0].advice = s.finding[0].evidence = evil;
	s.after_step[0].evidence = s.before_step[0].evidence = s.before.kernel = evil;
	s.action[2].reason = s.action[4].path = s.action[6].path = s.action[7].path = s.action[7].after = evil;
	snprintf(s.volume[0].label, sizeof(s.volume[0].label), "%s", evil);
	text = text_of(&s);
	s.in.verb = "inspect";
	image = text_of(&s);
	for (const char *p = text; *p; p++)
		assert_true(*p == '\n' || *p == '\t' || (*p >= ' ' && *p < 0x7f));
	for (const char *p = image; *p; p++)
		assert_true(*p == '\n' || *p == '\t' || (*p >= ' ' && *p < 0x7f));
	assert_null(strstr(text, "\ny"));
	assert_null(strstr(image, "\ny"));
	root = json_of(&s);
	assert_members(root, (const struct expected[]){{"guest.os.name", "x\\x0Ay\\x1B]0;\\xFF"}, {"plan.actions.7.target", "x\\x0Ay\\x1B]0;\\xFF"}}, 2);
	json_decref(root);
}

static void test_json_members(void **state)
{
	static const struct expected want[] = {
		{"schema_version", "1"}, {"program.name", "pv2hvm"}, {"verb", "convert"}, {"verdict", "ready"}, {"dry_run", "true"},
		{"targets", "[\"xen-hvm\",\"nitro\"]"}, {"warnings.0", "UUID 11 is mounted on this host"},
		{"source.name", "squeeze.img"}, {"source.format", "raw"}, {"source.size", "10737418240"}, {"source.table", "none"},
		{"source.volumes.0.sectors", "20971520"}, {"source.volumes.0.label", "old\\x01root"}, {"source.root", "0"},
		{"guest.os.id", "debian"}, {"guest.init", "sysvinit"}, {"guest.bits", "64"}, {"guest.file_system.features", "[\"has_journal\",\"ext_attr\"]"},
		{"guest.kernels.0.hvm", "false"}, {"guest.kernels.0.why_not", "an ELF image without boot header: boots paravirtual only"},
		{"guest.kernels.1.why_not", ""}, {"guest.boot_loader.boot_sector", "empty"},
		{"donor.kernel.release", RELEASE}, {"donor.tree.files", "4000"}, {"donor.tree.present", "false"}, {"donor.initramfs.kind", "initramfs-tools"},
		{"donor.initramfs.missing", "{\"kvm\":[\"virtio_blk\"],\"nitro\":[],\"xen-hvm\":[]}"}, {"host.platform_files", "3"},
		{"findings.3.rule", "fstab-missing"}, {"findings.3.severity", "boot"}, {"findings.3.blocks", "false"},
		{"findings.3.evidence", "/etc/fstab line 3: /dev/sda2\\x1B[31m\\xFF\\x0Aforged: line"},
		{"plan.layout", "partition"}, {"plan.shift", "1048576"}, {"plan.dropped", "[\"console=hvc0\",\"xencons=tty\"]"}, {"plan.needed.blocks", "26000"},
		{"plan.actions.0", "{\"kind\":\"table\",\"path\":\"\",\"reason\":\"a BIOS needs a boot sector\",\"rule\":\"layout\",\"sectors\":20971520,"
				   "\"severity\":\"boot\",\"start_sector\":2048,\"table_id\":\"0x1234abcd\"}"},
		{"plan.actions.1.files", "4000"}, {"plan.actions.2.existed", "true"}, {"plan.actions.2.mode", NULL},
		{"plan.actions.3.diff", "--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1,3 +1,3 @@\n proc /proc proc defaults 0 0\n UUID=11 / ext3 errors=remount-ro 0 1\n"
					"-/dev/sda2 /mnt ext3 defaults 0 2\n+/dev/sda2 /mnt ext3 nofail 0 0\n"},
		{"plan.actions.4.mode", "0600"}, {"plan.actions.4.existed", "false"}, {"plan.actions.5.kind", "remove"},
		{"plan.actions.6.target_before", "../init.d/xen"}, {"plan.actions.6.diff", NULL}, {"plan.actions.7.target", "/lib/systemd/system/serial-getty@.service"},
		{"plan.actions.8.place", "gap"}, {"plan.actions.8.start_sector", "1"}, {"plan.actions.8.sectors", "2047"}, {"plan.actions.9", NULL},
		{"layout_after.table", "mbr"}, {"layout_after.table_id", "0x1234abcd"}, {"layout_after.size", "10738466816"},
		{"layout_after.partitions.0.start_sector", "2048"}, {"layout_after.partitions.0.sectors", "20971520"}, {"layout_after.partitions.0.active", "true"},
		{"layout_after.partitions.0.type", "83"}, {"layout_after.partitions.0.part_uuid", "1234abcd-01"}, {"layout_after.partitions.1", NULL},
		{"output", "{\"format\":\"raw\",\"in_place\":false,\"name\":\"squeeze-hvm.img\"}"}, {"space.before.blocks_free", "1000000"},
		{"space.after.blocks_free", "974000"}, {"changed_bytes", "115343360"}, {"verify.before.passed", "false"},
		{"verify.before.steps.1.result", "skip"}, {"verify.after.kernel", RELEASE}, {"verify.after.steps.1.result", "warn"},
		{"verify.after.steps.1.id", "fstab"},
	};
	struct sample s;
	json_t *root;

	(void)state;
	fill(&s);
	root = json_of(&s);
	assert_members(root, want, ARRAY_LEN(want));
	assert_true(strlen(json_string_value(member(root, "program.version"))) > 0);
	json_decref(root);
}

static void add_disk(struct sample *s, struct report_disk *disk, const uint64_t *changed)
{
	static struct facts_mount mount[] = {{"/", 0}, {"/data", VOLUME_FURTHER}};

	*disk = (struct report_disk){.name = "da\nta.qcow2", .device = "/dev/xvdf", .format = "qcow2", .size = 1 << 20, .output = "data-hvm.qcow2",
				     .output_format = "qcow2", .changed_bytes = changed};
	s->in.disk = disk;
	s->in.disks = 1;
	s->volume[1] = (struct volume){.number = VOLUME_FURTHER, .disk = 1, .device = "/dev/xvdf", .len = 1 << 20, .content = "ext4", .uuid = "22"};
	s->facts.volumes.len = 2;
	s->facts.mount = mount;
	s->facts.mounts = 2;
}

/* Beside the first disk's layout, which they are no part of; their volumes are in the list of all. */
static void test_further_disks(void **state)
{
	static const struct expected want[] = {
		{"disks.0.name", "da\\x0Ata.qcow2"}, {"disks.0.device", "/dev/xvdf"}, {"disks.0.size", "1048576"}, {"disks.0.output", "data-hvm.qcow2"},
		{"disks.0.changed_bytes", "4096"}, {"disks.1", NULL}, {"source.volumes.1.number", "2000"}, {"source.volumes.1.device", "/dev/xvdf"},
		{"source.mounts.1", "{\"path\":\"/data\",\"volume\":2000}"}, {"layout_after.partitions.1", NULL},
	};
	CLEANUP_FREE char *text = NULL, *image = NULL;
	const uint64_t changed = 4096;
	struct report_disk disk;
	struct sample s;
	json_t *root;

	(void)state;
	fill(&s);
	add_disk(&s, &disk, &changed);
	root = json_of(&s);
	assert_members(root, want, ARRAY_LEN(want));
	json_decref(root);
	text = text_of(&s);
	assert_non_null(strstr(text, "\n  /dev/xvdf  da\\x0Ata.qcow2, qcow2, 1.0 MiB (1048576 bytes); output: data-hvm.qcow2 (qcow2); changed: 4.0 KiB (4096 bytes)\n"
				     "          whole disk  sectors 0-2047 (1.0 MiB), ext4 UUID=22\n"));
	assert_non_null(strstr(text, "\n  /dev/xvdf (ext4)\n")); /* left alone */
	s.in.verb = "inspect";
	image = text_of(&s);
	assert_non_null(strstr(image, "\n  /data        /dev/xvdf, ext4 UUID=22\n"));
}

static void test_json_leaves_out_what_was_not_reached(void **state)
{
	static const char *const absent[] = {"guest", "donor", "host", "findings", "plan", "layout_after", "output", "space", "changed_bytes"};
	struct sample s;
	json_t *root;

	(void)state;
	fill(&s);
	s.in = (struct report_input){.verb = "verify", .source = "x.img", .output = "", .before = &s.before, .targets = TARGET_NITRO, .output_format = ""};
	root = json_of(&s);
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		assert_null(member(root, absent[i]));
	assert_members(root, (const struct expected[]){{"source", "{\"name\":\"x.img\"}"}, {"warnings", "[]"}, {"verdict", "unfit"}, {"verify.after", NULL}}, 4);
	json_decref(root);
	s.in.before = NULL;
	s.in.after = &s.after;
	root = json_of(&s);
	assert_members(root, (const struct expected[]){{"verdict", "nothing-to-do"}, {"verify.before.passed", "true"}, {"verify.after", NULL}}, 3);
	json_decref(root);
}

static void test_verdicts(void **state)
{
	static const struct {
		enum p2h_outcome outcome;
		const char *want;
	} rows[] = {
		{P2H_OUTCOME_OPEN, "open"},   {P2H_OUTCOME_NOTHING, "nothing-to-do"}, {P2H_OUTCOME_REFUSED, "refused"},
		{P2H_OUTCOME_UNFIT, "unfit"}, {P2H_OUTCOME_READY, "ready"},           {P2H_OUTCOME_DONE, "done"},
	};
	struct sample s;

	(void)state;
	fill(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *root;

		s.in.outcome = rows[i].outcome;
		root = json_of(&s);
		assert_string_equal(json_string_value(member(root, "verdict")), rows[i].want);
		json_decref(root);
	}
}

/* What several actions do to one path comes out as one change; what they undo does not come out at all. */
static void test_changes_of_one_path(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct sample s;

	(void)state;
	fill(&s);
	s.action[0] = (struct action){.kind = ACTION_FILE, .rule = "r", .reason = "made", .path = "/etc/a", .before = "", .after = "x\n", .after_len = 2, .mode = 0644};
	s.action[1] = (struct action){.kind = ACTION_REMOVE, .rule = "r", .reason = "dropped", .path = "/etc/a", .existed = true, .before = "x\n", .before_len = 2, .after = ""};
	/* a link takes the place of a file that the action does not carry */
	s.action[2] = (struct action){.kind = ACTION_LINK, .rule = "r", .reason = "link", .path = "/etc/fstab", .existed = true, .before = "", .after = "target", .after_len = 6};
	/* a link that gets another target */
	s.action[3] = (struct action){.kind = ACTION_LINK, .rule = "r", .reason = "link", .path = "/etc/rc2.d/S20xen", .existed = true, .before = "../init.d/xen",
		.before_len = 13, .after = "elsewhere", .after_len = 9};
	s.plan.actions = 4;
	text = text_of(&s);
	ASSERT_IN_ORDER(text, "\nChanged files: 2\n", "--- a/etc/fstab\n+++ /dev/null\n@@ -1,3 +0,0 @@\n", "new link /etc/fstab -> target\n",
		"link /etc/rc2.d/S20xen -> elsewhere (was -> ../init.d/xen)\n", "\nKernel tree\n  nothing to copy\n");
	assert_null(strstr(text, "/etc/a"));
}

static void test_kernel_tree_that_is_not_copied(void **state)
{
	static const struct {
		const char *release;
		bool from_guest, present;
		const char *want;
	} rows[] = {
		{"", false, false, ": no kernel fits\n"}, {"", true, false, ": no kernel fits\n"}, {RELEASE, true, false, ": the guest's own kernel boots\n"},
		{RELEASE, false, true, ": the guest has it already\n"}, {RELEASE, false, false, "\n"},
	};
	struct sample s;

	(void)state;
	fill(&s);
	s.action[1] = s.action[0];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP_FREE char *text = NULL;
		CLEANUP(buf_done) struct buf want = {0};

		s.facts.donor.chosen.release = rows[i].release;
		s.facts.donor.from_guest = rows[i].from_guest;
		s.facts.donor.boot.present = s.facts.donor.modules.present = rows[i].present;
		text = text_of(&s);
		buf_printf(&want, "\nKernel tree\n  nothing to copy%s", rows[i].want);
		assert_non_null(strstr(text, want.data));
	}
}

static void test_same_input_same_bytes(void **state)
{
	struct sample *one = malloc(sizeof(*one)), *two = malloc(sizeof(*two));
	CLEANUP(buf_done) struct buf a = {0}, b = {0};

	(void)state;
	assert_non_null(one);
	assert_non_null(two);
	fill(one);
	fill(two); /* the same content at other addresses */
	assert_int_equal(report_json(&one->in, &a, NULL), 0);
	assert_int_equal(report_json(&two->in, &b, NULL), 0);
	assert_int_equal(report_text(&one->in, &a, NULL), 0);
	assert_int_equal(report_text(&two->in, &b, NULL), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	free(one);
	free(two);
}

static void test_byte_counts(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} rows[] = {
		{0, " 0 bytes, into"},     {1023, " 1023 bytes, into"}, {1024, " 1.0 KiB (1024 bytes), into"}, {1536, " 1.5 KiB (1536 bytes), into"},
		{GIB - 1, " 1023.9 MiB (1073741823 bytes), into"}, {UINT64_MAX, " 15.9 EiB (18446744073709551615 bytes), into"},
	};
	struct sample s;

	(void)state;
	fill(&s);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP_FREE char *text = NULL;

		s.action[1].bytes = rows[i].bytes;
		text = text_of(&s);
		ASSERT_IN_ORDER(text, "Kernel tree\n", rows[i].want);
	}
}

static unsigned long allocations, fail_at;

static void *failing_malloc(size_t size)
{
	return ++allocations == fail_at ? NULL : malloc(size);
}

/* Whichever allocation of the JSON library fails, the report says so instead of leaving something out. */
static void test_no_memory(void **state)
{
	struct sample s;
	unsigned long all = 0;

	(void)state;
	fill(&s);
	json_set_alloc_funcs(failing_malloc, free);
	for (fail_at = allocations = 0;; fail_at += 1 + fail_at / 8) {
		CLEANUP(buf_done) struct buf b = {0};
		struct p2h_error err = {0};
		int rc;

		allocations = 0;
		rc = report_json(&s.in, &b, &err);
		if (!fail_at)
			all = allocations;
		assert_int_equal(rc, fail_at && fail_at <= all ? P2H_NOMEM : 0);
		assert_int_equal(err.code, rc);
		if (fail_at > all)
			break;
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(all > 500);
}

/* The schema as published, and a strict reading of it: no member that it does not describe. */
static const char validator[] =
	"import json, sys\n"
	"try:\n"
	"    import jsonschema\n"
	"except ImportError:\n"
	"    sys.exit(77)\n"
	"schema = json.load(open(sys.argv[1]))\n"
	"jsonschema.Draft7Validator.check_schema(schema)\n"
	"def walk(node):\n"
	"    if isinstance(node, dict):\n"
	"        if 'properties' in node:\n"
	"            node['additionalProperties'] = False\n"
	"            for name, p in node['properties'].items():\n"
	"                assert '$ref' in p or p.get('description'), name\n"
	"        for child in node.values():\n"
	"            walk(child)\n"
	"    elif isinstance(node, list):\n"
	"        for child in node:\n"
	"            walk(child)\n"
	"walk(schema)\n"
	"for name in sys.argv[2:]:\n"
	"    jsonschema.validate(json.load(open(name)), schema, cls=jsonschema.Draft7Validator)\n";

static void write_json(const struct sample *s, const char *path)
{
	CLEANUP(buf_done) struct buf b = {0};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(report_json(&s->in, &b, NULL), 0);
	assert_int_equal(fwrite(b.data, 1, b.len, f), b.len);
	assert_int_equal(fclose(f), 0);
}

static void test_schema(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char dir[512], full[600], verify[600], inspect[600], refused[600];
	const char *argv[] = {"python3", "-c", validator, P2H_SOURCE_DIR "/docs/report.schema.json", full, verify, inspect, refused, NULL};
	const uint64_t changed = 4096;
	struct p2h_error err = {0};
	struct report_disk disk;
	struct sample s;
	int rc, status = 0;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/report-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(full, sizeof(full), "%s/full", dir);
	snprintf(verify, sizeof(verify), "%s/verify", dir);
	snprintf(inspect, sizeof(inspect), "%s/inspect", dir);
	snprintf(refused, sizeof(refused), "%s/refused", dir);
	fill(&s);
	add_disk(&s, &disk, &changed);
	s.facts.boot_number = 2; /* then the report speaks of /boot's room too */
	write_json(&s, full);
	s.in.outcome = P2H_OUTCOME_REFUSED;
	s.in.after = NULL;
	s.in.in_place = true;
	s.plan.layout = P2H_LAYOUT_FLAT;
	s.action[8].place = PLACE_INODE5;
	write_json(&s, refused);
	s.in.verb = "inspect";
	s.in.plan = NULL;
	write_json(&s, inspect);
	s.in = (struct report_input){.verb = "verify", .source = "x.img", .before = &s.before};
	write_json(&s, verify);

	rc = run_program(argv, "python3", NULL, &status, &err);
	unlink(full);
	unlink(verify);
	unlink(inspect);
	unlink(refused);
	rmdir(dir);
	if (rc == P2H_TOOL || status == 77) {
		print_message("python3-jsonschema is not installed\n");
		skip();
	}
	assert_int_equal(rc, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_has_all_parts_in_order),
		cmocka_unit_test(test_text_of_a_refusal),
		cmocka_unit_test(test_text_of_an_unfit_result),
		cmocka_unit_test(test_text_of_nothing_to_do),
		cmocka_unit_test(test_boot_places),
		cmocka_unit_test(test_layouts_that_stay),
		cmocka_unit_test(test_text_of_inspect),
		cmocka_unit_test(test_text_of_verify),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_hostile_strings),
		cmocka_unit_test(test_json_members),
		cmocka_unit_test(test_further_disks),
		cmocka_unit_test(test_json_leaves_out_what_was_not_reached),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_changes_of_one_path),
		cmocka_unit_test(test_kernel_tree_that_is_not_copied),
		cmocka_unit_test(test_same_input_same_bytes),
		cmocka_unit_test(test_byte_counts),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
