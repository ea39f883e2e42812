/*
 * kmodindex.h - the index files of a modules directory, written: modules.dep, modules.alias and their binary forms
 *
 * The binary form is a radix tree of keys, all numbers big-endian: magic 0xb007f457, version 0x00020001, place of the root node. A node is, as far as
 * the upper bits of its place say: 0x80000000 a prefix with its NUL; 0x20000000 first and last byte of a child, then their places, 0 for none;
 * 0x40000000 a count of values, each a priority and a text with its NUL. (kmod: libkmod/libkmod-index.h, tools/depmod.c.)
 */
#ifndef P2H_PARSE_KMODINDEX_H
#define P2H_PARSE_KMODINDEX_H

#include "base/buf.h"
#include "base/error.h"

struct kmodindex_entry {
	char *key, *value;
	uint32_t priority;
	size_t number; /* in the order of kmodindex_add */
};
struct kmodindex {
	struct kmodindex_entry *item;
	size_t len, cap;
	bool failed; /* no memory; kmodindex_write says so */
};
void kmodindex_add(struct kmodindex *x, const char *key, const char *value, uint32_t priority);
void kmodindex_done(struct kmodindex *x);

/* Appends the binary form to *ret, byte for byte what depmod writes. P2H_UNSUPPORTED: a key that depmod would refuse. Sorts the entries. */
int kmodindex_write(struct kmodindex *x, struct buf *ret, struct p2h_error *err);

/* The first value of a key, inside data; NULL if it has none, or the index is damaged on the way there. (kmodindex_find.c) */
const char *kmodindex_find(const void *data, size_t len, const char *key);

/* The index of a modules.dep as it is: modules.dep.bin, its key a module's name, its value the line. */
int kmodindex_make(const char *dep, size_t len, struct buf *ret, struct p2h_error *err);

/*
 * A modules.dep with other paths. path_map appends the path that a listed one becomes (relative to the modules directory), or false: the module
 * is left out, as a line and as a dependency. Appends text and binary form; lines keep their order. Whole paths, as old depmods wrote them, are mapped
 * without their directory and get it back.
 */
typedef bool kmodindex_path_map(void *ctx, const char *path, struct buf *ret);
int kmodindex_rewrite_dep(const char *text, size_t len, kmodindex_path_map *map, void *ctx, struct buf *ret_text, struct buf *ret_bin,
			  struct p2h_error *err);

/* A modules.alias (or modules.symbols) for those modules only that are in dep, a modules.dep of kmodindex_rewrite_dep. */
int kmodindex_rewrite_alias(const char *text, size_t len, const char *dep, size_t dep_len, struct buf *ret_text, struct buf *ret_bin,
			    struct p2h_error *err);

#endif
