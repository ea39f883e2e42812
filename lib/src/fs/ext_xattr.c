/* ext_xattr.c - extended attributes */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

#define XATTRS_MAX 10000u

static void cleanup_handle(struct ext2_xattr_handle **h)
{
	if (*h)
		ext2fs_xattrs_close(h);
}
#define CLEANUP_HANDLE CLEANUP(cleanup_handle)

/* *ret stays NULL when the file system has no attributes at all. */
static int open_handle(struct ext *e, ext2_ino_t ino, const char *path, struct ext2_xattr_handle **ret, struct p2h_error *err)
{
	CLEANUP_HANDLE struct ext2_xattr_handle *h = NULL;
	unsigned int raw = XATTR_HANDLE_FLAG_RAW; /* ACLs are converted here */
	errcode_t rc = ext2fs_xattrs_open(e->e2, ino, &h);

	if (rc == EXT2_ET_MISSING_EA_FEATURE)
		return 0;
	if (!rc)
		rc = ext2fs_xattrs_flags(h, &raw, NULL);
	if (!rc)
		rc = ext2fs_xattrs_read(h);
	if (rc)
		return ext_error(e, rc, path, err);
	*ret = TAKE(h);
	return 0;
}

static int add_name(char *name, char *value, size_t len, void *arg)
{
	struct strlist *names = arg;

	(void)value;
	(void)len;
	/* system.data is where inline data continues. What has no prefix has no name under Linux. */
	if (strcmp(name, "system.data") && strchr(name, '.'))
		strlist_add(names, name);
	return names->len < XATTRS_MAX ? 0 : XATTR_ABORT;
}

/* The value as getxattr(2) would give it. */
static int keep_value(const char *name, const void *value, size_t len, const char *path, struct fs_xattr *ret,
		      struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf shown = {0};

	if (!ext_acl_is(name))
		buf_append(&shown, value, len);
	else if (!ext_acl_from_disk(value, len, &shown))
		return error_set(err, P2H_CORRUPT, "%s: the access control list is damaged", path);
	ret->name = strdup(name);
	ret->len = shown.len;
	ret->value = buf_take(&shown);
	return ret->name && ret->value ? 0 : error_nomem(err);
}

static int get_value(struct ext *e, struct ext2_xattr_handle *h, const char *name, const char *path, struct fs_xattr *ret,
		     struct p2h_error *err)
{
	void *value = NULL;
	size_t len = 0;
	errcode_t rc = ext2fs_xattr_get(h, name, &value, &len);
	int code;

	if (rc)
		return ext_error(e, rc, path, err);
	code = keep_value(name, value, len, path, ret, err);
	ext2fs_free_mem(&value);
	return code;
}

int ext_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(fs_xattrs_done) struct fs_xattrs found = {0};
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP_HANDLE struct ext2_xattr_handle *h = NULL;
	ext2_ino_t ino;
	int rc = ext_lookup(e, path, &ino, err);

	if (!rc)
		rc = open_handle(e, ino, path, &h, err);
	if (rc || !h)
		return rc;
	ext2fs_xattrs_iterate(h, add_name, &names);
	if (names.failed)
		return error_nomem(err);
	strlist_sort(&names);
	found.item = calloc(names.len + 1, sizeof(*found.item));
	if (!found.item)
		return error_nomem(err);
	for (size_t i = 0; i < names.len && !rc; i++)
		rc = get_value(e, h, names.item[i], path, &found.item[found.len++], err);
	if (rc)
		return rc;
	*ret = found;
	found = (struct fs_xattrs){0};
	return 0;
}

int ext_set_xattr(struct fs *fs, const char *path, const char *name, const void *value, size_t len,
		  struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP_HANDLE struct ext2_xattr_handle *h = NULL;
	CLEANUP(buf_done) struct buf acl = {0};
	struct ext2_inode_large inode;
	ext2_ino_t ino;
	errcode_t rc;
	int code = ext_bitmaps(e, err);

	if (!code && ext_acl_is(name)) {
		if (!ext_acl_to_disk(value, len, &acl))
			return error_set(err, P2H_USAGE, "%s: not an access control list", path);
		if (acl.failed)
			return error_nomem(err);
		value = acl.data;
		len = acl.len;
	}
	if (!code)
		code = ext_lookup(e, path, &ino, err);
	if (code)
		return code;
	if (!ext2fs_has_feature_xattr(e->e2->super)) { /* as the kernel does at the first attribute */
		ext2fs_set_feature_xattr(e->e2->super);
		ext2fs_mark_super_dirty(e->e2);
	}
	code = open_handle(e, ino, path, &h, err);
	if (code)
		return code;
	rc = ext2fs_xattr_set(h, name, value, len);
	if (rc == EXT2_ET_EA_NO_SPACE)
		return error_set(err, P2H_NOSPACE, "%s: no room for the extended attribute %s", path, name);
	if (rc)
		return ext_error(e, rc, path, err);
	code = ext_inode_read(e, ino, &inode, path, err);
	if (code)
		return code;
	ext_inode_set_ctime(e, &inode);
	return ext_inode_write(e, ino, &inode, path, err);
}

/* Values in inodes of their own lose a user each. */
static int drop_value_inodes(struct ext *e, ext2_ino_t ino, const char *path, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP_HANDLE struct ext2_xattr_handle *h = NULL;
	int code = open_handle(e, ino, path, &h, err);

	if (code || !h)
		return code;
	ext2fs_xattrs_iterate(h, add_name, &names);
	if (names.failed)
		return error_nomem(err);
	for (size_t i = 0; i < names.len; i++) {
		errcode_t rc = ext2fs_xattr_remove(h, names.item[i]);

		if (rc)
			return ext_error(e, rc, path, err);
	}
	return 0;
}

int ext_xattrs_clear(struct ext *e, ext2_ino_t ino, const char *path, struct p2h_error *err)
{
	errcode_t rc;
	int code = 0;

	if (ext2fs_has_feature_ea_inode(e->e2->super))
		code = drop_value_inodes(e, ino, path, err);
	if (code)
		return code;
	rc = ext2fs_free_ext_attr(e->e2, ino, NULL);
	return rc ? ext_error(e, rc, path, err) : 0;
}
