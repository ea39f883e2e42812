/*
 * firewall.c - a server must not come up without its firewall unseen
 *
 * What iptables needs of the kernel: ip_tables and iptable_TABLE (legacy), or nf_tables and nft_compat (iptables-nft); and for each match and
 * target a module that is asked for as ipt_NAME, ip6t_NAME or xt_NAME (Linux: net/netfilter/x_tables.c, request_module).
 */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

struct firewall {
	struct planner *p;
	bool nft;                /* iptables is iptables-nft */
	const char *where;       /* what loads rules, the first one found; NULL: nothing does */
	struct strlist missing;  /* modules */
};

static bool listed(const char *const *list, const char *word, size_t len)
{
	for (; *list; list++)
		if (strlen(*list) == len && !memcmp(*list, word, len))
			return true;
	return false;
}

static bool runs(const struct planner *p, const char *service)
{
	return strlist_has(&p->facts->services, service);
}

static void need(struct firewall *w, const char *module, const char *config)
{
	if (donor_offers(w->p->facts, module, config) == OFFER_NO && !strlist_has(&w->missing, module))
		strlist_add(&w->missing, module);
}

static void need_base(struct firewall *w, bool v6)
{
	if (w->nft) {
		need(w, "nf_tables", "NF_TABLES");
		need(w, "nft_compat", "NFT_COMPAT");
	} else if (v6) {
		need(w, "ip6_tables", "IP6_NF_IPTABLES");
		need(w, "ip6table_filter", "IP6_NF_FILTER");
	} else {
		need(w, "ip_tables", "IP_NF_IPTABLES");
		need(w, "iptable_filter", "IP_NF_FILTER");
	}
}

static void need_table(struct firewall *w, const char *name, size_t len, bool v6)
{
	static const char *const known[] = {"nat", "mangle", "raw", "security", NULL};

	if (!w->nft && listed(known, name, len))
		need(w, arena_printf(w->p->arena, "ip%stable_%.*s", v6 ? "6" : "", (int)len, name), NULL);
}

/* A match or target: any of the names that the kernel asks modprobe for will do. */
static void need_extension(struct firewall *w, const char *name, size_t len, bool v6)
{
	struct arena *a = w->p->arena;
	const char *own = arena_printf(a, "ip%st_%.*s", v6 ? "6" : "", (int)len, name), *shared = arena_printf(a, "xt_%.*s", (int)len, name);

	if (!own || !shared || donor_offers(w->p->facts, own, NULL) != OFFER_NO)
		return;
	need(w, shared, NULL);
}

static bool is_match(const char *name, size_t len)
{
	/* Part of ip_tables or of xt_tcpudp, which comes with every one of them. */
	static const char *const own[] = {"tcp", "udp", "udplite", "icmp", "icmp6", "icmpv6", "ipv6-icmp", NULL};

	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && name[i] != '_')
			return false; /* a shell's variable, a pattern */
	return len && len < 29 && !listed(own, name, len);
}

/* iptables-extensions(8). Other words behind -j are chains, or ACCEPT, DROP, RETURN. */
static const char *const target[] = {
	"AUDIT", "CHECKSUM", "CLASSIFY", "CLUSTERIP", "CONNMARK", "CONNSECMARK", "CT", "DNAT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED",
	"LOG", "MARK", "MASQUERADE", "NETMAP", "NFLOG", "NFQUEUE", "NOTRACK", "RATEEST", "REDIRECT", "REJECT", "SECMARK", "SET", "SNAT",
	"SYNPROXY", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TPROXY", "TRACE", "TTL", "ULOG", NULL,
};

static size_t word_at(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && !isspace((unsigned char)text[n]))
		n++;
	return n;
}

/* Options of a rule, in a file for iptables-restore or on a command line. */
static void read_rule(struct firewall *w, const struct line *l, bool v6)
{
	static const char *const match[] = {"-m", "--match", NULL}, *const jump[] = {"-j", "--jump", "-g", NULL}, *const table[] = {"-t", "--table", NULL};
	const char *option = "", *const *kind = NULL;
	size_t option_len = 0;

	for (size_t i = 0, n; i < l->len; i += n ? n : 1) {
		const char *word = l->text + i;

		n = word_at(word, l->len - i);
		if (!n)
			continue;
		kind = listed(match, option, option_len) ? match : listed(jump, option, option_len) ? jump : listed(table, option, option_len) ? table : NULL;
		if (kind == match && is_match(word, n))
			need_extension(w, word, n, v6);
		else if (kind == jump && listed(target, word, n))
			need_extension(w, word, n, v6);
		else if (kind == table)
			need_table(w, word, n, v6);
		option = word;
		option_len = n;
	}
}

static bool is_comment(const struct line *l)
{
	size_t i = 0;

	while (i < l->len && isspace((unsigned char)l->text[i]))
		i++;
	return i == l->len || l->text[i] == '#';
}

static void loads(struct firewall *w, const char *where)
{
	if (!w->where)
		w->where = where;
}

/* A file for iptables-restore. One that was too large to be read needs at least the base. */
static void read_saved(struct firewall *w, const struct facts_file *file)
{
	bool v6 = strstr(file->path, "ip6") || strstr(file->path, "v6") || strstr(file->path, "6.rules");
	struct line l = {0};
	size_t at = 0, rules = 0;

	while (next_line(file->text, file->len, &at, &l)) {
		if (is_comment(&l))
			continue;
		if (*l.text == '*')
			need_table(w, l.text + 1, word_at(l.text + 1, l.len - 1), v6);
		else if (*l.text == ':' && l.len > 5 && !memmem(l.text, l.len, " ACCEPT", 7) && !memmem(l.text, l.len, " - ", 3))
			rules++; /* a policy that keeps things out */
		else if (*l.text == '-') {
			read_rule(w, &l, v6);
			rules++;
		}
	}
	if (!rules && !file->too_large)
		return; /* everything is let through */
	need_base(w, v6);
	loads(w, file->path);
}

