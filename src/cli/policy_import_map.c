/* SPDX-License-Identifier: ISC */
/*
 * What each variable of honeywall.conf means here. The table at the end has those
 * that belong to the Honeywall's own computer; all others have a function.
 */
#include "base/text.h"
#include "cli/load.h"
#include "cli/policy_import.h"
#include "model/rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct map {
	struct hw_conf *c;
	struct hw_policy *p;
	const char *dir;
	struct err *e;
};

__attribute__((format(printf, 4, 5))) static void note(struct map *m, const char *name, bool mapped, const char *fmt,
						       ...)
{
	struct hw_policy *p = m->p;
	if (p->nnotes == HW_NOTES)
		return;
	struct hw_note *n = &p->notes[p->nnotes++];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(n->text, sizeof(n->text), fmt, ap);
	va_end(ap);
	text_copy(n->name, sizeof(n->name), name);
	n->mapped = mapped;
}

static struct hw_var *find(struct map *m, const char *name)
{
	for (unsigned i = 0; i < m->c->n; i++)
		if (!strcmp(m->c->vars[i].name, name))
			return &m->c->vars[i];
	return NULL;
}

/* The value, "" if there is none; from now on the variable is dealt with. */
static const char *get(struct map *m, const char *name)
{
	struct hw_var *v = find(m, name);
	if (!v)
		return "";
	if (*v->refused && !v->told)
		note(m, name, false, "%s", v->refused);
	v->told = true;
	return *v->refused ? "" : v->value;
}

/* The Honeywall took exactly this word. */
static bool yes(struct map *m, const char *name)
{
	return !strcmp(get(m, name), "yes");
}

/* A variable that holds honeypots back must not be guessed. */
static int must(struct map *m, const char *name)
{
	const struct hw_var *v = find(m, name);
	if (!v || !*v->refused)
		return 0;
	return err_set(m->e, -EINVAL, "line %u: %s: %s", v->line, name, v->refused);
}

/* ---- lists ---- */

static bool add(struct hw_list *l, const struct addr *a)
{
	for (unsigned i = 0; i < l->n; i++)
		if (addr_equal(&l->at[i], a) && l->at[i].plen == a->plen)
			return true;
	if (l->n == HW_LIST)
		return false;
	l->at[l->n++] = *a;
	return true;
}

/* "192.0.2.0/255.255.255.0", which iptables takes too. */
static bool netmask(const char *s, struct addr *out)
{
	char net[64];
	struct addr mask;
	const char *slash = strchr(s, '/');
	if (!slash || (size_t)(slash - s) >= sizeof(net))
		return false;
	memcpy(net, s, (size_t)(slash - s));
	net[slash - s] = '\0';
	if (!addr_parse(net, 0, out) || !addr_parse(slash + 1, 0, &mask) || out->family != 4 || mask.family != 4)
		return false;
	unsigned plen = 0;
	while (plen < 32 && mask.b[plen / 8] & 0x80 >> (plen % 8))
		plen++;
	out->plen = (uint8_t)plen;
	mask.plen = (uint8_t)plen;
	return !addr_host_bits(&mask);
}

static bool address(const char *word, struct addr *a)
{
	if (!addr_parse(word, -1, a) && !netmask(word, a))
		return false;
	*a = addr_net(a);
	return true;
}

/* Words between blanks or line ends, '#' up to the line's end left out. Returns
 * the first that is no address in bad[64]; false: there is one, or too many. */
static bool addresses(const char *s, size_t n, struct hw_list *l, char bad[64])
{
	for (size_t i = 0; i < n;) {
		size_t len = 0;
		struct addr a;
		if (s[i] == '#') {
			while (i < n && s[i] != '\n')
				i++;
			continue;
		}
		while (i + len < n && !strchr(" \t\r\n#", s[i + len]))
			len++;
		if (!len) {
			i++;
			continue;
		}
		snprintf(bad, 64, "%.*s", (int)(len < 63 ? len : 63), s + i);
		if (!address(bad, &a) || !add(l, &a))
			return false;
		i += len;
	}
	return true;
}

static int read_list(struct map *m, const char *path, char **text, size_t *n, char used[512])
{
	const char *slash = strrchr(path, '/');
	struct err ignored;
	snprintf(used, 512, "%s", path);
	if (load_text(used, text, n, &ignored) == 0)
		return 0;
	snprintf(used, 512, "%s/%s", m->dir, slash ? slash + 1 : path);
	return load_text(used, text, n, &ignored);
}

