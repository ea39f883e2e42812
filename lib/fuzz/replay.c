/* replay.c - runs a fuzz target on every file of a directory, so that its corpus is a test that needs no fuzzer */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes go to memory of exactly their size, so that a sanitizer sees one read too many. */
static int replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");
	int failed = !data || !file || fread(data, 1, size, file) != size;

	if (failed)
		fprintf(stderr, "%s: cannot be read\n", path);
	else
		LLVMFuzzerTestOneInput(data, size);
	if (file)
		fclose(file);
	free(data);
	return failed;
}

int main(int argc, char **argv)
{
	struct dirent **entry = NULL;
	size_t replayed = 0;
	int entries, failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: %s directory\n", argv[0]);
		return 2;
	}
	entries = scandir(argv[1], &entry, NULL, alphasort);
	if (entries < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (int i = 0; i < entries; i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", argv[1], entry[i]->d_name);
		if (!stat(path, &st) && S_ISREG(st.st_mode)) {
			failed |= replay_file(path, (size_t)st.st_size);
			replayed++;
		}
		free(entry[i]);
	}
	free(entry);
	printf("%zu inputs replayed\n", replayed);
	if (!replayed)
		fprintf(stderr, "%s: holds no inputs\n", argv[1]);
	return failed || !replayed;
}
