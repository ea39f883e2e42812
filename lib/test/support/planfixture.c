#include "support/planfixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void planfixture_config(struct planfixture *x, const char *text)
{
	x->facts.donor.config = text;
	x->facts.donor.config_len = strlen(text);
}

void planfixture_init(struct planfixture *x)
{
	struct facts *f = &x->facts;

	memset(x, 0, sizeof(*x));
	x->volume[0] = (struct volume){.len = 1 << 30, .content = "ext4", .uuid = PLANFIXTURE_UUID, .label = "rootfs"};
	f->source = "guest.raw";
	f->format = "raw";
	f->disk_size = 1 << 30;
	f->volumes = (struct volumes){.item = x->volume, .len = 1, .sector_size = 512};
	f->root_volume = f->boot_volume = f->usr_volume = x->volume;
	f->root_subvolume = "";
	f->root_uuid = f->boot_uuid = PLANFIXTURE_UUID;
	f->root_label = "rootfs";
	f->root_type = "ext4";
	f->boot_path = "/boot";
	f->boot_prefix = "/boot/grub";
	f->block_size = 4096;
	f->space = f->boot_space = (struct fs_space){4096, 262144, 200000, 65536, 60000};
	f->os_id = "debian";
	f->os_version = "11";
	f->os_name = "Debian GNU/Linux 11 (bullseye)";
	f->lasting.grub_mkconfig = f->lasting.menu_tool = "";
	f->init = INIT_SYSTEMD;
	f->init_path = "/lib/systemd/systemd";
	f->bits = 64;
	f->file = x->file;
	f->boot.sector0 = "no boot code";
	f->abi = (struct facts_abi){.libc = "", .udevd = ""};
	f->donor.given = true;
	f->donor.name = "donor.raw";
	f->donor.os_name = "Debian GNU/Linux 12 (bookworm)";
	f->donor.chosen = (struct facts_kernel){.release = "6.1.0-1-amd64", .image = "/boot/vmlinuz-6.1.0-1-amd64",
						.initrd = "/boot/initrd.img-6.1.0-1-amd64", .config = "/boot/config-6.1.0-1-amd64",
						.system_map = "", .modules = "/lib/modules/6.1.0-1-amd64", .hvm = true, .is_64bit = true};
	f->donor.modules = (struct facts_tree){.files = 100, .directories = 10, .bytes = 1 << 20, .blocks = 300};
	f->donor.boot = (struct facts_tree){.files = 3, .bytes = 1 << 20, .blocks = 300};
	f->donor.initramfs.read = true;
	f->donor.initramfs.holds.init = true;
	f->donor.initramfs.error = "";
	f->donor.initramfs.kind = "initramfs-tools";
	planfixture_config(x, PLANFIXTURE_DRIVERS "CONFIG_IA32_EMULATION=y\n");
	f->security = (struct facts_security){.iptables = "", .apparmor_parser = ""};
	f->cloudinit = (struct facts_cloudinit){.version = "", .ec2_source = ""};
	f->host = (struct facts_host){.grub_version = "2.06", .platform_dir = "/usr/lib/grub/i386-pc", .platform_blocks = 10,
				      .boot_img = x->boot_img, .core = x->core, .core_len = sizeof(x->core)};
}

void planfixture_file(struct planfixture *x, const char *path, const char *text)
{
	struct facts_file *f = &x->file[x->facts.files++];

	assert_true(x->facts.files <= 8);
	*f = (struct facts_file){.path = path, .target = "", .text = text, .len = strlen(text), .mode = 0644};
}

void planfixture_link(struct planfixture *x, const char *path, const char *target)
{
	planfixture_file(x, path, "");
	x->file[x->facts.files - 1].is_link = true;
	x->file[x->facts.files - 1].target = target;
}

void planfixture_make(struct planfixture *x)
{
	struct p2h_error err = {0};

	assert_int_equal(plan_make(&x->facts, &x->options, &x->plan, &err), 0);
}

const struct action *planfixture_action(const struct planfixture *x, const char *rule, const char *path)
{
	for (size_t i = 0; i < x->plan.actions; i++)
		if (!strcmp(x->plan.action[i].rule, rule) && (!path || !strcmp(x->plan.action[i].path, path)))
			return &x->plan.action[i];
	return NULL;
}

const struct finding *planfixture_finding(const struct planfixture *x, const char *rule)
{
	for (size_t i = 0; i < x->plan.findings; i++)
		if (!strcmp(x->plan.finding[i].rule, rule))
			return &x->plan.finding[i];
	return NULL;
}
