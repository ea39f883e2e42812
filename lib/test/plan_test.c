/* plan_test.c - every rule: a fixture where it fires and one where it does not */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "support/planfixture.h"

#define DRIVERS PLANFIXTURE_DRIVERS
#define UUID PLANFIXTURE_UUID

/* ---- rules that edit one file: text before, text after (NULL: the rule stays silent) ---- */

struct edit_row {
	const char *name, *rule, *path, *before, *after;
	enum init_kind init;
	bool nofail;
};

static const struct edit_row edit_row[] = {
	{"root by kernel name", "fstab-root", "/etc/fstab", "# c\n/dev/xvda1\t/\text4  defaults 1 1\n", "# c\nUUID=" UUID "\t/\text4  defaults 1 1\n",
	 INIT_SYSTEMD, true},
	{"root by sda1", "fstab-root", "/etc/fstab", "/dev/sda1 / ext3 defaults 1 1", "UUID=" UUID " / ext3 defaults 1 1", INIT_SYSVINIT, true},
	{"root by a label that works", "fstab-root", "/etc/fstab", "LABEL=rootfs / ext4 defaults 1 1\n", NULL, INIT_SYSTEMD, true},
	{"root by a label that is not there", "fstab-root", "/etc/fstab", "LABEL=/ / ext4 defaults 1 1\n", "UUID=" UUID " / ext4 defaults 1 1\n",
	 INIT_SYSTEMD, true},
	{"root by UUID", "fstab-root", "/etc/fstab", "UUID=" UUID " / ext4 defaults 1 1\n", NULL, INIT_SYSTEMD, true},
	{"CRLF stays", "fstab-root", "/etc/fstab", "/dev/xvda1 / ext4 defaults 1 1\r\n", "UUID=" UUID " / ext4 defaults 1 1\r\n", INIT_SYSTEMD, true},
	{"instance store, systemd", "fstab-missing", "/etc/fstab", "/dev/xvdb /mnt auto defaults,nobootwait 0 2\n",
	 "/dev/xvdb /mnt auto defaults,nofail,x-systemd.device-timeout=10s 0 0\n", INIT_SYSTEMD, true},
	{"instance store, upstart", "fstab-missing", "/etc/fstab", "/dev/xvdb /mnt auto defaults 0 2\n",
	 "/dev/xvdb /mnt auto defaults,nobootwait 0 0\n", INIT_UPSTART, true},
	{"instance store, upstart, done already", "fstab-missing", "/etc/fstab", "/dev/xvdb /mnt auto defaults,nobootwait 0 0\n", NULL, INIT_UPSTART, true},
	{"instance store, sysvinit with nofail", "fstab-missing", "/etc/fstab", "/dev/sda2 /mnt ext3 defaults 0 2\n",
	 "/dev/sda2 /mnt ext3 defaults,nofail 0 0\n", INIT_SYSVINIT, true},
	{"instance store, sysvinit without", "fstab-missing", "/etc/fstab", "/dev/sda2 /mnt ext3 defaults 0 2\n",
	 "/dev/sda2 /mnt ext3 defaults,noauto 0 0\n", INIT_SYSVINIT, false},
	{"swap that is not there", "fstab-missing", "/etc/fstab", "/dev/sda3 swap swap sw 0 0\n",
	 "/dev/sda3 swap swap sw,nofail,x-systemd.device-timeout=10s 0 0\n", INIT_SYSTEMD, true},
	{"nofail already", "fstab-missing", "/etc/fstab", "/dev/sdb /mnt ext3 nofail 0 0\n", NULL, INIT_SYSTEMD, true},
	{"pseudo file systems", "fstab-missing", "/etc/fstab", "proc /proc proc defaults 0 0\nnone /dev/shm tmpfs defaults 0 0\n"
	 "/dev/shm /run/shm tmpfs defaults 0 0\nhost:/x /srv nfs defaults 0 0\n/srv /mnt none bind 0 0\n", NULL, INIT_SYSTEMD, true},
	{"getty on hvc0", "getty-inittab", "/etc/inittab", "1:2345:respawn:/sbin/getty 38400 tty1\nco:2345:respawn:/sbin/getty 38400 hvc0\n",
	 "1:2345:respawn:/sbin/getty 38400 tty1\nS0:2345:respawn:/sbin/getty -L 115200 ttyS0\n", INIT_SYSVINIT, true},
	{"getty on xvc0, no tty1", "getty-inittab", "/etc/inittab", "id:3:initdefault:\nco:2345:respawn:/sbin/agetty xvc0 9600 vt100-nav",
	 "id:3:initdefault:\nS0:2345:respawn:/sbin/agetty -L ttyS0 115200 vt100-nav\n1:2345:respawn:/sbin/agetty tty1 9600 vt100-nav\n", INIT_SYSVINIT, true},
	{"mingetty serves no serial line", "getty-inittab", "/etc/inittab", "1:2345:respawn:/sbin/mingetty tty1\nco:2345:respawn:/sbin/mingetty hvc0\n",
	 "1:2345:respawn:/sbin/mingetty tty1\nS0:2345:respawn:/sbin/agetty -L 115200 ttyS0\n", INIT_SYSVINIT, true},
	{"ttyS0 is served already", "getty-inittab", "/etc/inittab",
	 "1:23:respawn:/sbin/getty 38400 tty1\nT0:23:respawn:/sbin/getty -L ttyS0 9600\nx0:23:respawn:/sbin/getty 38400 hvc0\n",
	 "1:23:respawn:/sbin/getty 38400 tty1\nT0:23:respawn:/sbin/getty -L ttyS0 9600\n#x0:23:respawn:/sbin/getty 38400 hvc0\n", INIT_SYSVINIT, true},
	{"nothing to move", "getty-inittab", "/etc/inittab", "1:23:respawn:/sbin/getty 38400 tty1\nT0:23:respawn:/sbin/getty -L ttyS0 9600\n", NULL,
	 INIT_SYSVINIT, true},
	{"only tty1", "getty-inittab", "/etc/inittab", "1:23:respawn:/sbin/getty 38400 tty1\n",
	 "1:23:respawn:/sbin/getty 38400 tty1\nS0:23:respawn:/sbin/getty -L 115200 ttyS0\n", INIT_SYSVINIT, true},
	{"busybox: the first field is the terminal", "getty-inittab", "/etc/inittab", "::sysinit:/etc/rcS\ntty1::respawn:/sbin/getty 38400 tty1\nhvc0::respawn:/sbin/getty 38400 hvc0\n",
	 "::sysinit:/etc/rcS\ntty1::respawn:/sbin/getty 38400 tty1\nttyS0::respawn:/sbin/getty -L 115200 ttyS0\n", INIT_BUSYBOX, true},
	{"systemd does not read inittab", "getty-inittab", "/etc/inittab", "co:2345:respawn:/sbin/getty 38400 hvc0\n", NULL, INIT_SYSTEMD, true},
	{"upstart job", "getty-upstart", "/etc/init/ttyS0.conf", NULL, "start on runlevel\nrespawn\nexec /sbin/getty -L -8 115200 ttyS0\n", INIT_UPSTART, true},
	{"securetty", "securetty", "/etc/securetty", "console\ntty1", "console\ntty1\nttyS0\n", INIT_SYSVINIT, true},
	{"securetty has it", "securetty", "/etc/securetty", "console\nttyS0\n", NULL, INIT_SYSVINIT, true},
	{"securetty has another", "securetty", "/etc/securetty", "ttyS00\n", "ttyS00\nttyS0\n", INIT_SYSVINIT, true},
	{"old card's address", "persistent-net", "/etc/udev/rules.d/70-persistent-net.rules", "# c\nSUBSYSTEM==\"net\", ATTR{address}==\"12:31\", NAME=\"eth0\"\n",
	 "# c\n#pv2hvm: SUBSYSTEM==\"net\", ATTR{address}==\"12:31\", NAME=\"eth0\"\n", INIT_SYSTEMD, true},
	{"rule without an address", "persistent-net", "/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", KERNEL==\"eth*\", NAME=\"eth0\"\n", NULL,
	 INIT_SYSTEMD, true},
};

