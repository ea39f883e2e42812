#include "apply/apply.h"

#include <string.h>

#include "apply/parts.h"
#include "base/cleanup.h"

static int write_table(const struct apply_context *c, const struct action *a, struct p2h_error *err)
{
	uint8_t mbr[512];
	int rc = mbr_make(a->table_id, a->start, a->len, mbr, err);

	return rc ? rc : disk_write(c->disk, mbr, 0, sizeof(mbr), err);
}

/* Reserves the boot loader inode's blocks; what is written there is patched once their place is known. */
static int reserve_inode5(const struct apply_context *c, struct guest *g, struct ranges *ret, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges where = {0};
	uint64_t base = guest_root_volume(g)->off;
	int rc = fs_boot_write(g->fs, c->facts->host.core, c->facts->host.core_len, &where, err);

	for (size_t i = 0; !rc && i < where.len; i++)
		ranges_add(ret, base + where.item[i].off, where.item[i].len);
	return rc ? rc : ret->failed ? error_nomem(err) : 0;
}

static int in_file_system(const struct apply_context *c, struct guest *g, const struct action *a, struct ranges *inode5,
			  struct p2h_error *err)
{
	int rc;

	switch (a->kind) {
	case ACTION_TABLE:
		return 0;
	case ACTION_FILE:
		return apply_file(g->fs, a, c->facts->clock, err);
	case ACTION_LINK:
		return apply_link(g->fs, a, c->facts->clock, err);
	case ACTION_REMOVE:
		return apply_remove(g->fs, a, err);
	case ACTION_DIRECTORY:
		return make_directories(g->fs, a->path, c->facts->clock, err);
	case ACTION_NODE:
		return apply_node(g->fs, a, c->facts->clock, err);
	case ACTION_TREE:
		return apply_tree(c, g->fs, err);
	case ACTION_FIRMWARE:
		return apply_firmware(c, g->fs, a, err);
	case ACTION_INITRAMFS:
		return apply_initramfs(g->fs, a, err);
	case ACTION_LABEL:
		return apply_labels(c, g->fs, err);
	case ACTION_BOOT_LOADER:
		rc = apply_platform(c, g->fs, err);
		if (!rc && a->place == PLACE_INODE5)
			rc = reserve_inode5(c, g, inode5, err);
		return rc;
	}
	return 0;
}

static const struct action *find(const struct plan *p, enum action_kind kind)
{
	for (size_t i = 0; i < p->actions; i++)
		if (p->action[i].kind == kind)
			return &p->action[i];
	return NULL;
}

static int change_files(const struct apply_context *c, struct ranges *inode5, struct fs_space *ret_space, struct p2h_error *err)
{
	CLEANUP_GUEST struct guest *g = NULL;
	unsigned root = plan_number_after(c->plan, c->facts->root_number);
	int rc = guest_open(c->disk, (int)root, GUEST_WRITE, c->facts->clock, &g, err);

	for (size_t i = 0; !rc && i < c->plan->actions; i++) {
		const struct action *a = &c->plan->action[i];

		rc = in_file_system(c, g, a, inode5, err);
		if (rc)
			error_prefix(err, rc, "rule %s", a->rule);
	}
	if (!rc)
		rc = fs_space(g->fs, ret_space, err);
	return rc ? rc : guest_close(TAKE(g), err);
}

int apply_plan(const struct apply_context *c, struct fs_space *ret_space, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges inode5 = {0};
	const struct action *table = find(c->plan, ACTION_TABLE), *loader = find(c->plan, ACTION_BOOT_LOADER);
	int rc = 0;

	if (table)
		rc = write_table(c, table, err);
	if (!rc)
		rc = change_files(c, &inode5, ret_space, err);
	if (!rc && loader)
		rc = apply_boot_loader(c, loader, &inode5, err);
	return rc;
}