/* need: honeypots are held back by it. */
static int list(struct map *m, const char *name, const char *key, struct hw_list *l, bool need)
{
	char *text = NULL, used[512], bad[64] = "";
	const char *path = get(m, name);
	size_t n = 0;
	if (!*path)
		return need ? err_set(m->e, -EINVAL, "%s is not set, but its list is enabled", name) : 0;
	int r = read_list(m, path, &text, &n, used);
	if (r < 0) {
		note(m, name, false, "cannot read %s", path);
		return need ? err_sys(m->e, r, "%s: cannot read %s: put it beside the file, or disable the list", name,
				      path)
			    : 0;
	}
	bool ok = addresses(text, n, l, bad);
	free(text);
	if (!ok && need)
		return err_set(m->e, -EINVAL, "%s: %s: \"%s\" is no address or prefix, or is one too many", name, used,
			       bad);
	if (!ok)
		note(m, name, false, "%s: \"%s\" is no address or prefix: what stands behind it is left out", used,
		     bad);
	note(m, name, true, "%u entries of %s are in the list %s", l->n, used, key);
	return 0;
}

static int lists(struct map *m)
{
	struct hw_policy *p = m->p;
	static const char *const bounds[] = { "HwFENCELIST_ENABLE", "HwFWFENCE", "HwBWLIST_ENABLE", "HwFWBLACK",
					      "HwROACHMOTEL_ENABLE" };
	int r = 0;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]) && !r; i++)
		r = must(m, bounds[i]);
	if (r < 0)
		return r;
	if (yes(m, "HwFENCELIST_ENABLE"))
		r = list(m, "HwFWFENCE", "fence", &p->fence, true);
	else
		note(m, "HwFWFENCE", false, "its list is not enabled (HwFENCELIST_ENABLE)"), get(m, "HwFWFENCE");
	if (r < 0)
		return r;
	if (!yes(m, "HwBWLIST_ENABLE")) {
		note(m, "HwFWBLACK", false, "its list is not enabled (HwBWLIST_ENABLE)"), get(m, "HwFWBLACK");
		note(m, "HwFWWHITE", false, "its list is not enabled (HwBWLIST_ENABLE)"), get(m, "HwFWWHITE");
		return 0;
	}
	r = list(m, "HwFWBLACK", "black", &p->black, true);
	return r < 0 ? r : list(m, "HwFWWHITE", "allow", &p->white, false);
}

static bool inside(const struct hw_list *l, const struct addr *a)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].plen <= a->plen && addr_in(&l->at[i], a))
			return true;
	return false;
}

/* The Honeywall asked its white list before the fence; here the fence comes first. */
static void white(struct map *m)
{
	struct hw_policy *p = m->p;
	unsigned kept = 0, n = p->white.n;
	char text[ADDR_TEXT];
	for (unsigned i = 0; i < n; i++) {
		if (inside(&p->fence, &p->white.at[i]) || inside(&p->black, &p->white.at[i]))
			note(m, "HwFWWHITE", false, "%s is on the fence or black list too, which now wins",
			     addr_text(&p->white.at[i], text));
		else
			p->white.at[kept++] = p->white.at[i];
	}
	p->white.n = kept;
	if (kept)
		note(m, "HwFWWHITE", false,
		     "who is on the list got in without limits and unrecorded, too: here allow is about "
		     "conversations of honeypots, and everything is recorded");
}

/* ---- limits ---- */

static void rates(struct map *m)
{
	static const char *const names[] = { "HwTCPRATE", "HwUDPRATE", "HwICMPRATE", "HwOTHERRATE" };
	static const struct {
		const char *scale, *period;
		unsigned days; /* longer than a day */
	} scales[] = { { "second", "second", 0 }, { "minute", "minute", 0 }, { "hour", "hour", 0 }, { "day", "day", 0 },
		       { "week", "day", 7 },      { "month", "day", 31 },    { "year", "day", 366 } };
	struct hw_policy *p = m->p;
	const char *scale = get(m, "HwSCALE");
	unsigned days = 0;
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		if (!strcmp(scales[i].scale, scale)) {
			snprintf(p->period, sizeof(p->period), "%s", scales[i].period);
			days = scales[i].days;
		}
	}
	if (!*p->period)
		note(m, "HwSCALE", false, "\"%s\" is no unit of time: nothing may begin outwards", scale);
	else if (days)
		note(m, "HwSCALE", false, "windows are at most a day long: the limits are a %uth each day", days);
	else
		note(m, "HwSCALE", true, "limits are over each sliding %s", p->period);
	for (int i = 0; i < 4; i++) {
		const char *text = get(m, names[i]);
		char *end;
		unsigned long n = strtoul(text, &end, 10);
		if (!*text || *end || *text < '0' || *text > '9') {
			note(m, names[i], false, "not a number: none");
			continue;
		}
		if (n > 10000) {
			note(m, names[i], false, "%lu is more than a limit can be: 10000", n);
			n = 10000;
		} else {
			note(m, names[i], true,
			     "outbound and lateral: the Honeywall did not limit what honeypots send each "
			     "other");
		}
		p->rate[i] = *p->period ? (days ? n / days : n) : 0;
	}
}