/* What tells Ubuntu's upstart from Red Hat's */
static void put_mountall(struct planfixture *x)
{
	if (x->facts.init == INIT_UPSTART)
		planfixture_file(x, "/etc/init/mountall.conf", "exec mountall --daemon\n");
}

static void test_edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(edit_row) / sizeof(edit_row[0]); i++) {
		const struct edit_row *r = &edit_row[i];
		struct planfixture x;
		const struct action *a;

		planfixture_init(&x);
		x.facts.init = r->init;
		x.facts.mount_knows_nofail = r->nofail;
		x.facts.fstab_knows_timeout = true;
		if (r->before)
			planfixture_file(&x, r->path, r->before);
		else
			planfixture_file(&x, "/etc/init/hvc0.conf", "start on runlevel\nrespawn\nexec /sbin/getty -8 38400 hvc0\n");
		put_mountall(&x);
		planfixture_make(&x);
		a = planfixture_action(&x, r->rule, r->path);
		if (!r->after != !a || (a && strcmp(a->after, r->after)))
			fail_msg("%s: got %s", r->name, a ? a->after : "no action");
		if (a && r->before)
			assert_string_equal(a->before, r->before);
		plan_done(&x.plan);
	}
}

/* What the actions leave is what the rules accept: a second plan edits nothing. */
static void test_edits_are_stable(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(edit_row) / sizeof(edit_row[0]); i++) {
		const struct edit_row *r = &edit_row[i];
		struct planfixture x;

		if (!r->after)
			continue;
		planfixture_init(&x);
		x.facts.init = r->init;
		x.facts.mount_knows_nofail = r->nofail;
		planfixture_file(&x, r->path, r->after);
		put_mountall(&x);
		planfixture_make(&x);
		if (planfixture_action(&x, r->rule, NULL))
			fail_msg("%s: a second conversion changes it again: %s", r->name, planfixture_action(&x, r->rule, NULL)->after);
		plan_done(&x.plan);
	}
}