static bool is_saved(const char *path)
{
	static const char *const alone[] = {"/etc/ip6tables.rules", "/etc/iptables.rules", "/etc/iptables.up.rules", NULL};

	return listed(alone, path, strlen(path)) || !strncmp(path, "/etc/iptables/", 14) || !strncmp(path, "/etc/sysconfig/ip", 17);
}

/* Scripts and network/interfaces: lines that call iptables, and the files that iptables-restore reads. */
static void read_script(struct firewall *w, const struct facts_file *file)
{
	struct line l = {0};
	size_t at = 0;

	while (next_line(file->text, file->len, &at, &l)) {
		bool restore = has_word(l.text, l.len, "iptables-restore") || has_word(l.text, l.len, "ip6tables-restore");
		bool v6 = has_word(l.text, l.len, "ip6tables") || has_word(l.text, l.len, "ip6tables-restore");
		bool call = has_word(l.text, l.len, "iptables") || has_word(l.text, l.len, "ip6tables");

		if (is_comment(&l) || (!call && !restore))
			continue;
		if (!restore && !memmem(l.text, l.len, " -A ", 4) && !memmem(l.text, l.len, " -I ", 4) && !memmem(l.text, l.len, " -P ", 4))
			continue; /* lists or clears */
		read_rule(w, &l, v6);
		need_base(w, v6);
		loads(w, arena_printf(w->p->arena, "%s:%zu", file->path, l.number));
		for (size_t i = 0; restore && i < w->p->facts->files; i++) {
			const struct facts_file *saved = &w->p->facts->file[i];

			if (is_saved(saved->path) && memmem(l.text, l.len, saved->path, strlen(saved->path)))
				read_saved(w, saved);
		}
	}
}

static bool ufw_enabled(const struct planner *p)
{
	const struct facts_file *conf = facts_file(p->facts, "/etc/ufw/ufw.conf");
	struct line l = {0};
	size_t at = 0;

	while (conf && next_line(conf->text, conf->len, &at, &l))
		if (l.len >= 11 && !strncasecmp(l.text, "ENABLED=yes", 11))
			return runs(p, "ufw") || facts_file(p->facts, "/etc/init/ufw.conf");
	return false;
}

/* Is this file one that the guest loads at boot? */
static void look_at(struct firewall *w, const struct facts_file *file)
{
	static const char *const script[] = {"/etc/network/interfaces", "/etc/rc.local", "/etc/rc.d/rc.local", NULL};
	const struct planner *p = w->p;
	const char *path = file->path;

	if (!strcmp(path, "/etc/sysconfig/iptables") ? runs(p, "iptables") : !strcmp(path, "/etc/sysconfig/ip6tables") && runs(p, "ip6tables"))
		read_saved(w, file);
	else if (!strncmp(path, "/etc/iptables/rules", 19) && (runs(p, "iptables-persistent") || runs(p, "netfilter-persistent")))
		read_saved(w, file);
	else if ((!strncmp(path, "/etc/ufw/", 9) || !strncmp(path, "/lib/ufw/", 9)) && text_ends_with(path, ".rules") && ufw_enabled(p))
		read_saved(w, file);
	else if (listed(script, path, strlen(path)) || !strncmp(path, "/etc/network/if-", 16) || !strncmp(path, "/etc/network/interfaces.d/", 26))
		read_script(w, file);
}

/* Firewalls with a language of their own end in iptables, or in nf_tables. */
static void look_at_services(struct firewall *w)
{
	static const char *const service[] = {"firewalld", "shorewall", "shorewall6", "SuSEfirewall2_setup", "SuSEfirewall2_init", "SuSEfirewall2",
					      "ferm", "csf", "apf", NULL};
	const struct facts_file *conf = facts_file(w->p->facts, "/etc/firewalld/firewalld.conf");
	bool firewalld_nft = conf && strstr(conf->text, "\nFirewallBackend=nftables");

	for (const char *const *s = service; *s; s++) {
		if (!runs(w->p, *s))
			continue;
		if (!strcmp(*s, "firewalld") && firewalld_nft)
			need(w, "nf_tables", "NF_TABLES");
		else
			need_base(w, false);
		loads(w, arena_printf(w->p->arena, "service %s", *s));
	}
	if (runs(w->p, "nftables")) {
		need(w, "nf_tables", "NF_TABLES");
		loads(w, "service nftables");
	}
}

void rule_iptables_legacy(struct planner *p)
{
	const struct facts *f = p->facts;
	struct firewall w = {.p = p, .nft = strstr(f->security.iptables, "nft") != NULL};
	CLEANUP(buf_done) struct buf names = {0};

	if (!*f->donor.chosen.release)
		return;
	look_at_services(&w);
	for (size_t i = 0; i < f->files; i++)
		look_at(&w, &f->file[i]);
	for (size_t i = 0; i < w.missing.len; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", w.missing.item[i]);
	if (w.missing.failed || names.failed)
		p->arena->failed = true;
	else if (names.len)
		planner_block(p, w.where, arena_printf(p->arena, "the guest's firewall needs what kernel %s does not have: %s", f->donor.chosen.release, names.data),
			      "choose a donor whose kernel has it, or rewrite the rules; the server would come up without its firewall");
	strlist_done(&w.missing);
}
