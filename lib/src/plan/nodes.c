/* nodes.c - device nodes on the disk, for a start that finds none in /dev (Linux Documentation/admin-guide/devices.txt has the numbers) */
#include "plan/planner.h"

static const struct node {
	const char *name;
	unsigned major, minor;
	uint32_t mode;
} console_node[] = {
	{"console", 5, 1, 0600}, {"null", 1, 3, 0666}, {"tty", 5, 0, 0666}, {"tty0", 4, 0, 0600}, {"tty1", 4, 1, 0600}, {"ttyS0", 4, 64, 0600},
	{"zero", 1, 5, 0666},
};

static void make(struct planner *p, enum node_place place, const struct node *n, bool block, const char *reason)
{
	struct action *a;

	if (strlist_has(&p->facts->nodes[place].names, n->name))
		return;
	a = planner_action(p, ACTION_NODE, arena_printf(p->arena, "%s/%s", node_place[place], n->name), reason);
	if (!a)
		return;
	a->mode = n->mode;
	a->block = block;
	a->major = n->major;
	a->minor = n->minor;
}

void planner_console_nodes(struct planner *p, enum node_place place, const char *reason)
{
	for (size_t i = 0; i < sizeof(console_node) / sizeof(console_node[0]); i++)
		make(p, place, &console_node[i], false, reason);
}

/* xvda and its partitions as they will be; the other targets' disks have numbers that Linux gives out as they come. */
void planner_xen_disk_nodes(struct planner *p, enum node_place place, const char *reason)
{
	const struct volumes *v = &p->facts->volumes;
	bool new_table = p->plan->layout == P2H_LAYOUT_PARTITION;

	make(p, place, &(struct node){"xvda", 202, 0, 0600}, true, reason);
	if (new_table)
		make(p, place, &(struct node){"xvda1", 202, 1, 0600}, true, reason);
	for (size_t i = 0; !new_table && i < v->len; i++) {
		unsigned number = v->item[i].number;

		if (number && number < 16)
			make(p, place, &(struct node){arena_printf(p->arena, "xvda%u", number), 202, number, 0600}, true, reason);
	}
}
