/* planner.h - what a rule works with; for plan/ only */
#ifndef P2H_PLAN_PLANNER_H
#define P2H_PLAN_PLANNER_H

#include "plan/plan.h"

struct planner {
	const struct facts *facts;
	const struct p2h_options *options;
	unsigned targets;
	const struct rule *rule; /* the one that runs */
	enum severity severity;  /* of what it says and does next: at first its own, which is the worst */
	struct plan *plan;
	struct arena *arena;     /* the plan's: a failure there is seen at the end */
	struct buf other_menus;  /* what grub.cfg offers besides the kernels found: submenus */
};

/* Text of a file as the actions so far leave it; NULL if it is not there. */
const char *planner_text(struct planner *p, const char *path, size_t *ret_len);
bool planner_exists(struct planner *p, const char *path);

/* Actions. planner_write does nothing when the content is there already. */
void planner_write(struct planner *p, const char *path, const char *text, size_t len, uint32_t mode, const char *reason);
void planner_write_buf(struct planner *p, const char *path, const struct buf *text, uint32_t mode, const char *reason);
void planner_link(struct planner *p, const char *path, const char *target, const char *reason);
void planner_remove(struct planner *p, const char *path, const char *reason);
struct action *planner_action(struct planner *p, enum action_kind kind, const char *path, const char *reason); /* NULL: no memory */

/* Findings; evidence and the like are copied. */
void planner_block(struct planner *p, const char *evidence, const char *text, const char *advice);
void planner_tell(struct planner *p, const char *evidence, const char *text, const char *advice);

/* Words for the kernel command line, in the order of the calls; one that is there already moves to the end. */
void planner_cmdline(struct planner *p, const char *word);
/* The last word there that starts with name ("vsyscall="), or NULL. */
const char *planner_cmdline_last(const struct planner *p, const char *name);
/* Takes away every word that starts with name, and puts `word` there: what the old command line said of it counts as dropped if it differs. */
void planner_replace_cmdline(struct planner *p, const char *name, const char *word);

/* Length of the first word of a command line, as the kernel takes it apart: a blank within double quotes belongs to its word. */
size_t cmdline_word_len(const char *text);

/* The donor's modules in the form in which they are taken. */
const struct facts_tree *planner_modules(const struct planner *p);

/* A word of an old command line that the new one must not have: for PV only, or --cmdline-remove names it (cmdline.c). */
bool cmdline_unwanted(const struct planner *p, const char *word);

/* Takes a word away, or all with that name where it has no '='; of the old command line, it counts as dropped (cmdline.c). */
void plan_drop_word(struct plan *plan, const char *word);
/* A list of modules or functions not to be run ("modprobe.blacklist=...") that names what a target needs (modprobeconf.c). */
bool cmdline_blocks_driver(const struct planner *p, const char *word);

bool has_target(const struct planner *p, unsigned target);

/* Is the kernel that is to boot older than major.minor? false if its release cannot be read. */
bool kernel_before(const struct planner *p, unsigned major, unsigned minor);

/* Does text hold `word` between bytes that are no letter, digit or '_'? */
bool has_word(const char *text, size_t len, const char *word);

bool is_blank(char c); /* within a line */

/* Line by line: the next line of [*at, end), its length without and with its line end. false: no more. */
struct line {
	const char *text;
	size_t len, whole;
	size_t number;
};
bool next_line(const char *text, size_t len, size_t *at, struct line *ret);

/* What ends the lines of a text, as its first one says: "\r\n" or "\n". For lines that are added. */
const char *line_end(const char *text, size_t len);

/* Device nodes that are not there yet, in one of the directories (nodes.c). */
void planner_console_nodes(struct planner *p, enum node_place place, const char *reason);
void planner_xen_disk_nodes(struct planner *p, enum node_place place, const char *reason);

/* The mount of xenfs, which fails where there is no Xen, becomes optional (fstab.c). */
void make_xenfs_optional(struct planner *p);

/* A path in /boot as GRUB sees it in the file system that holds it (bootloader.c). */
const char *planner_grub_path(struct planner *p, const char *path);

