/* ext_error.c - libext2fs' error numbers in our terms */
#include <et/com_err.h>
#include <pthread.h>

#include "fs/ext.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_table(void)
{
	initialize_ext2_error_table();
}

void ext_error_init(void)
{
	pthread_once(&once, init_table);
}

static enum p2h_code code_of(errcode_t rc)
{
	switch (rc) {
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_DIR_NO_SPACE:
	case EXT2_ET_EA_NO_SPACE:
	case EXT2_ET_INLINE_DATA_NO_SPACE:
	case EXT2_ET_TOOSMALL:
		return P2H_NOSPACE;
	case EXT2_ET_FILE_NOT_FOUND:
		return P2H_NOTFOUND;
	case EXT2_ET_DIR_EXISTS:
	case EXT2_ET_FILE_EXISTS:
		return P2H_EXISTS;
	case EXT2_ET_UNSUPP_FEATURE:
	case EXT2_ET_RO_UNSUPP_FEATURE:
	case EXT2_ET_DIRHASH_UNSUPP:
	case EXT2_ET_OP_NOT_SUPPORTED:
	case EXT2_ET_UNIMPLEMENTED:
	case EXT2_ET_FILE_TOO_BIG:
	case EXT2_ET_UNKNOWN_CSUM:
	case EXT2_ET_REV_TOO_HIGH:
		return P2H_UNSUPPORTED;
	default:
		return P2H_CORRUPT; /* what else libext2fs reports is metadata that contradicts itself */
	}
}

int ext_error(struct ext *e, errcode_t rc, const char *what, struct p2h_error *err)
{
	struct p2h_error io = e->io_error;

	e->io_error.code = 0;
	if (io.code) {
		if (err)
			*err = io;
		return error_prefix(err, io.code, "%s", what);
	}
	if (rc == ENOMEM || rc == EXT2_ET_NO_MEMORY)
		return error_nomem(err);
	if (rc == EXT2_ET_BLOCK_ALLOC_FAIL)
		return error_set(err, P2H_NOSPACE, "%s: no free block is left in the file system", what);
	if (rc == EXT2_ET_INODE_ALLOC_FAIL)
		return error_set(err, P2H_NOSPACE, "%s: no free inode is left in the file system", what);
	if (rc > 0 && rc < 256)
		return error_sys(err, (int)rc, "%s", what);
	return error_set(err, code_of(rc), "%s: %s", what, error_message(rc));
}
