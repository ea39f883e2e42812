/*
 * fuzz_ext.c - input: changes to a small ext file system
 *
 * The first byte says which file system, and whether it is written to as well; then come changes: four bytes (how many
 * bytes minus one, 0 to 15; where, 24 bits, little-endian, counted in the blocks of it that hold something) and the bytes.
 * mke2fs makes the file systems when the target starts; without it nothing is tried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/run.h"
#include "fs/fs.h"

#define SIZE (2u << 20)
#define BLOCK 1024u
#define BASES 3u
#define WRITES 0x80u
#define STEPS 400   /* names looked at */
#define DEPTH 6     /* directories below one another */
#define READ_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct base {
	uint8_t data[SIZE];
	uint16_t used[SIZE / BLOCK]; /* the blocks that hold something */
	size_t n_used;
} base[BASES];

/* ---- making them ---- */

static bool put(const char *dir, const char *name, size_t len)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	for (size_t i = 0; f && i < len; i++)
		fputc('a' + (int)(i % 26), f);
	return f && !fclose(f);
}

static bool put_dir(const char *dir, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !mkdir(path, 0755);
}

static bool put_link(const char *dir, const char *name, const char *target)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !symlink(target, path);
}

static bool make_tree(const char *dir)
{
	char long_target[200], name[32];
	bool ok;

	memset(long_target, 'x', sizeof(long_target) - 1);
	long_target[sizeof(long_target) - 1] = '\0';
	ok = put_dir(dir, "etc") && put_dir(dir, "lib") && put_dir(dir, "lib/modules") && put_dir(dir, "many") &&
	     put(dir, "etc/fstab", 60) && put(dir, "etc/empty", 0) && put(dir, "lib/modules/a.ko", 30000) &&
	     put_link(dir, "link", "etc/fstab") && put_link(dir, "long", long_target) && put_link(dir, "loop", "loop");
	for (int i = 0; ok && i < 120; i++) {
		snprintf(name, sizeof(name), "many/a-file-with-a-number-%03d", i);
		ok = put(dir, name, 0);
	}
	return ok;
}

static bool make_base(const char *dir, const char *tree, const char *type, const char *features, struct base *ret)
{
	static const uint8_t zeros[BLOCK];
	char path[128];
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", type, "-O", features, "-b", "1024", "-N", "256", "-U",
			      "5d1c7a2e-0b0a-4a0e-9f55-6b8a3c1d2e4f", "-E", "hash_seed=5d1c7a2e-0b0a-4a0e-9f55-6b8a3c1d2e4f",
			      "-d", tree, path, "2048k", NULL};
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, "image");
	unlink(path);
	if (run_program(argv, "e2fsprogs", NULL, NULL, NULL))
		return false;
	f = fopen(path, "r");
	ok = f && fread(ret->data, SIZE, 1, f) == 1;
	if (f)
		fclose(f);
	for (size_t i = 0; i < SIZE / BLOCK; i++)
		if (memcmp(ret->data + i * BLOCK, zeros, BLOCK))
			ret->used[ret->n_used++] = (uint16_t)i;
	return ok;
}

static bool make_bases(void)
{
	static const char *const kind[BASES][2] = {
		{"ext2", "none,filetype,dir_index,ext_attr"},
		{"ext4", "none,has_journal,filetype,dir_index,ext_attr,extent,huge_file,flex_bg,uninit_bg,extra_isize"},
		{"ext4", "none,filetype,dir_index,ext_attr,extent,64bit,flex_bg,inline_data,extra_isize,metadata_csum"},
	};
	char dir[] = "/tmp/fuzz-ext-XXXXXX", tree[64];
	const char *remove_it[] = {"rm", "-rf", dir, NULL};
	bool ok;

	if (!mkdtemp(dir))
		return false;
	snprintf(tree, sizeof(tree), "%s/tree", dir);
	ok = !mkdir(tree, 0755) && make_tree(tree);
	for (size_t i = 0; ok && i < BASES; i++)
		ok = make_base(dir, tree, kind[i][0], kind[i][1], &base[i]);
	if (run_program(remove_it, "coreutils", NULL, NULL, NULL))
		fprintf(stderr, "%s is left behind\n", dir);
	return ok;
}

/* ---- using them ---- */

static void look_at(struct fs *fs, const char *path, int *steps, int depth);

