#include "fs/features.h"

#include <stddef.h>

const struct fs_feature fs_feature_since[] = {
	{"metadata_csum", 3, 6}, {"bigalloc", 3, 2},  {"inline_data", 3, 8},       {"encrypt", 4, 1}, {"project", 4, 5},
	{"ea_inode", 4, 13},     {"large_dir", 4, 13}, {"metadata_csum_seed", 4, 4}, {"casefold", 5, 2}, {"verity", 5, 4},
	{NULL, 0, 0},
};
