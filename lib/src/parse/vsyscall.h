/*
 * vsyscall.h - does x86-64 machine code call the vsyscall page?
 *
 * The kernel once kept gettimeofday, time and getcpu at fixed addresses (Documentation/arch/x86/x86_64/mm.rst: the page at 0xffffffffff600000,
 * an entry each 1024 bytes). Programs have the address in an instruction: compiled, or glibc's own assembler.
 */
#ifndef P2H_PARSE_VSYSCALL_H
#define P2H_PARSE_VSYSCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest instruction that is looked for: pieces of code have to overlap by so much. */
#define VSYSCALL_OVERLAP 16u

/*
 * Looks for an instruction that loads or calls one of the addresses; `address`: where code[0] is loaded. Addresses in data are not looked at:
 * Go and newer C libraries keep one there for kernels without a vDSO, and never use it.
 */
bool vsyscall_called(const uint8_t *code, size_t len, uint64_t address);

#endif