static void test_systemd_links(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	planfixture_link(&x, "/etc/systemd/system/getty.target.wants/getty@tty1.service", "/lib/systemd/system/getty@.service");
	planfixture_link(&x, "/etc/systemd/system/getty.target.wants/serial-getty@hvc0.service", "/lib/systemd/system/serial-getty@.service");
	planfixture_make(&x);
	assert_int_equal(planfixture_action(&x, "getty-systemd", "/etc/systemd/system/getty.target.wants/serial-getty@hvc0.service")->kind, ACTION_REMOVE);
	assert_string_equal(planfixture_action(&x, "getty-systemd", "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service")->after,
			    "/lib/systemd/system/serial-getty@.service");
	assert_null(planfixture_action(&x, "getty-systemd", "/etc/systemd/system/getty.target.wants/getty@tty1.service"));
	plan_done(&x.plan);
	planfixture_init(&x);
	planfixture_link(&x, "/etc/systemd/system/getty.target.wants/getty@tty1.service", "/lib/systemd/system/getty@.service");
	planfixture_make(&x);
	assert_null(planfixture_action(&x, "getty-systemd", NULL));
	plan_done(&x.plan);
}

static void test_partitions_by_uuid(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	x.facts.volumes.table = TABLE_MBR;
	x.facts.volumes.len = 3;
	x.volume[0].content[0] = x.volume[0].uuid[0] = '\0';
	x.volume[1] = (struct volume){.number = 1, .off = 1 << 20, .len = 1 << 29, .content = "ext4", .uuid = UUID};
	x.volume[2] = (struct volume){.number = 2, .off = 1 << 30, .len = 1 << 20, .part_uuid = "1234abcd-02"};
	x.facts.root_number = x.facts.boot_number = 1;
	x.facts.boot.gap_sectors = 2047;
	planfixture_file(&x, "/etc/fstab", "/dev/xvda1 / ext4 defaults 0 1\n/dev/xvda2 none swap sw 0 0\n/dev/xvda3 /x ext4 defaults 0 2\n");
	planfixture_make(&x);
	assert_string_equal(planfixture_action(&x, "fstab-here", "/etc/fstab")->after,
			    "UUID=" UUID " / ext4 defaults 0 1\nPARTUUID=1234abcd-02 none swap sw 0 0\n/dev/xvda3 /x ext4 defaults 0 2\n");
	assert_int_equal(x.plan.layout, P2H_LAYOUT_KEEP);
	assert_null(planfixture_action(&x, "layout", NULL));
	assert_int_equal(planfixture_action(&x, "boot-loader", NULL)->place, PLACE_GAP);
	plan_done(&x.plan);
	x.facts.boot.gap_sectors = 1; /* a first partition at sector 2 */
	planfixture_make(&x);
	assert_int_equal(planfixture_action(&x, "boot-loader", NULL)->place, PLACE_INODE5);
	plan_done(&x.plan);
}

