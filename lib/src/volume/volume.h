/*
 * volume.h - what lies on a disk: partition table (libfdisk) and signatures (libblkid)
 *
 * Both libraries want a file descriptor. They get a sparse in-memory copy of the places that they look at (the first and last
 * MiB of the disk and of every partition, and the chain of extended boot records), so that any struct disk can be probed: a raw
 * file, a qcow2 behind qemu-nbd, a transaction.
 */
#ifndef P2H_VOLUME_VOLUME_H
#define P2H_VOLUME_VOLUME_H

#include "disk/disk.h"

enum volume_table { TABLE_NONE, TABLE_MBR, TABLE_GPT };

/* Between a volume and the disk; bits. */
#define VOLUME_LVM 1u
#define VOLUME_RAID 2u
#define VOLUME_LUKS 4u

#define VOLUME_MAPPED 1000u /* numbers from here on: in layers; off and the partition's strings say nothing */
#define VOLUME_FURTHER 2000u /* the machine's second disk as a whole; 2001 its first partition, 3000 the third disk, ... */

/* A whole disk (number 0), a partition, or something in layers on them. Strings are "" when unknown, never NULL. */
struct volume {
	unsigned number;      /* 0: the whole disk; else as in /dev/xvda<number>; or see above */
	unsigned disk;        /* where it lies, or the first of these where it lies in layers: 0 is the machine's first, 1 that one's `next`, ... */
	unsigned layers;      /* VOLUME_LVM, ... */
	char device[128];     /* what the guest calls it, in layers or on a further disk: "/dev/vg0/root", "/dev/md0", "/dev/xvdb1"; else "" */
	char mapped[128];     /* what libguestfs' appliance calls it, in layers */
	char raid[16];        /* "raid1": level of the array below it, if there is one */
	unsigned missing;     /* devices of that array that are not there */
	char luks[40];        /* UUID of the encrypted volume below it, if there is one */
	uint64_t off, len;    /* bytes */
	bool active;          /* MBR boot flag, GPT legacy BIOS bootable attribute */
	char type[40];        /* partition type: "83" for MBR, lower-case GUID for GPT, "" for a whole disk */
	char part_uuid[40];   /* PARTUUID as the kernel knows it, lower case */
	char part_label[80];  /* GPT: PARTLABEL */
	char content[32];     /* libblkid's TYPE: "ext4", "swap", "xfs", "LVM2_member", ...; "" if no signature */
	char uuid[40];        /* as libblkid prints it */
	char label[128];
};

struct volumes {
	enum volume_table table;
	char table_id[40];       /* MBR: "0x1234abcd"; GPT: GUID */
	unsigned sector_size;    /* 512 */
	/* [0] is the whole disk (content "" when there is a table), then partitions by number; then those of further disks, whole ones without a table only. */
	struct volume *item;
	size_t len;
};

/* A disk with those that come behind it. Errors: P2H_CORRUPT when the table contradicts itself or a partition leaves the disk (a truncated image: the message says so). */
int volumes_probe(struct disk *d, struct volumes *ret, struct p2h_error *err);
void volumes_done(struct volumes *v);

/* What one device of this host holds, without looking for partitions: content, uuid and label of *ret. */
int volume_probe_path(const char *path, struct volume *ret, struct p2h_error *err);

/* "partition 3", "the whole disk", "/dev/vg0/root", "/dev/xvdb1" */
void volume_describe(const struct volume *v, char *buf, size_t size);
bool volume_is_mapped(const struct volume *v); /* in layers? */
/* In layers, or on a further disk: no place of the disk that the machine starts from. */
bool volume_is_elsewhere(const struct volume *v);
/* Does it only hold others: a member of a volume group or of an array, or encrypted? */
bool volume_is_layer(const struct volume *v);

const struct volume *volumes_number(const struct volumes *v, unsigned number); /* NULL: there is none */
int volumes_copy(const struct volumes *from, struct volumes *ret, struct p2h_error *err);

/* The number of a partition (0: the whole) of the machine's disk with that index; and what it is on its own disk. */
unsigned volume_number_on(unsigned disk, unsigned partition);
unsigned volume_partition(const struct volume *v);

/* The disk with that index, of a machine whose first disk is d. */
struct disk *volume_disk(struct disk *d, const struct volume *v);
/* The volume as a disk of its own (whole disk: a slice of everything); not for one in layers. d: the machine's first. */
int volume_open(struct disk *d, const struct volume *v, struct disk **ret, struct p2h_error *err);

#define VOLUME_GPT_BIOS_BOOT "21686148-6449-6e6f-744e-656564454649"
#define VOLUME_ALIGNMENT (1024 * 1024u) /* where the first partition starts in the `partition` layout, bytes */

#define VOLUME_DISKS 25u /* further ones, /dev/xvdb to /dev/xvdz */
/* Is it a name for a whole disk, as kernels and EC2 give it ("/dev/xvdf", "/dev/sdf", "/dev/nvme1n1"), and not that of the first? */
bool volume_is_disk_name(const char *device);

/*
 * The volume that the guest calls `device` ("/dev/xvda1", "UUID=...", "LABEL=...", "PARTUUID=...", "PARTLABEL=...", "/dev/vg0/root",
 * "/dev/mapper/vg0-root"); NULL: none in this image.
 */
const struct volume *volumes_find(const struct volumes *v, const char *device);

/*
 * The 512 bytes of a master boot record: no boot code, disk signature `id`, one active partition of type 0x83 from byte `start` for `len`
 * bytes. P2H_UNSUPPORTED beyond 2 TiB.
 */
int mbr_make(uint32_t id, uint64_t start, uint64_t len, uint8_t ret[512], struct p2h_error *err);

#endif
