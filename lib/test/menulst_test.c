/* menulst_test.c - GRUB legacy's menus as they are found on PV guests */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/menulst.h"

/* The first entry of a menu. */
static const struct {
	const char *name, *text;
	struct menulst_entry e;
} entries[] = {
    {"Amazon Linux",
     "default=0\ntimeout=0\nhiddenmenu\n\ntitle Amazon Linux 2013.09 (3.4.66)\nroot (hd0)\n"
     "kernel /boot/vmlinuz-3.4.66 root=LABEL=/ console=hvc0\ninitrd /boot/initramfs-3.4.66.img\n",
     {5, (char *)"Amazon Linux 2013.09 (3.4.66)", (char *)"(hd0)", (char *)"/boot/vmlinuz-3.4.66",
      (char *)"root=LABEL=/ console=hvc0", (char *)"/boot/initramfs-3.4.66.img", false}},
    {"Debian: tabs, comments, runs of blanks",
     "default\t\t0\n## ## Start Default Options ##\n# kopt=root=/dev/xvda1 ro\n\ntitle\t\tDebian, kernel 2.6.32 \n"
     "root\t\t(hd0)\nkernel\t\t/boot/vmlinuz-2.6.32 root=LABEL=x ro   console=hvc0 \t quiet\t\n",
     {5, (char *)"Debian, kernel 2.6.32", (char *)"(hd0)", (char *)"/boot/vmlinuz-2.6.32",
      (char *)"root=LABEL=x ro console=hvc0 quiet", (char *)"", false}},
    {"devices on the paths, no root command, no last newline",
     "title x\nuuid 1234\nkernel (hd0)/boot/vmlinuz ro\nquiet\nsavedefault\ninitrd (hd0,0)/boot/initrd",
     {1, (char *)"x", (char *)"", (char *)"/boot/vmlinuz", (char *)"ro", (char *)"/boot/initrd", false}},
    {"flags, CRLF and a joined line",
     "title CentOS\r\n\troot (hd0,0)\r\n\tkernel --type=linux --no-mem-option /vmlinuz ro \\\n\t\tquiet\r\n",
     {1, (char *)"CentOS", (char *)"(hd0,0)", (char *)"/vmlinuz", (char *)"ro quiet", (char *)"", false}},
    {"Xen",
     "title Xen\nroot (hd0,0)\nkernel /xen.gz-2.6.18 com1=115200\nmodule /vmlinuz-2.6.18xen ro root=/dev/a\nmodule /initrd.img\n",
     {1, (char *)"Xen", (char *)"(hd0,0)", (char *)"/vmlinuz-2.6.18xen", (char *)"ro root=/dev/a", (char *)"/initrd.img", true}},
    {"a hypervisor of another name, no initrd",
     "title Xen\nkernel (hd0)/boot/hypervisor.gz\nmodule (hd0)/boot/vmlinuz ro\n",
     {1, (char *)"Xen", (char *)"", (char *)"/boot/vmlinuz", (char *)"ro", (char *)"", true}},
    {"a hypervisor without Linux",
     "title Xen\nkernel /boot/xen-4.1-amd64.gz dom0_mem=1\n",
     {1, (char *)"Xen", (char *)"", (char *)"", (char *)"", (char *)"", true}},
    {"a kernel for Xen is none",
     "title x\nkernel /boot/vmlinuz-2.6.18-xen ro\n",
     {1, (char *)"x", (char *)"", (char *)"/boot/vmlinuz-2.6.18-xen", (char *)"ro", (char *)"", false}},
    {"multiboot, not Linux",
     "title Hurd\nkernel /boot/gnumach.gz root=x\nmodule /hurd/ext2fs.static --readonly\n",
     {1, (char *)"Hurd", (char *)"", (char *)"/boot/gnumach.gz", (char *)"root=x", (char *)"", false}},
    {"a title without commands is replaced by the next",
     "title Other systems:\n\ntitle chain\nrootnoverify (hd0,1)\nchainloader +1\n",
     {3, (char *)"chain", (char *)"(hd0,1)", (char *)"", (char *)"", (char *)"", false}},
    {"a comment goes on after a backslash",
     "# a \\\ntitle no\ntitle yes\nkernel /k\n",
     {3, (char *)"yes", (char *)"", (char *)"/k", (char *)"", (char *)"", false}},
    {"the last of two counts",
     "title x\nkernel /a b c\nkernel /d\ninitrd /i\ninitrd /j\n",
     {1, (char *)"x", (char *)"", (char *)"/d", (char *)"", (char *)"/j", false}},
    {"empty commands",
     "title\nroot\nkernel\ninitrd\n",
     {1, (char *)"", (char *)"", (char *)"", (char *)"", (char *)"", false}},
};

