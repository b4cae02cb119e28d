/* SPDX-License-Identifier: ISC */
#include "model/suricata.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct out {
	char *buf;
	size_t cap, n;
	bool full;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(o->buf + o->n, o->cap - o->n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= o->cap - o->n)
		o->full = true;
	else
		o->n += (size_t)n;
}

/* What rule files of the usual sets refer to. */
static const struct {
	const char *name, *value;
	bool ports;
} usual[] = {
	{ "EXTERNAL_NET", "!$HOME_NET", false },
	{ "HTTP_SERVERS", "$HOME_NET", false },
	{ "SMTP_SERVERS", "$HOME_NET", false },
	{ "SQL_SERVERS", "$HOME_NET", false },
	{ "DNS_SERVERS", "$HOME_NET", false },
	{ "TELNET_SERVERS", "$HOME_NET", false },
	{ "AIM_SERVERS", "$EXTERNAL_NET", false },
	{ "DC_SERVERS", "$HOME_NET", false },
	{ "DNP3_SERVER", "$HOME_NET", false },
	{ "DNP3_CLIENT", "$HOME_NET", false },
	{ "MODBUS_CLIENT", "$HOME_NET", false },
	{ "MODBUS_SERVER", "$HOME_NET", false },
	{ "ENIP_CLIENT", "$HOME_NET", false },
	{ "ENIP_SERVER", "$HOME_NET", false },
	{ "HTTP_PORTS", "80", true },
	{ "SHELLCODE_PORTS", "!80", true },
	{ "ORACLE_PORTS", "1521", true },
	{ "SSH_PORTS", "22", true },
	{ "DNP3_PORTS", "20000", true },
	{ "MODBUS_PORTS", "502", true },
	{ "FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]", true },
	{ "FTP_PORTS", "21", true },
	{ "GENEVE_PORTS", "6081", true },
	{ "VXLAN_PORTS", "4789", true },
	{ "TEREDO_PORTS", "3544", true },
};

static bool all_of(const char *s, const char *set)
{
	return s[strspn(s, set)] == 0;
}