static void walk(struct fs *fs, const char *path, int *steps, int depth)
{
	CLEANUP(strlist_done) struct strlist names = {0};

	if (fs_list(fs, path, &names, NULL))
		return;
	for (size_t i = 0; i < names.len && *steps < STEPS; i++) {
		CLEANUP_FREE char *below = NULL;

		if (strchr(names.item[i], '/') || !strcmp(names.item[i], ".") || !strcmp(names.item[i], ".."))
			abort();
		if (asprintf(&below, "%s/%s", path[1] ? path : "", names.item[i]) < 0) {
			below = NULL;
			return;
		}
		look_at(fs, below, steps, depth);
	}
}

static void look_at(struct fs *fs, const char *path, int *steps, int depth)
{
	CLEANUP(fs_xattrs_done) struct fs_xattrs xattrs = {0};
	CLEANUP(buf_done) struct buf content = {0};
	CLEANUP_FREE char *target = NULL;
	struct fs_stat st;

	++*steps;
	if (fs_lstat(fs, path, &st, NULL))
		return;
	fs_xattrs(fs, path, &xattrs, NULL);
	if (S_ISDIR(st.mode) && depth < DEPTH)
		walk(fs, path, steps, depth + 1);
	else if (S_ISLNK(st.mode))
		fs_readlink(fs, path, &target, NULL);
	if (!fs_read(fs, path, READ_MAX, &content, NULL) && content.len > READ_MAX)
		abort();
}

static void read_all(struct disk *d)
{
	CLEANUP(ranges_done) struct ranges unused = {0}, where = {0};
	CLEANUP(buf_done) struct buf boot = {0};
	CLEANUP_FS struct fs *fs = NULL;
	struct fs_space space;
	int steps = 0;

	if (fs_ext_open(d, 0, 0, &fs, NULL))
		return;
	walk(fs, "/", &steps, 0);
	fs_space(fs, &space, NULL);
	fs_boot_read(fs, &boot, &where, NULL);
	if (fs_free_ranges(fs, 0, &unused, NULL))
		return;
	for (size_t i = 0; i < unused.len; i++)
		if (unused.item[i].off > d->size || unused.item[i].len > d->size - unused.item[i].off)
			abort();
}

static void change_some(struct disk *d)
{
	static const struct fs_meta meta = {.mode = 0644, .mtime = 1700000000};
	static char content[20000];
	CLEANUP(ranges_done) struct ranges where = {0};
	struct fs *fs = NULL;

	if (fs_ext_open(d, FS_WRITE, 1700000000, &fs, NULL))
		return;
	fs_write(fs, "/etc/fstab", content, 3000, NULL, NULL);
	fs_mkdir(fs, "/lib/modules/new", &meta, NULL);
	fs_write(fs, "/lib/modules/new/file", content, sizeof(content), &meta, NULL);
	fs_symlink(fs, "file", "/lib/modules/new/link", &meta, NULL);
	fs_unlink(fs, "/lib/modules/a.ko", NULL);
	fs_write(fs, "/many/one-more", content, 10, &meta, NULL);
	fs_boot_write(fs, content, 10000, &where, NULL);
	fs_close(fs, NULL);
}

static bool patch(struct disk *d, const struct base *b, const uint8_t *data, size_t size)
{
	while (size > 4) {
		size_t n = data[0] % 16u + 1, at = (data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16) % (b->n_used * BLOCK);

		n = n < size - 4 ? n : size - 4;
		at = b->used[at / BLOCK] * (size_t)BLOCK + at % BLOCK;
		if (n > SIZE - at)
			n = SIZE - at;
		if (disk_write(d, data + 4, at, n, NULL))
			return false;
		data += 4 + n;
		size -= 4 + n;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int made; /* 0: not yet, 1: yes, -1: cannot be */
	CLEANUP_DISK struct disk *d = NULL;
	const struct base *b;

	if (!made) {
		made = make_bases() ? 1 : -1;
		if (made < 0)
			fputs("fuzz_ext: mke2fs makes no file systems here: nothing is tried\n", stderr);
	}
	if (made < 0 || !size || disk_mem_open(SIZE, &d, NULL))
		return 0;
	b = &base[(data[0] & ~WRITES) % BASES];
	for (size_t i = 0; i < b->n_used; i++)
		if (disk_write(d, b->data + b->used[i] * (size_t)BLOCK, b->used[i] * (uint64_t)BLOCK, BLOCK, NULL))
			return 0;
	if (!patch(d, b, data + 1, size - 1))
		return 0;
	read_all(d);
	if (data[0] & WRITES) {
		change_some(d);
		read_all(d);
	}
	return 0;
}
