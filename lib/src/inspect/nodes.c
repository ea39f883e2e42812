/* nodes.c - which device nodes the guest has on its disk */
#include "inspect/parts.h"

const char *const node_place[NODES_PLACES] = {"/dev", "/etc/udev/devices", "/lib/udev/devices"};

int read_nodes(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < NODES_PLACES; i++) {
		f->nodes[i].there = fs_is_dir(fs, node_place[i]);
		if (f->nodes[i].there)
			rc = fs_list(fs, node_place[i], &f->nodes[i].names, err);
	}
	return rc;
}
