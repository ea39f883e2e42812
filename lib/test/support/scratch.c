#include "support/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[256];

struct p2h_error *scratch_error(void)
{
	static struct p2h_error err;

	return &err;
}

int scratch_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(directory, sizeof(directory), "%s/pv2hvm-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int scratch_teardown(void **state)
{
	(void)state;
	return nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const char *name)
{
	static char path[16][512];
	static unsigned turn;
	char *to = path[turn++ % 16];

	snprintf(to, sizeof(path[0]), "%s/%s", directory, name);
	return to;
}

void scratch_file(const char *name, const void *data, size_t len)
{
	int fd = open(scratch_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, (const char *)data + at, len - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	close(fd);
}

void scratch_disk(struct disk *d, const char *name)
{
	char *data = malloc(d->size);

	assert_non_null(data);
	assert_ok(disk_read(d, data, 0, d->size, E));
	scratch_file(name, data, d->size);
	free(data);
}

void *scratch_read(const char *name, size_t *ret_len)
{
	int fd = open(scratch_path(name), O_RDONLY);
	struct stat st;
	char *data;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size + 1);
	assert_non_null(data);
	for (size_t at = 0; at < (size_t)st.st_size;) {
		ssize_t n = read(fd, data + at, (size_t)st.st_size - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	close(fd);
	*ret_len = (size_t)st.st_size;
	return data;
}

bool scratch_exists(const char *name)
{
	return !access(scratch_path(name), F_OK);
}

int scratch_count(void)
{
	DIR *dir = opendir(directory);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

int scratch_shell(const char *fmt, ...)
{
	char command[2048], whole[2400];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "cd '%s' && { %s; } 2>/dev/null", directory, command);
	status = system(whole);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool tool_exists(const char *name)
{
	char command[256];

	snprintf(command, sizeof(command), "PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v %s >/dev/null 2>&1", name);
	return system(command) == 0;
}

void fill_pattern(void *data, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;
	unsigned char *to = data;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		to[i] = (unsigned char)(x >> 24);
	}
}
