/* grubcfg_test.c - what boots by a grub.cfg: the shapes grub-mkconfig writes, and damaged ones */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/grubcfg.h"

/* The last part of a grubenv; a real one is padded to 1024 bytes. */
#define ENV "# GRUB Environment Block\n"
#define MENU \
	"menuentry 'A' --id a { linux /a }\n" \
	"submenu 'S' --id s { menuentry 'B>1' --id b { linux /b }\n menuentry 'C' { linux /c }\n }\n" \
	"menuentry 'D' $menuentry_id_option 'd' { linux /d }\n"
#define MKCONFIG \
	"if [ -s $prefix/grubenv ]; then\n  load_env\nfi\n" \
	"if [ \"${next_entry}\" ] ; then\n   set default=\"${next_entry}\"\n   set next_entry=\n" \
	"   save_env next_entry\n   set boot_once=true\nelse\n   set default=\"${saved_entry}\"\nfi\n" \
	"if [ x\"${feature_menuentry_id}\" = xy ]; then\n  menuentry_id_option=\"--id\"\n" \
	"else\n  menuentry_id_option=\"\"\nfi\nexport menuentry_id_option\n"

static void parse(const char *text, const char *env, struct grubcfg *g)
{
	struct p2h_error err = {0};

	if (grubcfg_parse(text, strlen(text), env, g, &err))
		fail_msg("%s", err.msg);
}

