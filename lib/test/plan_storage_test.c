/* plan_storage_test.c - the plan of guests in layers, and in btrfs subvolumes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "support/planfixture.h"

#define LUKS "5ca1ab1e-0000-4000-8000-00000000c0de"

/* A root in these layers, /boot on the same volume unless it is moved */
static void in_layers(struct planfixture *x, unsigned layers, const char *device)
{
	planfixture_init(x);
	x->volume[0] = (struct volume){.len = 1 << 30, .uuid = LUKS};
	strcpy(x->volume[0].content, layers & VOLUME_LUKS ? "crypto_LUKS" : "LVM2_member");
	x->volume[1] = (struct volume){.number = VOLUME_MAPPED, .layers = layers, .len = 1 << 29, .content = "ext4", .uuid = PLANFIXTURE_UUID};
	strcpy(x->volume[1].device, device);
	if (layers & VOLUME_LUKS)
		strcpy(x->volume[1].luks, LUKS);
	x->facts.volumes.len = 2;
	x->facts.root_number = x->facts.boot_number = VOLUME_MAPPED;
	x->facts.root_volume = x->facts.boot_volume = x->facts.usr_volume = &x->volume[1];
	x->facts.donor.initramfs.holds.kind = INITRAMFS_TOOLS;
}

static void holds(struct planfixture *x, const char *member)
{
	strlist_add(&x->facts.donor.initramfs.holds.members, member);
}

static void done(struct planfixture *x)
{
	plan_done(&x->plan);
	strlist_done(&x->facts.donor.initramfs.holds.members);
}

static const char *says(const struct planfixture *x)
{
	const struct finding *f = planfixture_finding(x, "storage");

	return f ? f->text : "";
}

static void test_logical_volume(void **state)
{
	struct planfixture x;

	(void)state;
	in_layers(&x, VOLUME_LVM, "/dev/vg-0/root");
	planfixture_make(&x);
	assert_true(x.plan.blocked);
	assert_string_equal(says(&x), "the root is on a logical volume (/dev/vg-0/root), and the initramfs has no lvm");
	done(&x);

	in_layers(&x, VOLUME_LVM, "/dev/vg-0/root");
	holds(&x, "usr/sbin/lvm");
	planfixture_file(&x, "/etc/fstab", "/dev/vg-0/root / ext4 defaults 0 1\n/dev/mapper/vg--0-root /twice ext4 defaults 0 1\n");
	planfixture_make(&x);
	assert_null(planfixture_action(&x, "fstab-root", NULL)); /* its name is the same on any machine */
	assert_null(planfixture_action(&x, "fstab-here", NULL));
	assert_null(planfixture_action(&x, "fstab-missing", NULL));
	assert_false(x.plan.blocked);
	assert_non_null(strstr(x.plan.cmdline, "root=/dev/mapper/vg--0-root ro"));
	assert_null(strstr(x.plan.cmdline, "rd.auto"));
	assert_int_equal(plan_number_after(&x.plan, VOLUME_MAPPED), VOLUME_MAPPED);
	assert_int_equal(plan_number_after(&x.plan, 0), 1);
	assert_non_null(strstr(planfixture_action(&x, "grub-cfg", NULL)->after, "linux /boot/vmlinuz-6.1.0-1-amd64 root=/dev/mapper/vg--0-root"));
	done(&x);

	in_layers(&x, VOLUME_LVM | VOLUME_RAID, "/dev/vg/root");
	x.facts.donor.initramfs.holds.kind = INITRAMFS_DRACUT;
	holds(&x, "usr/sbin/lvm");
	planfixture_make(&x);
	assert_non_null(strstr(says(&x), "no mdadm")); /* it needs both */
	assert_non_null(strstr(planfixture_finding(&x, "storage")->advice, "--add mdraid"));
	assert_non_null(strstr(x.plan.cmdline, "rd.auto=1"));
	done(&x);
}

/* An initramfs mounts it with the root. */
static void test_usr(void **state)
{
	struct planfixture x;
	const struct action *a;

	(void)state;
	in_layers(&x, VOLUME_LVM | VOLUME_LUKS, "/dev/vg/usr");
	x.volume[0] = (struct volume){.number = 1, .len = 1 << 29, .content = "ext4", .uuid = PLANFIXTURE_UUID};
	x.volume[1].uuid[0] = 'f';
	x.facts.root_number = x.facts.boot_number = 1;
	x.facts.root_volume = x.facts.boot_volume = &x.volume[0];
	x.facts.volumes.table = TABLE_MBR;
	x.facts.boot.gap_sectors = 2047;
	planfixture_make(&x);
	assert_true(x.plan.blocked);
	assert_string_equal(says(&x), "/usr is on a logical volume (/dev/vg/usr), and the initramfs has no lvm");
	done(&x);

	in_layers(&x, VOLUME_LVM | VOLUME_LUKS, "/dev/vg/usr");
	x.facts.root_volume = x.facts.boot_volume = &x.volume[0];
	x.volume[0].number = x.facts.root_number = x.facts.boot_number = 1;
	x.facts.volumes.table = TABLE_MBR;
	x.facts.boot.gap_sectors = 2047;
	holds(&x, "sbin/lvm");
	holds(&x, "sbin/cryptsetup");
	holds(&x, "scripts/local-top/cryptroot");
	planfixture_make(&x);
	assert_string_equal(says(&x), "");
	a = planfixture_action(&x, "storage", NULL);
	assert_non_null(memmem(a->after, a->after_len, "luks-" LUKS " UUID=" LUKS " none luks\n", strlen("luks-" LUKS " UUID=" LUKS " none luks\n")));
	assert_non_null(strstr(x.plan.cmdline, "root=UUID=")); /* the root itself lies in no layers */
	done(&x);
}