static void words_list(struct map *m, const char *name, struct hw_list *l)
{
	char bad[64] = "";
	const char *text = get(m, name);
	if (!addresses(text, strlen(text), l, bad)) {
		note(m, name, false, "\"%s\" is no address: what stands behind it is left out", bad);
		if (!l->n) /* nobody rather than everybody */
			l->at[l->n++] = (struct addr){ .family = 4, .plen = 32, .b = { 255, 255, 255, 255 } };
	}
}

static void dns(struct map *m)
{
	struct hw_policy *p = m->p;
	p->dns = true;
	words_list(m, "HwDNS_SVRS", &p->dns_servers);
	words_list(m, "HwDNS_HOST", &p->dns_hosts);
	note(m, "HwDNS_SVRS", true,
	     "rule dns: queries%s, over UDP only and with limits (key dns); the Honeywall passed anything on port 53",
	     p->dns_servers.n ? " to these servers" : " to any server");
	if (p->dns_hosts.n)
		note(m, "HwDNS_HOST", true, "rule dns: from these addresses");
}

static void engine(struct map *m)
{
	m->p->inline_engine = yes(m, "HwQUEUE");
	if (m->p->inline_engine)
		note(
		    m, "HwQUEUE", true,
		    "inspect: inline, which lets nothing pass without an engine; name its rules in the honeynet's file "
		    "(key engine), since those of Snort were not read");
	else
		note(m, "HwQUEUE", true, "inspect: off");
}

static void alerts(struct map *m)
{
	struct hw_policy *p = m->p;
	const char *to = get(m, "HwALERT_EMAIL");
	bool on = yes(m, "HwALERT");
	if (!on) {
		note(m, "HwALERT_EMAIL", false, "alerts are not enabled (HwALERT)");
		return;
	}
	if (!rules_mail(to) || !text_copy(p->address, sizeof(p->address), to)) {
		note(m, "HwALERT_EMAIL", false, "not an address: nobody is told");
		return;
	}
	p->mail = true;
	note(m, "HwALERT_EMAIL", true, "notify and a trigger on limits; swatch's own patterns are not known here");
}

static void sebek(struct map *m)
{
	struct hw_policy *p = m->p;
	const char *port = get(m, "HwSEBEK_DST_PORT"), *fate = get(m, "HwSEBEK_FATE");
	char *end;
	unsigned long n = strtoul(port, &end, 10);
	bool on = yes(m, "HwSEBEK");
	note(m, "HwSEBEK", false,
	     "skep sees inside of honeypots from outside: key introspection of the honeynet's file");
	words_list(m, "HwSEBEK_DST_IP", &p->sebek_to);
	if (on && !strcmp(fate, "DROP") && p->sebek_to.n && *port && !*end && n && n <= 65535) {
		p->sebek = true;
		p->sebek_port = (unsigned)n;
		note(m, "HwSEBEK_FATE", true, "rule sebek drops its packets");
	} else if (on) {
		note(m, "HwSEBEK_FATE", false, "Sebek's packets count as other conversations");
	} else {
		note(m, "HwSEBEK_FATE", false, "Sebek is not enabled (HwSEBEK)");
	}
}

/* ---- what has no place in a policy ---- */