static void defaults(void **state)
{
	/* head is put in front of MENU: entries A, S>B, S>C, D. */
	static const struct {
		const char *head, *env, *value;
		size_t entry;
		bool found;
	} rows[] = {
	    {"", NULL, "", 0, true},
	    {"set default=0\n", NULL, "0", 0, true},
	    {"set default=\"2\"\n", NULL, "2", 3, true},
	    {"set default=1\n", NULL, "1", 1, true}, /* the submenu: its first */
	    {"set default='1>1'\n", NULL, "1>1", 2, true},
	    {"set default=\"s>b\"\n", NULL, "s>b", 1, true},
	    {"set default='S>B>>1'\n", NULL, "S>B>>1", 1, true},
	    {"set default='S>C'\n", NULL, "S>C", 2, true},
	    {"set default=S\\>C\n", NULL, "S>C", 2, true},
	    {"set default=3\n", NULL, "3", 0, false},
	    {"set default=99999999999999999999999\n", NULL, "99999999999999999999999", 0, false},
	    {"set default=gone\n", NULL, "gone", 0, false},
	    {"set default=1\\>9\n", NULL, "1>9", 0, false},
	    {"default=2\n", NULL, "2", 3, true},
	    {"set default=0; set default=2 # x\n", NULL, "2", 3, true},
	    {"set default=saved\n", NULL, "", 0, true},
	    {"load_env\nset default=saved\n", ENV "saved_entry=D\n", "D", 3, true},
	    {"set default=2\nset default=\"$prefix\"\n", NULL, "2", 3, true}, /* only literals count */
	    /* grub-mkconfig's head */
	    {MKCONFIG, NULL, "", 0, true},
	    {MKCONFIG, ENV "saved_entry=d\n####", "d", 3, true},
	    {MKCONFIG, ENV "saved_entry=s>b\nnext_entry=2\n####", "2", 3, true},
	    {MKCONFIG, ENV "saved_entry=a\\\\b\n", "a\\b", 0, false},
	    {MKCONFIG, "", "", 0, true},
	    {"load_env saved_entry\nset default=\"$saved_entry\"\n", ENV "x=1\nsaved_entry=D\n", "D", 3, true},
	    {"load_env -f ${config_directory}/grubenv saved_entry\nset default=\"$saved_entry\"\n", ENV "saved_entry=2\n", "2", 3,
	     true},
	    {"load_env -f /other saved_entry\nset default=\"$saved_entry\"\n", ENV "saved_entry=2\n", "", 0, true},
	    /* conditions */
	    {"if [ a = b ]; then set default=1; elif [ a = a ]; then set default=2; else set default=0; fi\n", NULL, "2", 3, true},
	    {"if true; then set default=2; else set default=1; fi\n", NULL, "2", 3, true},
	    {"if ! true; then set default=1; else set default=2; fi\n", NULL, "2", 3, true},
	    {"if [ -z \"$x\" -a -n y ]; then set default=2; fi\n", NULL, "2", 3, true},
	    {"if [ -n \"$x\" -o y != y ]; then set default=1; fi\n", NULL, "", 0, true},
	    {"if test 3 -gt 12; then set default=1; fi\n", NULL, "", 0, true},
	    {"if [ $x ]; then set default=1; fi\n", NULL, "", 0, true},
	    {"if [ x$grub_platform = xpc ]; then set default=2; fi\n", NULL, "2", 3, true},
	    {"if [ -e /x ]; then set default=1; else set default=2; fi\n", NULL, "2", 3, true},
	    {"if [ -e /x ]; then set default=2; fi\n", NULL, "2", 3, true},
	    {"if [ -e /x ]; then if [ a = b ]; then set default=2; fi; fi\n", NULL, "", 0, true},
	    {"if false; then if true; then set default=1; else set default=1; fi; else set default=2; fi\n", NULL, "2", 3, true},
	    {"set x=2\nset default=\"${x}\"\n", NULL, "2", 3, true},
	    {"set x=2\nunset x\nset default=$x\n", NULL, "", 0, true},
	    {"regexp --set=1:x a b\nset default=$x\n", NULL, "", 0, true},
	    {"function f {\n set default=1\n}\nfunction g\n{\nset default=1\n}\n", NULL, "", 0, true},
	    {"menuentry_id_option=--id\nfor i in 1 2; do set default=$i; done\nset default=d\n", NULL, "d", 3, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CLEANUP(grubcfg_done) struct grubcfg g = {0};
		CLEANUP(buf_done) struct buf text = {0};

		buf_puts(&text, rows[i].head);
		buf_puts(&text, MENU);
		parse(text.data, rows[i].env, &g);
		assert_int_equal(g.len, 4);
		if (strcmp(g.default_value, rows[i].value) || g.default_entry != rows[i].entry || g.default_found != rows[i].found)
			fail_msg("row %zu: '%s' is entry %zu, found %d", i, g.default_value, g.default_entry, g.default_found);
	}
}

static void entries(void **state)
{
	/* The last entry of each text. */
	static const struct {
		const char *text;
		size_t line;
		const char *title, *id, *path, *args, *initrd, *uuid;
	} rows[] = {
	    {"set menuentry_id_option=--id\nmenuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'x-1' {\n"
	     "\tinsmod gzio\n\tset root='hd0,msdos1'\n\tif [ x$feature_platform_search_hint = xy ]; then\n"
	     "\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 --hint hd1 1-2-3\n\telse\n"
	     "\t  search --no-floppy --fs-uuid --set=root 4-5-6\n\tfi\n\techo\t'Loading ...'\n"
	     "\tlinux\t/boot/vmlinuz-6.1 root=UUID=1-2-3 ro  quiet \n\tinitrd\t/boot/initrd.img-6.1\n}\n",
	     2, "Debian GNU/Linux", "x-1", "/boot/vmlinuz-6.1", "root=UUID=1-2-3 ro quiet", "/boot/initrd.img-6.1", "1-2-3"},
	    {"search -u 7-8 --set=root\nmenuentry \"CentOS\" {\nlinux16 /vmlinuz ro\ninitrd16 /early.img /initramfs.img\n}", 2,
	     "CentOS", "", "/vmlinuz", "ro", "/early.img /initramfs.img", "7-8"},
	    {"menuentry EFI { linuxefi ($root)/vmlinuz a\ninitrdefi (hd0,gpt1)/initrd\n }", 1, "EFI", "", "/vmlinuz", "a", "/initrd",
	     ""},
	    {"menuentry 'x' { search.fs_uuid 1-1 root hd0,msdos1\n linux /a }\nmenuentry y { linux /b }", 3, "y", "", "/b", "", "",
	     ""},
	    {"set k='root=/dev/a ro'\nmenuentry x { linux /a $k \"$k\" $no ${prefix} $1\n}", 2, "x", "", "/a",
	     "root=/dev/a ro \"root=/dev/a ro\" ${prefix} $1", "", ""},
	    {"menuentry 'a'\"b\"\\ c --unrestricted --id=q { linux /a \\\n b #c\n}", 1, "ab c", "q", "/a", "b", "", ""},
	    {"menuentry $t { linux /a#b c\n initrd /i\n initrd /j }", 1, "", "", "/a#b", "c", "/j", ""},
	    {"menuentry Xen { multiboot /xen.gz\n module /vmlinuz ro\n module --nounzip /initrd }", 1, "Xen", "", "", "", "", ""},
	    {"submenu 'o' --id O {\nsubmenu 'm' {\nmenuentry 'i' --id I { linux /x }\n}}", 3, "o>m>i", "O>m>I", "/x", "", "", ""},
	    {"submenu 'o' --id O {\nmenuentry 'i' { linux /x }\n}", 2, "o>i", "", "/x", "", "", ""},
	    {"menuentry a {\r\n linux /v ro\r\n initrd /i\r\n}\r\n", 1, "a", "", "/v", "ro", "/i", ""},
	    {"menuentry a {\n if [ \"${initrdfail}\" = 1 ]; then\n linux /one\n initrd /i\n else\n linux /two panic=-1\n fi\n}", 1, "a",
	     "", "/two", "panic=-1", "", ""},
	    {"menuentry a { set x=1; linux /$x }\nmenuentry b { linux /$x. }", 2, "b", "", "/.", "", "", ""},
	    {"fi } done menuentry\n} else then\nmenuentry a { if x", 3, "a", "", "", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CLEANUP(grubcfg_done) struct grubcfg g = {0};
		CLEANUP(buf_done) struct buf initrd = {0};
		const struct grubcfg_entry *e;

		print_message("row %zu\n", i);
		parse(rows[i].text, NULL, &g);
		assert_true(g.len > 0);
		e = &g.item[g.len - 1];
		buf_puts(&initrd, "");
		for (size_t n = 0; n < e->initrd.len; n++)
			buf_printf(&initrd, n ? " %s" : "%s", e->initrd.item[n]);
		assert_int_equal(e->line, rows[i].line);
		assert_string_equal(e->title, rows[i].title);
		assert_string_equal(e->id, rows[i].id);
		assert_string_equal(e->linux_path, rows[i].path);
		assert_string_equal(e->args, rows[i].args);
		assert_string_equal(initrd.data, rows[i].initrd);
		assert_string_equal(e->search_uuid, rows[i].uuid);
	}
}

static void what_counts_as_an_entry(void **state)
{
	static const struct {
		const char *text;
		size_t entries;
	} rows[] = {
	    {"", 0},
	    {"# menuentry x { }\necho 'menuentry x { }'\necho \"menuentry x {\n}\"\n", 0},
	    {"function f { menuentry x { linux /a } }", 0},
	    {"if false; then menuentry x { linux /a }; fi; menuentry y { }", 1},
	    {"if [ -e /x ]; then menuentry x { linux /a }; else menuentry y { }; fi", 2},
	    {"menuentry x { menuentry y { linux /a }; }", 1},
	    {"menuentry x", 0},
	    {"submenu x { }", 0},
	    {"{ menuentry x { } }", 1},
	    {"hiddenentry x { menuentry y { } }", 0},
	    {"menuentry 'open { linux /a }", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CLEANUP(grubcfg_done) struct grubcfg g = {0};

		parse(rows[i].text, NULL, &g);
		assert_int_equal(g.len, rows[i].entries);
		assert_int_equal(g.default_found, g.len > 0);
	}
}

static void terminal_and_commands(void **state)
{
	static const char text[] = "serial --unit=0\nterminal_output gfxterm\nterminal_output console serial\n"
				   "if false; then blscfg; terminal_output x; fi\nfunction f { legacy_configfile /m; }\n"
				   "set a=b\nc=d\nmenuentry x { linux16 /a; terminal_output no\n}\n"
				   "menuentry y { linuxefi /a\n linux16 /b }\nif true; then f; fi\n";
	static const char *const commands[] = {"blscfg",    "f",   "false", "legacy_configfile", "linux16", "linuxefi",
					       "menuentry", "serial", "set",   "terminal_output",   "true"};
	CLEANUP(grubcfg_done) struct grubcfg g = {0};

	(void)state;
	parse(text, NULL, &g);
	assert_int_equal(g.terminal_output.len, 2);
	assert_string_equal(g.terminal_output.item[0], "console");
	assert_string_equal(g.terminal_output.item[1], "serial");
	assert_int_equal(g.commands.len, sizeof(commands) / sizeof(*commands));
	for (size_t i = 0; i < g.commands.len; i++)
		assert_string_equal(g.commands.item[i], commands[i]);
}

/* Text that stands for far more than its length, or nests without end, is refused before it costs anything. */
static void hostile(void **state)
{
	enum { NEST, DOUBLE, LONG_UUID, LONG_MENU, COMMANDS, WORDS, VARIABLES, KINDS };

	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		CLEANUP(buf_done) struct buf text = {0}, filler = {0};
		struct p2h_error err = {0};
		struct grubcfg g;

		for (int i = 0; i < 20000; i++)
			buf_puts(&filler, "0123456789");
		if (kind == DOUBLE)
			buf_puts(&text, "set a=0123456789\n");
		if (kind == LONG_UUID)
			buf_printf(&text, "search --fs-uuid %s\n", filler.data);
		if (kind == LONG_MENU)
			buf_printf(&text, "submenu %s {\n", filler.data);
		for (int i = 0; i < (kind == WORDS || kind == COMMANDS ? 100001 : 5000); i++) {
			if (kind == NEST)
				buf_puts(&text, "if { ");
			else if (kind == DOUBLE)
				buf_puts(&text, "set a=\"$a$a\"\n");
			else if (kind == LONG_UUID || kind == LONG_MENU)
				buf_puts(&text, "menuentry x { }\n");
			else if (kind == COMMANDS)
				buf_puts(&text, "a\n");
			else if (kind == WORDS)
				buf_puts(&text, "a ");
			else
				buf_printf(&text, "set v%d=\n", i);
		}
		assert_int_equal(grubcfg_parse(text.data, text.len, NULL, &g, &err), P2H_UNSUPPORTED);
		assert_true(err.msg[0]);
		assert_null(g.item);
		assert_null(g.default_value);
		assert_null(g.commands.item);
	}
}

static void bytes_that_are_no_text(void **state)
{
	static const char text[] = "set x=\"\0${a\nfunction f {\nmenuentry \xff --id {\nlinux $1 ${2} $@ \\\n}\n\" ' $";
	CLEANUP(grubcfg_done) struct grubcfg g = {0};

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		CLEANUP_FREE char *cut = malloc(len ? len : 1);

		assert_non_null(cut);
		memcpy(cut, text, len);
		grubcfg_done(&g);
		assert_int_equal(grubcfg_parse(cut, len, NULL, &g, NULL), 0);
		assert_int_equal(g.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(entries),
	    cmocka_unit_test(what_counts_as_an_entry),
	    cmocka_unit_test(terminal_and_commands),
	    cmocka_unit_test(hostile),
	    cmocka_unit_test(bytes_that_are_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
