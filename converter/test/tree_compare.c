/*
 * tree-compare BEFORE AFTER [NAMED]
 *
 * Compares two ext file systems, path by path and with every attribute: inode number (so also hard links), type, mode, owner,
 * times, flags, extended attributes, link targets and content. BEFORE and AFTER are named as e2fsprogs do (FILE?offset=BYTES).
 * NAMED lists the paths that may differ, one a line. Such a file may have been edited: its mode, owner and attributes are as
 * before. One that ends in a slash stands for itself and all below it, which may have been replaced as a whole. What follows may differ, too: a directory's own time and size where an entry in it came or went, and new directories on the way.
 *
 * Prints each difference, "named" or "UNNAMED" first. Exit status: 0 all named, 1 not, 2 something could not be read.
 * It shares nothing with the code that it checks but libext2fs.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

enum { CHUNK = 1 << 16, FIELDS = 256 };

struct entry {
	char *name;
	ext2_ino_t ino;
};

struct list {
	struct entry *entry;
	size_t len;
};

struct attribute {
	char *name;
	void *value;
	size_t len;
};

struct attributes {
	struct attribute *item;
	size_t len;
};

static ext2_filsys before, after;
static char **named;
static size_t named_len;
static unsigned long unnamed;

__attribute__((noreturn, format(printf, 2, 3))) static void die(errcode_t code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("tree-compare: ", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", code ? error_message(code) : "out of memory");
	exit(2);
}

static void *checked(void *p)
{
	if (!p)
		die(0, "malloc");
	return p;
}

static char *join(const char *dir, const char *name)
{
	const size_t len = strlen(dir) + strlen(name) + 2;
	char *path = checked(malloc(len));

	snprintf(path, len, "%s/%s", strcmp(dir, "/") ? dir : "", name);
	return path;
}

/* ---- what may differ ---- */

/* A path with the symbolic links of its directory followed, as the walk will meet it. */
static char *canonical(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = checked(slash == path ? strdup("/") : strndup(path, (size_t)(slash - path)));
	char *real = NULL, *joined;
	ext2_ino_t ino;

	if (!ext2fs_namei_follow(after, EXT2_ROOT_INO, EXT2_ROOT_INO, dir, &ino) && ino != EXT2_ROOT_INO &&
	    ext2fs_get_pathname(after, ino, 0, &real))
		real = NULL;
	joined = join(real ? real : dir, slash + 1);
	free(dir);
	if (real)
		ext2fs_free_mem(&real);
	return joined;
}