/* The rules' functions, by concern. */
void rule_source_state(struct planner *p);     /* state.c */
void rule_grub_features(struct planner *p);
void rule_unmounted(struct planner *p);
void rule_ko_compression(struct planner *p);   /* modules.c */
void rule_donor_kernel(struct planner *p);     /* kernel.c */
void rule_kernel_target(struct planner *p);     /* kerneltarget.c */
void rule_firmware(struct planner *p);         /* firmware.c */
void rule_arch(struct planner *p);
void rule_no_own_kernel(struct planner *p);
void rule_kernel_pv_only(struct planner *p);   /* pvonly.c */
void rule_abi_tag(struct planner *p);          /* abi.c */
void rule_ia32(struct planner *p);
void rule_vsyscall(struct planner *p);
void rule_vdso32(struct planner *p);
void rule_systemd_min(struct planner *p);      /* init.c */
void rule_cgroup_v1(struct planner *p);
void rule_cgroup_dracut(struct planner *p);
void rule_run_directory(struct planner *p);
void rule_sd_booted(struct planner *p);
void rule_udev_sysfs(struct planner *p);
void rule_removed_calls(struct planner *p);    /* removed.c */
void rule_fs_gone(struct planner *p);          /* filesystems.c */
void rule_ext_driver(struct planner *p);
void rule_sysctl_gone(struct planner *p);      /* sysctl.c */
void rule_initramfs_drivers(struct planner *p); /* initramfs.c */
void rule_initramfs_size(struct planner *p);
void rule_initramfs_identity(struct planner *p); /* identity.c */
void rule_initramfs_resume(struct planner *p);
void rule_layout(struct planner *p);           /* layout.c */
void rule_fstab_root(struct planner *p);       /* fstab.c */
void rule_fstab_here(struct planner *p);
void rule_fstab_missing(struct planner *p);
void rule_getty_inittab(struct planner *p);    /* console.c */
void rule_getty_upstart(struct planner *p);
void rule_getty_systemd(struct planner *p);
void rule_securetty(struct planner *p);
void rule_console_order(struct planner *p);
void rule_ifnames(struct planner *p);          /* network.c */
void rule_persistent_net(struct planner *p);
void rule_ifcfg_hwaddr(struct planner *p);     /* netaddress.c */
void rule_net_static(struct planner *p);
void rule_net_driver(struct planner *p);       /* netdriver.c */
void rule_cloud_init(struct planner *p);        /* cloudinit.c */
void rule_stale_caches(struct planner *p);     /* devices.c */
void rule_device_names(struct planner *p);
void rule_lvm_filter(struct planner *p);       /* lvmfilter.c */
void rule_iptables_legacy(struct planner *p);  /* firewall.c */
void rule_selinux(struct planner *p);           /* selinux.c */
void rule_apparmor(struct planner *p);         /* apparmor.c */
bool lsm_by_default(struct planner *p, const char *name); /* does the chosen kernel switch this security module on by itself? */
void rule_modules_listed(struct planner *p);   /* modulelist.c */
void rule_modules_foreign(struct planner *p);  /* foreign.c */
void rule_modules_blocked(struct planner *p);  /* modprobeconf.c */
void rule_modprobe_alias(struct planner *p);
void rule_param_pv(struct planner *p);         /* cmdline.c */
void rule_nvme_timeout(struct planner *p);
void rule_root_wait(struct planner *p);         /* rootwait.c */
void rule_storage(struct planner *p);           /* storage.c */
void rule_user_cmdline(struct planner *p);
void rule_grub_default(struct planner *p);     /* grubdefault.c */
void rule_grub_scripts(struct planner *p);
void rule_grub_pc_debconf(struct planner *p);  /* upgrade.c */
void rule_default_entry(struct planner *p);
void rule_boot_links(struct planner *p);
void rule_grub_legacy_ec2(struct planner *p);  /* menus.c */
void rule_lilo(struct planner *p);             /* kernelimg.c */
void rule_kernel_hooks(struct planner *p);
void rule_own_menu(struct planner *p);
void rule_bls(struct planner *p);
void rule_xen_tools(struct planner *p);        /* xentools.c */
void rule_grub_cfg(struct planner *p);         /* bootloader.c */
void rule_boot_loader(struct planner *p);
void rule_space(struct planner *p);            /* space.c */

#endif
