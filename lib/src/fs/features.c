#include "fs/features.h"

#include <stddef.h>

const struct fs_feature fs_feature_since[] = {
	{"metadata_csum", 3, 6, NULL}, {"bigalloc", 3, 2, NULL},   {"inline_data", 3, 8, NULL},	    {"encrypt", 4, 1, NULL},
	{"ea_inode", 4, 13, NULL},     {"large_dir", 4, 13, NULL}, {"metadata_csum_seed", 4, 4, NULL}, {"verity", 5, 4, NULL},
	{"quota", 3, 6, "QUOTA"},      {"project", 4, 5, "QUOTA"}, {"casefold", 5, 2, "UNICODE"},      {NULL, 0, 0, NULL},
};
