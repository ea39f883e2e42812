/* kvm.h - does KVM work here? */
#ifndef P2H_BASE_KVM_H
#define P2H_BASE_KVM_H

#include <stdbool.h>

/*
 * Has QEMU run a guest of a few instructions and a loop, twice. /dev/kvm may be there and open, and yet QEMU abort, its guests hang, or run a
 * hundred times slower than without it (all seen under nested virtualisation); a hang costs KVM_PROBE_SECONDS.
 */
bool kvm_works(void);
#define KVM_PROBE_SECONDS 8

#endif
