/*
 * ext_acl.c - POSIX ACLs: ext stores them shorter than getxattr(2) shows them
 *
 * Disk: version 1 (le32), then tag and permissions (le16 each), with an id (le32) for named users and groups only
 * (fs/ext4/acl.h). Attribute value: version 2, and an id everywhere (include/uapi/linux/posix_acl_xattr.h). libext2fs can
 * convert too, but believes the lengths it finds on disk.
 */
#include <string.h>

#include "base/le.h"
#include "fs/ext.h"

#define DISK_VERSION 1
#define VALUE_VERSION 2
#define NO_ID 0xffffffffu

bool ext_acl_is(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default");
}

/* Does an entry with this tag have an id? Returns false when there is no such tag. */
static bool know_tag(uint16_t tag, bool *ret_id)
{
	*ret_id = tag == 0x02 || tag == 0x08;                               /* a user, a group */
	return *ret_id || tag == 0x01 || tag == 0x04 || tag == 0x10 || tag == 0x20; /* owner, group, mask, others */
}

static void put_entry(struct buf *to, const uint8_t *tag_and_perm, bool has_id, uint32_t id)
{
	uint8_t id_le[4];

	buf_append(to, tag_and_perm, 4);
	le32_put(id_le, id);
	if (has_id)
		buf_append(to, id_le, 4);
}

static void put_version(struct buf *to, uint32_t version)
{
	uint8_t version_le[4];

	le32_put(version_le, version);
	buf_append(to, version_le, 4);
}

bool ext_acl_from_disk(const void *acl, size_t len, struct buf *ret)
{
	const uint8_t *at = acl;
	bool has_id;

	if (len < 4 || le32_get(at) != DISK_VERSION)
		return false;
	put_version(ret, VALUE_VERSION);
	for (at += 4, len -= 4; len; at += has_id ? 8 : 4, len -= has_id ? 8 : 4) {
		if (len < 4 || !know_tag(le16_get(at), &has_id) || (has_id && len < 8))
			return false;
		put_entry(ret, at, true, has_id ? le32_get(at + 4) : NO_ID);
	}
	return true;
}

bool ext_acl_to_disk(const void *acl, size_t len, struct buf *ret)
{
	const uint8_t *at = acl;
	bool has_id;

	if (len < 4 || (len - 4) % 8 || le32_get(at) != VALUE_VERSION)
		return false;
	put_version(ret, DISK_VERSION);
	for (at += 4, len -= 4; len; at += 8, len -= 8) {
		if (!know_tag(le16_get(at), &has_id))
			return false;
		put_entry(ret, at, has_id, le32_get(at + 4));
	}
	return true;
}
