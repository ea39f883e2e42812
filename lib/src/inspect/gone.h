/* gone.h - who uses what Linux has given up; for inspect/ only */
#ifndef P2H_INSPECT_GONE_H
#define P2H_INSPECT_GONE_H

#include "inspect/facts.h"
#include "inspect/programs.h"

/* By the names that a program imports. A program that cannot be read uses nothing. */
void gone_in_program(struct facts *f, const struct program *p);

/* The scripts that start the system. */
int gone_in_scripts(struct fs *fs, struct facts *f, struct p2h_error *err);

#endif