static const struct {
	const char *name; /* with * at its end: all that begin so */
	const char *why;
} others[] = {
	{ "HwHPOT_PUBLIC_IP", "limits hold for every honeypot of the honeynet's file: write addresses there" },
	{ "HwHPOT_PRIV_IP*", "there is no NAT: write addresses in the honeynet's file" },
	{ "HwPRIV_IP_FOR_NAT", "there is no NAT" },
	{ "HwALIAS_MASK_FOR_NAT", "there is no NAT" },
	{ "HwLAN_IP_RANGE", "write networks in the honeynet's file" },
	{ "HwLAN_BCAST_ADDRESS", "follows from the networks of the honeynet's file" },
	{ "HwINET_IFACE", "write uplink in the honeynet's file" },
	{ "HwLAN_IFACE", "honeypots have no interface on this computer" },
	{ "HwMANAGE_*", "a management interface is this computer's own: no honeypot can reach it" },
	{ "HwMANAGER", "who may manage is decided by who may log in to this computer" },
	{ "HwSSHD_*", "of this computer's own sshd" },
	{ "HwALLOWED_TCP_IN", "of the management interface: this computer's own firewall" },
	{ "HwALLOWED_TCP_OUT", "held for the Honeywall's own connections: this computer's own firewall" },
	{ "HwALLOWED_UDP_OUT", "held for the Honeywall's own connections: this computer's own firewall" },
	{ "HwRESTRICT", "held for the Honeywall's own connections: this computer's own firewall" },
	{ "HwTIME_SVR", "of this computer" },
	{ "HwHOSTNAME", "of this computer" },
	{ "HwDOMAIN", "of this computer" },
	{ "HwHONEYWALL_RUN", "let this computer's init run skep up" },
	{ "HwHEADLESS", "of this computer" },
	{ "HwNICMODLIST", "of this computer" },
	{ "HwHWPARMOPTS", "of this computer" },
	{ "HwSWAP_CAPSLOCK_CONTROL", "of this computer" },
	{ "HwWALLEYE", "there is no such web interface" },
	{ "HwSEBEK*", "not needed: see HwSEBEK" },
	{ "HwRULE_*", "rules are the operator's: see engine in the honeynet's file" },
	{ "HwSNORT*", "rules are the operator's: see engine in the honeynet's file" },
	{ "HwOINKCODE", "rules are the operator's: see engine in the honeynet's file" },
	{ "HwBPF_DISABLE", "everything is recorded, whatever list it is on" },
	{ "HwPCAPDAYS", "write evidence: {max-age: ...} in the honeynet's file" },
	{ "HwDBDAYS", "write evidence: {max-age: ...} in the honeynet's file" },
};

static bool is_other(const char *pattern, const char *name)
{
	size_t n = strlen(pattern);
	return pattern[n - 1] == '*' ? !strncmp(pattern, name, n - 1) : !strcmp(pattern, name);
}

static void rest(struct map *m)
{
	for (unsigned i = 0; i < m->c->n; i++) {
		struct hw_var *v = &m->c->vars[i];
		const char *why = "not a variable of the Honeywall that is known";
		if (v->told)
			continue;
		for (size_t o = sizeof(others) / sizeof(others[0]); o-- > 0;)
			if (is_other(others[o].name, v->name))
				why = others[o].why;
		v->told = true;
#ifdef MUTANT_IMPORT_SILENT
		v->name[0] = '\0';
#endif
		note(m, v->name, false, "%s", why);
	}
}

int hw_map(struct hw_conf *c, const char *dir, struct hw_policy *out, struct err *e)
{
	struct map m = { c, out, dir, e };
	memset(out, 0, sizeof(*out));
	int r = lists(&m);
	if (r < 0)
		return r;
	white(&m);
	rates(&m);
	out->roach_motel = yes(&m, "HwROACHMOTEL_ENABLE");
	note(&m, "HwROACHMOTEL_ENABLE", true, "roach-motel: %s", out->roach_motel ? "yes" : "no");
	dns(&m);
	engine(&m);
	alerts(&m);
	sebek(&m);
	rest(&m);
	/* What only says how another one is meant. */
	for (unsigned i = 0; i < c->n; i++) {
		bool said = false;
		for (unsigned k = 0; k < out->nnotes; k++)
			said |= !strcmp(out->notes[k].name, c->vars[i].name);
		if (!said)
			note(&m, c->vars[i].name, true, "says how the variables beside it are meant");
	}
	/* Nothing is said of what the file does not have. */
	unsigned n = 0;
	for (unsigned i = 0; i < out->nnotes; i++) {
		bool there = find(&m, out->notes[i].name) != NULL;
		if (there)
			out->notes[n++] = out->notes[i];
	}
	out->nnotes = n;
	return 0;
}