/* ---- the command line ---- */

struct cmdline_row {
	const char *name, *menu, *has, *lacks;
	unsigned targets;
};

static const struct cmdline_row cmdline_row[] = {
	{"custom words stay in order", "default 0\ntitle a\nroot (hd0)\nkernel /vmlinuz root=/dev/xvda1 ro b=1 a=2 console=hvc0 quiet\n",
	 "root=UUID=" UUID " ro b=1 a=2 quiet console=tty0 console=ttyS0,115200n8 net.ifnames=0", "hvc0", 0},
	{"PV-only words go", "title a\nkernel /vmlinuz root=LABEL=x xencons=tty acpi=off noapic nolapic swiotlb=8 x=y\n", "ro x=y console=tty0", "noapic", 0},
	{"clocksource=xen on nitro", "title a\nkernel /vmlinuz clocksource=xen x=y\n", "ro x=y", "clocksource", P2H_TARGET_NITRO},
	{"clocksource=xen on Xen", "title a\nkernel /vmlinuz clocksource=xen x=y\n", "clocksource=xen x=y", "nvme_core", P2H_TARGET_XEN_HVM},
	{"another serial console stays", "title a\nkernel /vmlinuz console=ttyS1,9600\n", "console=ttyS1,9600 console=tty0 console=ttyS0,115200n8", "hvc", 0},
	{"resume of a device that is gone", "title a\nkernel /vmlinuz resume=/dev/sda3 x=y\n", "ro x=y", "resume", 0},
	{"the default entry counts", "default 1\ntitle a\nkernel /v wrong=1\ntitle b\nkernel /v right=1\n", "right=1", "wrong", 0},
};

static void test_cmdline(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cmdline_row) / sizeof(cmdline_row[0]); i++) {
		const struct cmdline_row *r = &cmdline_row[i];
		struct planfixture x;

		planfixture_init(&x);
		x.options.targets = r->targets;
		planfixture_file(&x, "/boot/grub/menu.lst", r->menu);
		planfixture_make(&x);
		if (!strstr(x.plan.cmdline, r->has) || strstr(x.plan.cmdline, r->lacks))
			fail_msg("%s: %s", r->name, x.plan.cmdline);
		assert_non_null(strstr(planfixture_action(&x, "grub-cfg", NULL)->after, r->has));
		plan_done(&x.plan);
	}
}

static void test_user_cmdline(void **state)
{
	const char *const add[] = {"panic=5", NULL}, *const remove[] = {"quiet", "net.ifnames", NULL};
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	x.options.cmdline_add = add;
	x.options.cmdline_remove = remove;
	planfixture_file(&x, "/boot/grub/menu.lst", "title a\nkernel /v quiet x=y\n");
	planfixture_make(&x);
	assert_null(strstr(x.plan.cmdline, "quiet"));
	assert_null(strstr(x.plan.cmdline, "net.ifnames"));
	assert_non_null(strstr(x.plan.cmdline, " panic=5"));
	plan_done(&x.plan);
}

/* A word with characters that GRUB's language knows comes through as it was. */
static void test_grub_quoting(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	planfixture_file(&x, "/boot/grub/menu.lst", "title a\nkernel /v a=$x;b it's {c}\n");
	planfixture_make(&x);
	assert_non_null(strstr(planfixture_action(&x, "grub-cfg", NULL)->after, " 'a=$x;b' 'it'\\''s' '{c}' "));
	plan_done(&x.plan);
}

