#include "base/kvm.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/run.h"

#define STATUS 0x15
#define WAIT_MICROSECONDS 10000

/*
 * mov $200000000,%ecx; dec %ecx; jnz to the dec; mov $STATUS,%al; out %al,$0xf4; hlt; jmp to the hlt: QEMU's debug port ends it with a status of its
 * own, 2 * STATUS + 1. The loop takes a tenth of a second, half a second under TCG, and far more than KVM_PROBE_SECONDS where KVM interprets
 * each instruction.
 */
static int boot_sector(void)
{
	static const unsigned char code[] = {0x66, 0xb9, 0x00, 0xc2, 0xeb, 0x0b, 0x66, 0x49, 0x75, 0xfc, 0xb0, STATUS, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd}, signature[] = {0x55, 0xaa};
	CLEANUP_FD int fd = memfd_create("pv2hvm-probe", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 1440 * 1024) || pwrite(fd, code, sizeof(code), 0) != sizeof(code) ||
	    pwrite(fd, signature, sizeof(signature), 510) != sizeof(signature))
		return -1;
	return TAKE_FD(fd);
}

static bool runs_once(int sector)
{
	char drive[100];
	const char *const argv[] = {"qemu-system-x86_64", "-accel", "kvm", "-cpu", "max", "-m", "32", "-nodefaults", "-display", "none", "-no-reboot",
				    "-boot", "a", "-drive", drive, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01", NULL};
	int status = 0;
	pid_t child;

	snprintf(drive, sizeof(drive), "file=/proc/self/fd/%d,format=raw,if=floppy,readonly=on,file.locking=off", sector);
	if (run_start(argv, "qemu-system-x86", -1, -1, sector, &child, NULL))
		return false;
	for (int i = 0; i < KVM_PROBE_SECONDS * 1000000 / WAIT_MICROSECONDS; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) && WEXITSTATUS(status) == 2 * STATUS + 1;
		usleep(WAIT_MICROSECONDS);
	}
	/* One that cannot even be killed is left alone: it becomes init's when we end. */
	kill(child, SIGKILL);
	for (int i = 0; i < 20 && !waitpid(child, NULL, WNOHANG); i++)
		usleep(WAIT_MICROSECONDS);
	return false;
}

bool kvm_works(void)
{
	CLEANUP_FD int sector = -1;

	if (access("/dev/kvm", R_OK | W_OK))
		return false;
	sector = boot_sector();
	return sector >= 0 && runs_once(sector) && runs_once(sector); /* one that works now and then is as bad as one that never does */
}