static void first_entry(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		CLEANUP(menulst_done) struct menulst m = {0};
		const struct menulst_entry *want = &entries[i].e;

		print_message("%s\n", entries[i].name);
		assert_int_equal(menulst_parse(entries[i].text, strlen(entries[i].text), &m, NULL), 0);
		assert_int_equal(m.len, 1);
		assert_int_equal(m.item[0].line, want->line);
		assert_string_equal(m.item[0].title, want->title);
		assert_string_equal(m.item[0].root, want->root);
		assert_string_equal(m.item[0].kernel, want->kernel);
		assert_string_equal(m.item[0].args, want->args);
		assert_string_equal(m.item[0].initrd, want->initrd);
		assert_int_equal(m.item[0].hypervisor, want->hypervisor);
	}
}

static void defaults(void **state)
{
	/* Put in front of three entries. */
	static const struct {
		const char *head;
		size_t entry;
		bool saved;
		int timeout;
	} rows[] = {
	    {"", 0, false, -1},
	    {"default=2\ntimeout=5\n", 2, false, 5},
	    {"default 1\ntimeout 0\n", 1, false, 0},
	    {"default\t= 1\n", 1, false, -1},
	    {"default saved\nfallback 1\n", 0, true, -1},
	    {"default=saved\ndefault=1\n", 1, false, -1},
	    {"default=3\n", 0, false, -1},
	    {"default=99999999999999999999\ntimeout=99999999999\n", 0, false, 2147483647},
	    {"default=-1\ntimeout=-1\n", 0, false, -1},
	    {"default=x\n#default=2\n", 0, false, -1},
	    {"title 0\nroot\ndefault=2\n", 0, false, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CLEANUP(menulst_done) struct menulst m = {0};
		CLEANUP(buf_done) struct buf text = {0};

		buf_puts(&text, rows[i].head);
		buf_puts(&text, "title a\nkernel /a\ntitle b\nkernel /b\ntitle c\nkernel /c\n");
		assert_int_equal(menulst_parse(text.data, text.len, &m, NULL), 0);
		assert_int_equal(m.default_entry, rows[i].entry);
		assert_int_equal(m.default_saved, rows[i].saved);
		assert_int_equal(m.timeout, rows[i].timeout);
	}
}

static void bytes_that_are_no_text(void **state)
{
	static const char text[] = "title \xff\0x\n\0kernel /no\nkernel (hd0\ninitrd --x\n module a\\";
	CLEANUP(menulst_done) struct menulst m = {0};

	(void)state;
	assert_int_equal(menulst_parse(text, sizeof(text) - 1, &m, NULL), 0);
	assert_int_equal(m.len, 1);
	assert_string_equal(m.item[0].title, "\xff");
	assert_string_equal(m.item[0].kernel, "(hd0");
	assert_string_equal(m.item[0].initrd, "");
	menulst_done(&m);
	assert_int_equal(menulst_parse(NULL, 0, &m, NULL), 0);
	assert_int_equal(m.len, 0);
}

static void too_many_entries(void **state)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct p2h_error err = {0};
	struct menulst m;

	(void)state;
	for (int i = 0; i < 100001; i++)
		buf_puts(&text, "title\nroot\n");
	assert_int_equal(menulst_parse(text.data, text.len, &m, &err), P2H_UNSUPPORTED);
	assert_null(m.item);
	assert_true(err.msg[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_entry),
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(bytes_that_are_no_text),
	    cmocka_unit_test(too_many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