static void test_ifnames(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	planfixture_file(&x, "/etc/network/interfaces", "# eth0\nauto enX0\niface enX0 inet dhcp\n");
	planfixture_make(&x);
	assert_null(strstr(x.plan.cmdline, "net.ifnames"));
	assert_non_null(planfixture_finding(&x, "ifnames"));
	plan_done(&x.plan);
	planfixture_init(&x);
	planfixture_file(&x, "/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n");
	planfixture_make(&x);
	assert_non_null(strstr(x.plan.cmdline, "net.ifnames=0 biosdevname=0"));
	assert_null(planfixture_finding(&x, "ifnames"));
	plan_done(&x.plan);
}

static void test_own_kernels(void **state)
{
	struct planfixture x;
	const struct action *a;

	(void)state;
	planfixture_init(&x);
	x.own[0] = (struct facts_kernel){.release = "5.10.0-1-amd64", .image = "/boot/vmlinuz-5.10.0-1-amd64", .initrd = "/boot/initrd.img-5.10.0-1-amd64", .hvm = true};
	x.own[1] = (struct facts_kernel){.release = "2.6.18-xenU", .image = "/boot/vmlinuz-2.6.18-xenU", .initrd = "", .why_not = "a classic Xen kernel"};
	x.facts.kernels = (struct facts_kernels){x.own, 2};
	planfixture_make(&x);
	a = planfixture_action(&x, "grub-cfg", "/boot/grub/grub.cfg");
	assert_true(strstr(a->after, "linux /boot/vmlinuz-6.1.0-1-amd64") < strstr(a->after, "linux /boot/vmlinuz-5.10.0-1-amd64"));
	assert_null(strstr(a->after, "xenU"));
	assert_string_equal(planfixture_finding(&x, "kernel-pv-only")->evidence, "/boot/vmlinuz-2.6.18-xenU");
	plan_done(&x.plan);
}