static void test_incomplete_array(void **state)
{
	struct planfixture x;

	(void)state;
	in_layers(&x, VOLUME_RAID, "/dev/md0");
	strcpy(x.volume[1].raid, "raid1");
	x.volume[1].missing = 1;
	holds(&x, "sbin/mdadm");
	planfixture_make(&x);
	assert_false(x.plan.blocked);
	assert_string_equal(says(&x), "1 of the array's disks is not given");
	assert_non_null(strstr(planfixture_finding(&x, "storage")->advice, "--disk"));
	done(&x);
}

static void test_flat(void **state)
{
	struct planfixture x;

	(void)state;
	in_layers(&x, VOLUME_LVM, "/dev/vg/root");
	holds(&x, "sbin/lvm");
	x.options.layout = P2H_LAYOUT_FLAT;
	planfixture_make(&x);
	assert_non_null(strstr(planfixture_finding(&x, "boot-loader")->evidence, "/dev/vg/root"));
	assert_true(x.plan.blocked);
	done(&x);
}

/* cryptsetup's scripts learn of it by an archive; its name is the one that the guest's crypttab gives it. */
static void test_encrypted(void **state)
{
	struct planfixture x;
	const struct action *a;

	(void)state;
	in_layers(&x, VOLUME_LUKS, "/dev/mapper/secret");
	x.facts.luks_version = 1;
	planfixture_file(&x, "/etc/crypttab", "# c\nother UUID=00000000-0000-4000-8000-000000000000 none luks\nsecret UUID=" LUKS " /etc/key luks\n");
	holds(&x, "sbin/cryptsetup");
	holds(&x, "scripts/local-top/cryptroot");
	planfixture_make(&x);
	assert_false(x.plan.blocked);
	assert_non_null(strstr(says(&x), "/boot is encrypted"));
	a = planfixture_action(&x, "storage", NULL);
	assert_int_equal(a->kind, ACTION_INITRAMFS);
	assert_non_null(memmem(a->after, a->after_len, "cryptroot/crypttab", 18));
	assert_non_null(memmem(a->after, a->after_len, "secret UUID=" LUKS " none luks\n", strlen("secret UUID=" LUKS " none luks\n")));
	assert_non_null(strstr(x.plan.cmdline, "root=UUID=" PLANFIXTURE_UUID));
	done(&x);

	in_layers(&x, VOLUME_LUKS, "/dev/mapper/secret");
	x.facts.luks_version = 2;
	holds(&x, "sbin/cryptsetup");
	holds(&x, "scripts/local-top/cryptroot");
	planfixture_make(&x);
	assert_true(x.plan.blocked);
	assert_non_null(strstr(says(&x), "GRUB opens LUKS1"));
	done(&x);

	in_layers(&x, VOLUME_LUKS, "/dev/mapper/secret");
	x.facts.luks_version = 1;
	holds(&x, "sbin/cryptsetup"); /* but nothing that would run it */
	planfixture_make(&x);
	assert_true(x.plan.blocked);
	done(&x);
}

static void in_subvolume(struct planfixture *x, bool is_default)
{
	planfixture_init(x);
	strcpy(x->volume[0].content, "btrfs");
	x->facts.root_type = x->facts.boot_type = "btrfs";
	x->facts.root_subvolume = "@root";
	x->facts.root_is_default = is_default;
	x->facts.boot_path = "/@root/boot";
	x->facts.boot_prefix = "/@root/boot/grub";
}

static void test_subvolume(void **state)
{
	struct planfixture x;

	(void)state;
	in_subvolume(&x, false);
	planfixture_make(&x);
	assert_false(x.plan.blocked);
	assert_non_null(strstr(x.plan.cmdline, " rootflags=subvol=@root"));
	assert_non_null(strstr(planfixture_action(&x, "grub-cfg", NULL)->after, "linux /@root/boot/vmlinuz-6.1.0-1-amd64 "));
	assert_non_null(strstr(planfixture_action(&x, "grub-cfg", NULL)->after, "initrd /@root/boot/initrd.img-6.1.0-1-amd64"));
	done(&x);

	in_subvolume(&x, true); /* snapper changes what is mounted by default: a word would stand in its way */
	x.options.layout = P2H_LAYOUT_FLAT;
	planfixture_make(&x);
	assert_null(strstr(x.plan.cmdline, "rootflags="));
	assert_int_equal(planfixture_action(&x, "boot-loader", NULL)->place, PLACE_GAP);
	assert_int_equal(planfixture_action(&x, "boot-loader", NULL)->place_off, 512);
	done(&x);

	in_subvolume(&x, true);
	x.options.layout = P2H_LAYOUT_FLAT;
	x.facts.host.core_len = 65536; /* one sector too many for what btrfs leaves free */
	planfixture_make(&x);
	assert_true(x.plan.blocked);
	done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logical_volume), cmocka_unit_test(test_usr), cmocka_unit_test(test_incomplete_array), cmocka_unit_test(test_flat), cmocka_unit_test(test_encrypted), cmocka_unit_test(test_subvolume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