static void read_named(const char *file)
{
	FILE *f = fopen(file, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	if (!f)
		die(EXT2_ET_FILE_NOT_FOUND, "%s", file);
	while ((len = getline(&line, &room, f)) > 0) {
		const bool tree = (line[len - 1] == '\n' && (line[--len] = '\0', len)) && line[len - 1] == '/';
		char *path;

		if (line[0] != '/' || len < 2)
			continue;
		line[len - tree] = '\0';
		path = canonical(line);
		named = checked(realloc(named, (named_len + 1) * sizeof(*named)));
		named[named_len++] = tree ? join(path, "") : strdup(path);
		free(path);
	}
	free(line);
	fclose(f);
}

static bool below(const char *path, const char *tree)
{
	const size_t len = strlen(tree);

	return tree[len - 1] == '/' && (!strncmp(path, tree, len) || (strlen(path) == len - 1 && !strncmp(path, tree, len - 1)));
}

/* A directory that had to be made for a named path */
static bool leads_to_named(const char *path)
{
	const size_t len = strlen(path);

	for (size_t i = 0; i < named_len; i++)
		if (!strncmp(named[i], path, len) && named[i][len] == '/')
			return true;
	return false;
}

static void tell(bool may, const char *what, const char *path, const char *fields)
{
	unnamed += !may;
	printf("%s %s %s%s%s\n", may ? "named" : "UNNAMED", what, path, *fields ? ": " : "", fields);
}

/* ---- directories ---- */

static int add_entry(ext2_ino_t dir, int kind, struct ext2_dir_entry *d, int offset, int block_size, char *block, void *data)
{
	struct list *list = data;
	const size_t len = (size_t)ext2fs_dirent_name_len(d);

	(void)dir, (void)offset, (void)block_size, (void)block, (void)kind;
	/* Not by kind: in a directory that lies in its inode libext2fs calls ".." a file like others. */
	if (!d->inode || (len == 1 && d->name[0] == '.') || (len == 2 && d->name[0] == '.' && d->name[1] == '.'))
		return 0;
	if (!(list->len & (list->len - 1)))
		list->entry = checked(realloc(list->entry, (list->len ? 2 * list->len : 1) * sizeof(*list->entry)));
	list->entry[list->len++] = (struct entry){checked(strndup(d->name, len)), d->inode};
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static struct list read_directory(ext2_filsys fs, ext2_ino_t ino, const char *path)
{
	struct list list = {0};
	errcode_t code = ext2fs_dir_iterate2(fs, ino, 0, NULL, add_entry, &list);

	if (code)
		die(code, "%s", path);
	if (list.len)
		qsort(list.entry, list.len, sizeof(*list.entry), by_name);
	return list;
}

static void free_list(struct list *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->entry[i].name);
	free(list->entry);
}

/* ---- inodes ---- */

static void read_inode(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode_large *inode)
{
	errcode_t code;

	memset(inode, 0, sizeof(*inode));
	code = ext2fs_read_inode_full(fs, ino, (struct ext2_inode *)inode, sizeof(*inode));
	if (code)
		die(code, "inode %u", ino);
	/* What lies behind the fields in use is not theirs but extended attributes. */
	if (EXT2_INODE_SIZE(fs->super) > EXT2_GOOD_OLD_INODE_SIZE) {
		const size_t used = EXT2_GOOD_OLD_INODE_SIZE + inode->i_extra_isize;

		if (used < sizeof(*inode))
			memset((char *)inode + used, 0, sizeof(*inode) - used);
	}
}

static ext2_file_t open_file(ext2_filsys fs, ext2_ino_t ino)
{
	ext2_file_t file;
	errcode_t code = ext2fs_file_open(fs, ino, 0, &file);

	if (code)
		die(code, "inode %u", ino);
	return file;
}

static bool same_content(ext2_ino_t a, ext2_ino_t b)
{
	static char bytes[2][CHUNK];
	ext2_file_t file[2] = {open_file(before, a), open_file(after, b)};
	unsigned int got[2] = {1, 1};
	bool same = true;

	while (same && got[0]) {
		for (int i = 0; i < 2; i++) {
			errcode_t code = ext2fs_file_read(file[i], bytes[i], CHUNK, &got[i]);

			if (code)
				die(code, "inode %u", i ? b : a);
		}
		same = got[0] == got[1] && !memcmp(bytes[0], bytes[1], got[0]);
	}
	ext2fs_file_close(file[0]);
	ext2fs_file_close(file[1]);
	return same;
}

static int add_attribute(char *name, char *value, size_t len, void *data)
{
	struct attributes *list = data;

	/* The second part of a small file's or directory's content, with inline_data */
	if (!strcmp(name, "system.data"))
		return 0;
	list->item = checked(realloc(list->item, (list->len + 1) * sizeof(*list->item)));
	list->item[list->len] = (struct attribute){checked(strdup(name)), checked(malloc(len + 1)), len};
	memcpy(list->item[list->len++].value, value, len);
	return 0;
}

static int by_attribute(const void *a, const void *b)
{
	return strcmp(((const struct attribute *)a)->name, ((const struct attribute *)b)->name);
}

static struct attributes read_attributes(ext2_filsys fs, ext2_ino_t ino)
{
	struct ext2_xattr_handle *handle;
	struct attributes list = {0};
	unsigned int raw = XATTR_HANDLE_FLAG_RAW;
	errcode_t code = ext2fs_xattrs_open(fs, ino, &handle);

	if (!code) {
		code = ext2fs_xattrs_flags(handle, &raw, NULL);
		code = code ? code : ext2fs_xattrs_read(handle);
		code = code ? code : ext2fs_xattrs_iterate(handle, add_attribute, &list);
		ext2fs_xattrs_close(&handle);
	}
	if (code)
		die(code, "extended attributes of inode %u", ino);
	if (list.len)
		qsort(list.item, list.len, sizeof(*list.item), by_attribute);
	return list;
}

static void free_attributes(struct attributes *list)
{
	for (size_t i = 0; i < list->len; i++) {
		free(list->item[i].name);
		free(list->item[i].value);
	}
	free(list->item);
}

static bool same_attributes(ext2_ino_t a, ext2_ino_t b)
{
	struct attributes one = read_attributes(before, a), other = read_attributes(after, b);
	bool same = one.len == other.len;

	for (size_t i = 0; same && i < one.len; i++)
		same = !strcmp(one.item[i].name, other.item[i].name) && one.item[i].len == other.item[i].len &&
		       !memcmp(one.item[i].value, other.item[i].value, one.item[i].len);
	free_attributes(&one);
	free_attributes(&other);
	return same;
}

/* What an edit of a file, another file in its place, and what a change of a directory's entries may change of the inode itself */
static const char *const of_edit[] = {"inode", "size", "atime", "mtime", "ctime", "crtime", "generation", "version", "content", "form", NULL};
static const char *const of_replacement[] = {"inode", "mode", "owner", "links", "size", "atime", "mtime", "ctime", "crtime", "flags",
					     "generation", "version", "content", "form", "attributes", NULL};
static const char *const of_entries[] = {"size", "mtime", "ctime", "links", "flags", "version", "form", NULL};

/* Flags that say how a content is stored, which may change with its length */
#define FORM ((unsigned)(EXT4_INLINE_DATA_FL | EXT4_EXTENTS_FL))

static bool among(const char *const *list, const char *name)
{
	while (*list && strcmp(*list, name))
		list++;
	return *list;
}

struct fields {
	const char *const *may; /* NULL: none */
	char text[FIELDS];
	bool all_may;
};

static void differs(struct fields *f, bool different, const char *name)
{
	if (!different)
		return;
	f->all_may = f->all_may && f->may && among(f->may, name);
	snprintf(f->text + strlen(f->text), FIELDS - strlen(f->text), "%s%s", *f->text ? ", " : "", name);
}

/* What of a path may differ; NULL: nothing */
static const char *const *may_differ(const char *path)
{
	const char *const *may = NULL;

	for (size_t i = 0; i < named_len; i++) {
		if (below(path, named[i]))
			return of_replacement;
		if (!strcmp(path, named[i]))
			may = of_edit;
	}
	return may;
}

static void compare_inode(const char *path, ext2_ino_t a, ext2_ino_t b, bool entries_differ)
{
	struct fields f = {.may = entries_differ ? of_entries : may_differ(path), .all_may = true};
	struct ext2_inode_large x, y;
	bool link, inside;

	read_inode(before, a, &x);
	read_inode(after, b, &y);
	link = LINUX_S_ISLNK(x.i_mode) && LINUX_S_ISLNK(y.i_mode);
	/* Devices and short link targets are in the inode, where blocks' numbers are else. */
	inside = LINUX_S_ISCHR(x.i_mode) || LINUX_S_ISBLK(x.i_mode) || (link && ext2fs_is_fast_symlink((struct ext2_inode *)&x));

	differs(&f, a != b, "inode");
	differs(&f, x.i_mode != y.i_mode, "mode");
	differs(&f, inode_uid(x) != inode_uid(y) || inode_gid(x) != inode_gid(y), "owner");
	differs(&f, x.i_links_count != y.i_links_count, "links");
	differs(&f, EXT2_I_SIZE(&x) != EXT2_I_SIZE(&y), "size");
	differs(&f, x.i_atime != y.i_atime || x.i_atime_extra != y.i_atime_extra, "atime");
	differs(&f, x.i_mtime != y.i_mtime || x.i_mtime_extra != y.i_mtime_extra, "mtime");
	differs(&f, x.i_ctime != y.i_ctime || x.i_ctime_extra != y.i_ctime_extra, "ctime");
	differs(&f, x.i_crtime != y.i_crtime || x.i_crtime_extra != y.i_crtime_extra, "crtime");
	differs(&f, x.i_dtime != y.i_dtime, "dtime");
	differs(&f, (x.i_flags ^ y.i_flags) & ~FORM, "flags");
	differs(&f, (x.i_flags ^ y.i_flags) & FORM, "form");
	differs(&f, x.i_generation != y.i_generation, "generation");
	differs(&f, x.osd1.linux1.l_i_version != y.osd1.linux1.l_i_version || x.i_version_hi != y.i_version_hi, "version");
	differs(&f, x.i_projid != y.i_projid, "project");
	if (inside)
		differs(&f, memcmp(x.i_block, y.i_block, sizeof(x.i_block)) != 0, "content");
	else if (link || (LINUX_S_ISREG(x.i_mode) && LINUX_S_ISREG(y.i_mode)))
		differs(&f, !same_content(a, b), "content");
	differs(&f, !same_attributes(a, b), "attributes");
	if (*f.text)
		tell(f.all_may, "changed", path, f.text);
}

/* ---- the walk ---- */

static bool is_directory(ext2_filsys fs, ext2_ino_t ino)
{
	struct ext2_inode_large inode;

	read_inode(fs, ino, &inode);
	return LINUX_S_ISDIR(inode.i_mode);
}

/* All that only one of them has */
static void tell_all(ext2_filsys fs, const char *what, const char *path, ext2_ino_t ino)
{
	const bool directory = is_directory(fs, ino);

	tell(may_differ(path) || (directory && fs == after && leads_to_named(path)), what, path, "");
	if (directory) {
		struct list list = read_directory(fs, ino, path);

		for (size_t i = 0; i < list.len; i++) {
			char *child = join(path, list.entry[i].name);

			tell_all(fs, what, child, list.entry[i].ino);
			free(child);
		}
		free_list(&list);
	}
}

static void compare_directory(const char *path, ext2_ino_t a, ext2_ino_t b);

static void compare_path(const char *path, ext2_ino_t a, ext2_ino_t b)
{
	const bool directories = is_directory(before, a) && is_directory(after, b);

	if (directories)
		compare_directory(path, a, b);
	else
		compare_inode(path, a, b, false);
}

static void compare_directory(const char *path, ext2_ino_t a, ext2_ino_t b)
{
	struct list one = read_directory(before, a, path), other = read_directory(after, b, path);
	bool entries_differ = false;
	size_t i = 0, j = 0;

	while (i < one.len || j < other.len) {
		const int order = i == one.len ? 1 : j == other.len ? -1 : by_name(&one.entry[i], &other.entry[j]);
		char *child = join(path, order > 0 ? other.entry[j].name : one.entry[i].name);

		if (order < 0)
			tell_all(before, "removed", child, one.entry[i].ino);
		else if (order > 0)
			tell_all(after, "added", child, other.entry[j].ino);
		else
			compare_path(child, one.entry[i].ino, other.entry[j].ino);
		entries_differ |= order || one.entry[i].ino != other.entry[j].ino;
		i += order <= 0;
		j += order >= 0;
		free(child);
	}
	compare_inode(path, a, b, entries_differ);
	free_list(&one);
	free_list(&other);
}

static ext2_filsys open_fs(const char *name)
{
	ext2_filsys fs;
	errcode_t code = ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);

	if (code)
		die(code, "%s", name);
	return fs;
}

int main(int argc, char **argv)
{
	initialize_ext2_error_table();
	if (argc < 3 || argc > 4) {
		fputs("usage: tree-compare BEFORE AFTER [NAMED]\n", stderr);
		return 2;
	}
	before = open_fs(argv[1]);
	after = open_fs(argv[2]);
	if (argc == 4)
		read_named(argv[3]);
	compare_directory("/", EXT2_ROOT_INO, EXT2_ROOT_INO);
	for (size_t i = 0; i < named_len; i++)
		free(named[i]);
	free(named);
	ext2fs_close_free(&before);
	ext2fs_close_free(&after);
	return unnamed != 0;
}