/* A finding or an action may matter less than its rule at its worst. */
static void test_severities(void **state)
{
	static const struct {
		enum init_kind init;
		const char *release; /* of a kernel that boots paravirtual only */
		enum severity mount, kernel;
	} row[] = {
		{INIT_SYSTEMD, "2.6.18-xenU", SEVERITY_BOOT, SEVERITY_BOOT},
		{INIT_SYSVINIT, "2.6.18-by-hand", SEVERITY_DEGRADED, SEVERITY_INFO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct planfixture x;

		planfixture_init(&x);
		x.options.targets = P2H_TARGET_KVM;
		x.facts.init = row[i].init;
		planfixture_file(&x, "/etc/fstab", "UUID=" UUID " / ext4 defaults 1 1\nxenfs /proc/xen xenfs defaults 0 0\n");
		planfixture_file(&x, "/etc/init/xenstored.conf", "");
		planfixture_file(&x, "/etc/sysconfig/kernel", "DEFAULTKERNEL=kernel-xen\n");
		x.own[0] = (struct facts_kernel){.release = row[i].release, .image = "/boot/vmlinuz", .initrd = "", .why_not = "a classic Xen kernel"};
		x.facts.kernels = (struct facts_kernels){x.own, 1};
		planfixture_make(&x);
		assert_int_equal(planfixture_action(&x, "xen-tools", "/etc/fstab")->severity, row[i].mount);
		assert_int_equal(planfixture_finding(&x, "xen-tools")->severity, SEVERITY_DEGRADED);
		assert_int_equal(planfixture_finding(&x, "kernel-pv-only")->severity, row[i].kernel);
		assert_int_equal(planfixture_action(&x, "kernel-pv-only", "/etc/sysconfig/kernel")->severity, SEVERITY_BOOT);
		plan_done(&x.plan);
	}
}

/* /boot on a partition of its own: GRUB's paths begin there. */
static void test_boot_apart(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	x.facts.boot_path = "";
	x.facts.boot_prefix = "/grub";
	x.facts.boot_number = 2;
	planfixture_make(&x);
	assert_non_null(strstr(planfixture_action(&x, "grub-cfg", NULL)->after, "\tlinux /vmlinuz-6.1.0-1-amd64 root=UUID=" UUID));
	plan_done(&x.plan);
}

/* A LUKS volume of the image is named by UUID; a volume with a random key has none that stays. */
static void test_crypttab(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	x.facts.volumes = (struct volumes){.table = TABLE_MBR, .item = x.volume, .len = 3, .sector_size = 512};
	x.volume[1] = (struct volume){.number = 1, .content = "ext4", .uuid = UUID};
	x.volume[2] = (struct volume){.number = 2, .content = "crypto_LUKS", .uuid = "0e7b8f4d-52ab-4b2f-90d7-7b5a4a6c5f11"};
	x.facts.root_number = x.facts.boot_number = 1;
	x.facts.boot.gap_sectors = 2047;
	planfixture_file(&x, "/etc/crypttab", "data\t/dev/xvda2  none\tluks\r\n#x /dev/xvda2\nswap /dev/xvda1 /dev/urandom swap");
	planfixture_make(&x);
	assert_string_equal(planfixture_action(&x, "device-names", "/etc/crypttab")->after,
			    "data\tUUID=0e7b8f4d-52ab-4b2f-90d7-7b5a4a6c5f11  none\tluks\r\n#x /dev/xvda2\nswap /dev/xvda1 /dev/urandom swap");
	assert_string_equal(planfixture_finding(&x, "device-names")->evidence, "/etc/crypttab:3: /dev/xvda1");
	plan_done(&x.plan);
}

/* ---- findings that refuse ---- */

static void no_kernel(struct planfixture *x) { x->facts.donor.chosen = (struct facts_kernel){.release = "", .why_not = "the donor has no kernel"}; }
static void old_width(struct planfixture *x) { x->facts.donor.chosen.is_64bit = false; }
static void no_ia32(struct planfixture *x) { x->facts.bits = 32; planfixture_config(x, DRIVERS "# CONFIG_IA32_EMULATION is not set\n"); }
static void no_nvme(struct planfixture *x) 
{
	strlist_add(&x->facts.donor.initramfs.missing[1], "nvme");
	x->facts.donor.initramfs.cannot[1] = "the kernel's modules have no nvme either";
}
static void no_initramfs(struct planfixture *x) { x->facts.donor.initramfs.read = false; x->facts.donor.initramfs.error = "truncated"; }
static void no_space(struct planfixture *x) { x->facts.space.blocks_free = 500; }
static void no_inodes(struct planfixture *x) { x->facts.space.inodes_free = 20; }
static void dirty(struct planfixture *x) { x->facts.needs_recovery = true; }
static void damaged(struct planfixture *x) { x->facts.has_errors = true; }
static struct facts_recovery recovery;
static void recovered(struct planfixture *x, struct facts_recovery r)
{
	recovery = r;
	x->facts.needs_recovery = r.needs_recovery;
	x->facts.has_errors = r.has_errors;
	x->facts.recovery = &recovery;
	x->facts.recoveries = 1;
}
static void not_replayed(struct planfixture *x) { recovered(x, (struct facts_recovery){.needs_recovery = true, .words = "invalid journal"}); }
static void not_repaired(struct planfixture *x) { recovered(x, (struct facts_recovery){.has_errors = true, .words = "directory corrupted"}); }
static void unmarked(struct planfixture *x) { recovered(x, (struct facts_recovery){.checked = true, .damaged = true, .words = "i_blocks is 7"}); }
static void inline_data(struct planfixture *x) { strlist_add(&x->facts.features, "inline_data"); }
static void boot_on_xfs(struct planfixture *x) { strlist_add(&x->facts.unmounted, "/boot on 2 (xfs)"); }
static void no_uuid(struct planfixture *x) { x->facts.root_uuid = ""; }

static void flat_xfs(struct planfixture *x) { x->facts.root_type = "xfs"; x->options.layout = P2H_LAYOUT_FLAT; }
static void crowded_xfs(struct planfixture *x) { x->facts.root_type = "xfs"; x->facts.volumes.table = TABLE_MBR; x->facts.boot.gap_sectors = 1; }

static const struct {
	const char *rule;
	void (*spoil)(struct planfixture *x);
	const char *says;
} refuse_row[] = {
	{"donor-kernel", no_kernel, "no kernel"},
	{"arch", old_width, "64-bit guest"},
	{"ia32", no_ia32, "32-bit programs"},
	{"initramfs-drivers", no_nvme, "target nitro needs nvme"},
	{"initramfs-drivers", no_initramfs, "truncated"},
	{"space", no_space, "MiB are needed"},
	{"space", no_inodes, "inodes"},
	{"source-state", dirty, "journal"},
	{"source-state", damaged, "damaged"},
	{"source-state", not_replayed, "e2fsck: invalid journal"},
	{"source-state", not_repaired, "e2fsck: directory corrupted"},
	{"source-state", unmarked, "e2fsck -fn says: i_blocks is 7: the file system is damaged, though not marked so; --repair"},
	{"grub-features", inline_data, "inline_data"},
	{"unmounted", boot_on_xfs, "xfs"},
	{"layout", no_uuid, "UUID"},
	{"boot-loader", flat_xfs, "it cannot be flat"},
	{"boot-loader", crowded_xfs, "xfs has no boot loader inode"},
};

/* What was put right before the facts were read is told, and so is what is wrong with a volume that nothing is written to. */
static void test_recovered(void **state)
{
	static const struct {
		struct facts_recovery r;
		const char *says;
	} row[] = {
		{{.needs_recovery = true, .replayed = true, .words = ""}, "copied while it was mounted"},
		{{.has_errors = true, .repaired = true, .words = "FIXED"}, "was marked as damaged (e2fsck: FIXED)"},
		{{.checked = true, .damaged = true, .repaired = true, .words = "FIXED"}, "was damaged, though not marked so (e2fsck: FIXED)"},
		{{.number = 7, .checked = true, .damaged = true, .words = "bad"}, "is damaged, though not marked so"},
		{{.number = 7, .needs_recovery = true, .words = "invalid journal"}, "cannot be replayed (e2fsck: invalid journal)"},
		{{.number = 7, .has_errors = true, .words = "bad"}, "is marked as damaged (e2fsck: bad)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct planfixture x;

		planfixture_init(&x);
		recovered(&x, row[i].r);
		x.facts.needs_recovery = x.facts.has_errors = false;
		planfixture_make(&x);
		assert_false(x.plan.blocked);
		assert_non_null(planfixture_finding(&x, "source-state"));
		if (!strstr(planfixture_finding(&x, "source-state")->text, row[i].says))
			fail_msg("row %zu: %s", i, planfixture_finding(&x, "source-state")->text);
		plan_done(&x.plan);
	}
}

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refuse_row) / sizeof(refuse_row[0]); i++) {
		const char *const allow[] = {refuse_row[i].rule, NULL};
		struct planfixture x;

		planfixture_init(&x);
		planfixture_make(&x);
		assert_false(x.plan.blocked); /* without the spoiling nothing is refused */
		plan_done(&x.plan);
		refuse_row[i].spoil(&x);
		planfixture_make(&x);
		if (!x.plan.blocked || !strstr(x.plan.blocked_by, refuse_row[i].says) || !planfixture_finding(&x, refuse_row[i].rule)->blocks)
			fail_msg("row %zu (%s): %s", i, refuse_row[i].rule, x.plan.blocked_by);
		plan_done(&x.plan);
		x.options.allow = allow;
		planfixture_make(&x);
		assert_false(x.plan.blocked);
		plan_done(&x.plan);
		strlist_done(&x.facts.donor.initramfs.missing[1]);
		strlist_done(&x.facts.features);
		strlist_done(&x.facts.unmounted);
	}
}