int suricata_var_check(const struct engine_var *v, struct err *e)
{
	if (!memchr(v->name, 0, sizeof(v->name)) || !memchr(v->value, 0, sizeof(v->value)) || !v->name[0] ||
	    !v->value[0])
		return err_set(e, -EINVAL, "a variable needs a name and a value");
	if (!all_of(v->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"))
		return err_set(e, -EINVAL, "%s: a variable's name has capitals, digits and _ only", v->name);
	if (!all_of(v->value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789_$!.:/,[] "))
		return err_set(e, -EINVAL, "%s: a variable's value is addresses, ports or other variables", v->name);
	return 0;
}

static const char *given(const struct suricata_conf *c, const char *name)
{
	for (uint32_t i = 0; i < c->nvars; i++)
		if (!strcmp(c->vars[i].name, name))
			return c->vars[i].value;
	return NULL;
}

static bool is_usual(const char *name)
{
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (!strcmp(usual[i].name, name))
			return true;
	return !strcmp(name, "HOME_NET");
}

static bool is_ports(const char *name)
{
	size_t n = strlen(name);
	return n > 6 && !strcmp(name + n - 6, "_PORTS");
}

static void variables(struct out *o, const struct suricata_conf *c, bool ports)
{
	put(o, "  %s-groups:\n", ports ? "port" : "address");
	if (!ports && given(c, "HOME_NET")) {
		put(o, "    HOME_NET: \"%s\"\n", given(c, "HOME_NET"));
	} else if (!ports) {
		put(o, "    HOME_NET: \"[");
		for (uint32_t i = 0; i < c->nhome; i++) {
			struct addr net = addr_net(&c->home[i]);
			char text[ADDR_TEXT];
			put(o, "%s%s", i ? "," : "", addr_text(&net, text));
			if (!strchr(text, '/'))
				put(o, "/%u", net.plen);
		}
		put(o, "%s]\"\n", c->nhome ? "" : "192.168.0.0/16");
	}
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (usual[i].ports == ports)
			put(o, "    %s: \"%s\"\n", usual[i].name,
			    given(c, usual[i].name) ? given(c, usual[i].name) : usual[i].value);
	for (uint32_t i = 0; i < c->nvars; i++)
		if (!is_usual(c->vars[i].name) && is_ports(c->vars[i].name) == ports)
			put(o, "    %s: \"%s\"\n", c->vars[i].name, c->vars[i].value);
}

/* No checksum validation, no normalisation and no dropping by itself: that is the
 * gateway's. A conversation that it did not see the beginning of - it may have
 * been started again - is looked at all the same. */
static const char fixed[] =
    "host-mode: auto\n"
    "unix-command:\n  enabled: no\n"
    "exception-policy: ignore\n"
    "max-pending-packets: 1024\n"
    "runmode: workers\n"
    "stream:\n"
    "  memcap: 64mb\n  checksum-validation: no\n  midstream: true\n  inline: auto\n  drop-invalid: no\n"
    "  reassembly:\n    memcap: 128mb\n    depth: 1mb\n    toserver-chunk-size: 2560\n"
    "    toclient-chunk-size: 2560\n    randomize-chunk-size: yes\n"
    "flow:\n  memcap: 64mb\n  hash-size: 32768\n  prealloc: 4096\n  emergency-recovery: 30\n"
    "defrag:\n  memcap: 16mb\n  hash-size: 8192\n  trackers: 8192\n  max-frags: 8192\n  prealloc: no\n  timeout: 30\n"
    "host:\n  memcap: 16mb\n  hash-size: 4096\n  prealloc: 100\n"
    "detect:\n  profile: medium\n  sgh-mpm-context: auto\n  inspection-recursion-limit: 3000\n"
    "threading:\n  set-cpu-affinity: no\n"
    "asn1-max-frames: 256\n"
    "pcre:\n  match-limit: 3500\n  match-limit-recursion: 1500\n"
    "app-layer:\n  protocols:\n"
    "    http:\n      enabled: yes\n    http2:\n      enabled: yes\n    tls:\n      enabled: yes\n"
    "    ssh:\n      enabled: yes\n    smtp:\n      enabled: yes\n    ftp:\n      enabled: yes\n"
    "    dns:\n      tcp:\n        enabled: yes\n      udp:\n        enabled: yes\n"
    "    smb:\n      enabled: yes\n    nfs:\n      enabled: yes\n    tftp:\n      enabled: yes\n"
    "    krb5:\n      enabled: yes\n    snmp:\n      enabled: yes\n    ntp:\n      enabled: yes\n"
    "    dhcp:\n      enabled: yes\n    rfb:\n      enabled: yes\n    mqtt:\n      enabled: yes\n"
    "    sip:\n      enabled: yes\n    rdp:\n      enabled: yes\n    imap:\n      enabled: detection-only\n"
    "    dcerpc:\n      enabled: yes\n    ike:\n      enabled: yes\n    telnet:\n      enabled: yes\n"
    "    pgsql:\n      enabled: yes\n    quic:\n      enabled: yes\n    modbus:\n      enabled: yes\n"
    "    dnp3:\n      enabled: yes\n    enip:\n      enabled: yes\n";

static void interface(struct out *o, const char *name, const char *other, int cluster)
{
	put(o,
	    "  - interface: %s\n    threads: 1\n    cluster-id: %d\n    cluster-type: cluster_flow\n"
	    "    defrag: no\n    use-mmap: yes\n    tpacket-v3: no\n    ring-size: 4096\n    copy-mode: ips\n"
	    "    copy-iface: %s\n    checksum-checks: no\n    disable-promisc: no\n",
	    name, cluster, other);
}

int suricata_yaml(char *buf, size_t cap, const struct suricata_conf *c, struct err *e)
{
	struct out o = { .buf = buf, .cap = cap };
	for (uint32_t i = 0; i < c->nvars; i++) {
		int r = suricata_var_check(&c->vars[i], e);
		if (r < 0)
			return r;
	}
	put(&o, "%%YAML 1.1\n---\nvars:\n");
	variables(&o, c, false);
	variables(&o, c, true);
	put(&o, "default-log-dir: /tmp\n");
	put(&o, "stats:\n  enabled: %s\n  interval: 5\n", c->reports ? "yes" : "no");
	if (c->reports)
		put(&o,
		    "outputs:\n  - eve-log:\n      enabled: yes\n      filetype: unix_dgram\n      filename: %s\n"
		    "      community-id: true\n      community-id-seed: 0\n      types:\n"
		    "        - alert:\n            payload: no\n            packet: no\n            metadata: no\n"
		    "        - stats:\n            totals: yes\n            threads: no\n            deltas: no\n",
		    c->reports);
	put(&o, "logging:\n  default-log-level: info\n  outputs:\n    - console:\n        enabled: yes\n");
	if (c->reports) {
		put(&o, "af-packet:\n");
		interface(&o, SURICATA_IN, SURICATA_OUT, 91);
		interface(&o, SURICATA_OUT, SURICATA_IN, 92);
	}
	put(&o, "%s", fixed);
	put(&o, "classification-file: %s/classification.config\nreference-config-file: %s/reference.config\n", c->dir,
	    c->dir);
	put(&o, "threshold-file: %s/threshold.config\n", c->dir);
	return o.full ? err_set(e, -E2BIG, "the engine's configuration is too long") : (int)o.n;
}
