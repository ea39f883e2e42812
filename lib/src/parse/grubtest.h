/* grubtest.h - GRUB 2's test command, in three values, for the file system and the firmware are not at hand */
#ifndef P2H_PARSE_GRUBTEST_H
#define P2H_PARSE_GRUBTEST_H

#include "base/buf.h"

enum grubtest { GRUBTEST_FALSE, GRUBTEST_TRUE, GRUBTEST_UNKNOWN };

/*
 * word[0..words): what stands after "test" or between "[" and "]". unknown: a word holds an unknown variable. have_grubenv answers
 * whether a file named grubenv is there.
 */
enum grubtest grubtest_eval(char *const *word, size_t words, bool unknown, bool have_grubenv);
enum grubtest grubtest_not(enum grubtest t);

#endif