static void test_target_left_out(void **state)
{
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	no_nvme(&x);
	x.options.targets = P2H_TARGET_XEN_HVM;
	planfixture_make(&x);
	assert_false(x.plan.blocked);
	plan_done(&x.plan);
	strlist_done(&x.facts.donor.initramfs.missing[1]);
}

/* ---- layouts and options ---- */

static void test_layouts(void **state)
{
	static const struct {
		enum p2h_layout asked;
		bool in_place, can_shift;
		enum p2h_layout got;
	} row[] = {
		{P2H_LAYOUT_AUTO, false, false, P2H_LAYOUT_PARTITION}, {P2H_LAYOUT_AUTO, true, true, P2H_LAYOUT_PARTITION},
		{P2H_LAYOUT_AUTO, true, false, P2H_LAYOUT_FLAT},       {P2H_LAYOUT_FLAT, false, false, P2H_LAYOUT_FLAT},
		{P2H_LAYOUT_PARTITION, true, true, P2H_LAYOUT_PARTITION},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct planfixture x;

		planfixture_init(&x);
		x.options.layout = row[i].asked;
		x.options.in_place = row[i].in_place;
		x.facts.can_shift = row[i].can_shift;
		planfixture_make(&x);
		assert_int_equal(x.plan.layout, row[i].got);
		assert_int_equal(x.plan.shift, row[i].got == P2H_LAYOUT_PARTITION ? 1 << 20 : 0);
		assert_int_equal(planfixture_action(&x, "boot-loader", NULL)->place, row[i].got == P2H_LAYOUT_PARTITION ? PLACE_GAP : PLACE_INODE5);
		if (row[i].got == P2H_LAYOUT_PARTITION)
			assert_int_equal(planfixture_action(&x, "layout", NULL)->table_id, 0x6b1c1c0e);
		plan_done(&x.plan);
	}
}

static void test_usage(void **state)
{
	const char *const unknown[] = {"no-such-rule", NULL};
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	x.options.layout = P2H_LAYOUT_KEEP;
	assert_int_equal(plan_make(&x.facts, &x.options, &x.plan, NULL), P2H_USAGE);
	assert_int_equal(plan_check_rules(&x.options, NULL), 0);
	x.options.skip = unknown;
	assert_int_equal(plan_check_rules(&x.options, NULL), P2H_USAGE);
	x.options = (struct p2h_options){.allow = unknown};
	assert_int_equal(plan_check_rules(&x.options, NULL), P2H_USAGE);
}

static void test_skip(void **state)
{
	const char *const skip[] = {"securetty", NULL};
	struct planfixture x;

	(void)state;
	planfixture_init(&x);
	planfixture_file(&x, "/etc/securetty", "tty1\n");
	x.options.skip = skip;
	planfixture_make(&x);
	assert_null(planfixture_action(&x, "securetty", NULL));
	plan_done(&x.plan);
}

/* Facts of a converted image give no action at all. */
static void test_converted_is_empty(void **state)
{
	struct planfixture x, y;
	const struct action *a;

	(void)state;
	planfixture_init(&x);
	planfixture_file(&x, "/boot/grub/menu.lst", "title a\nkernel /v x=y console=hvc0\n");
	planfixture_make(&x);
	a = planfixture_action(&x, "grub-cfg", NULL);
	planfixture_init(&y);
	planfixture_file(&y, "/boot/grub/grub.cfg", a->after);
	planfixture_file(&y, "/boot/grub/menu.lst", "title a\nkernel /v x=y console=hvc0\n");
	y.facts.volumes.table = TABLE_MBR;
	y.facts.boot.current = true;
	y.facts.donor.boot.present = y.facts.donor.modules.present = true;
	planfixture_make(&y);
	assert_int_equal(y.plan.actions, 0);
	assert_false(y.plan.blocked);
	plan_done(&y.plan);
	plan_done(&x.plan);
}

static void test_rule_table(void **state)
{
	(void)state;
	for (const struct rule *r = rule_table; r->id; r++) {
		assert_ptr_equal(rule_find(r->id), r); /* ids are distinct */
		assert_true(r->run && r->looks[0] && r->does[0] && r->why[0] && r->source[0]);
	}
	assert_null(rule_find("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits), cmocka_unit_test(test_edits_are_stable), cmocka_unit_test(test_systemd_links),
		cmocka_unit_test(test_partitions_by_uuid), cmocka_unit_test(test_cmdline), cmocka_unit_test(test_user_cmdline),
		cmocka_unit_test(test_grub_quoting), cmocka_unit_test(test_ifnames), cmocka_unit_test(test_own_kernels), cmocka_unit_test(test_severities),
		cmocka_unit_test(test_boot_apart), cmocka_unit_test(test_crypttab),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_recovered), cmocka_unit_test(test_target_left_out),
		cmocka_unit_test(test_layouts), cmocka_unit_test(test_usage), cmocka_unit_test(test_skip),
		cmocka_unit_test(test_converted_is_empty), cmocka_unit_test(test_rule_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
