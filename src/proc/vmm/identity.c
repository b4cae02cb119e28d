/* SPDX-License-Identifier: ISC */
#include "proc/vmm/identity.h"

#include "proc/vmm/extfs.h"
#include "proc/vmm/hostkeys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- texts -------------------------------------------------------------- */

struct text {
	char *p;
	size_t n, cap;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = t->n < t->cap ? vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap) : 0;
	va_end(ap);
	t->n += n > 0 ? (size_t)n : 0;
}

static int done(const struct text *t)
{
	return t->n < t->cap ? (int)t->n : -EOVERFLOW;
}

static const char *ip(const struct addr *a, char buf[INET6_ADDRSTRLEN])
{
	return inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, buf, INET6_ADDRSTRLEN);
}

static int label_len(const struct vmm_prepare *p)
{
	return (int)strcspn(p->hostname, ".");
}

int identity_hostname(const struct vmm_prepare *p, char *buf, size_t cap)
{
	struct text t = { buf, 0, cap };
	put(&t, "%.*s\n", label_len(p), p->hostname);
	return done(&t);
}

int identity_hosts(const struct vmm_prepare *p, char *buf, size_t cap)
{
	struct text t = { buf, 0, cap };
	int n = label_len(p);
	put(&t, "127.0.0.1\tlocalhost\n127.0.1.1\t%s", p->hostname);
	if (p->hostname[n])
		put(&t, "\t%.*s", n, p->hostname);
	put(&t, "\n\n# The following lines are desirable for IPv6 capable hosts\n"
		"::1     localhost ip6-localhost ip6-loopback\n"
		"ff02::1 ip6-allnodes\n"
		"ff02::2 ip6-allrouters\n");
	return done(&t);
}

static void netmask(unsigned plen, char buf[INET_ADDRSTRLEN])
{
	struct in_addr m = { htonl(plen ? ~0u << (32 - plen) : 0) };
	inet_ntop(AF_INET, &m, buf, INET_ADDRSTRLEN);
}

/* One stanza per family: BusyBox's ifup does not know more; further addresses
 * are added by hand, as administrators do. Netmasks apart from the address for
 * the same reason. */
static void stanza(struct text *t, const struct vmm_prepare *p, unsigned family)
{
	char buf[INET6_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
	bool first = true;
	for (unsigned i = 0; i < p->naddrs; i++) {
		const struct addr *a = &p->addrs[i];
		if (a->family != family)
			continue;
		if (!first) {
			put(t, "\tup ip addr add %s/%u dev eth0\n", ip(a, buf), a->plen);
			continue;
		}
		first = false;
		put(t, "iface eth0 %s static\n\taddress %s\n", family == 4 ? "inet" : "inet6", ip(a, buf));
		if (family == 4) {
			netmask(a->plen, mask);
			put(t, "\tnetmask %s\n", mask);
		} else {
			/* Waiting for duplicate address detection would hold up the boot. */
			put(t, "\tnetmask %u\n\tdad-attempts 0\n", a->plen);
		}
		for (unsigned r = 0; r < 2; r++)
			if (p->routers[r].family == family)
				put(t, "\tgateway %s\n", ip(&p->routers[r], buf));
	}
}

int identity_interfaces(const struct vmm_prepare *p, bool has_dropins, char *buf, size_t cap)
{
	struct text t = { buf, 0, cap };
	put(&t, "# This file describes the network interfaces available on your system\n"
		"# and how to activate them. For more information, see interfaces(5).\n\n");
	if (has_dropins)
		put(&t, "source /etc/network/interfaces.d/*\n\n");
	put(&t, "# The loopback network interface\nauto lo\niface lo inet loopback\n");
	if (p->naddrs)
		put(&t, "\n# The primary network interface\nauto eth0\n");
	stanza(&t, p, 4);
	stanza(&t, p, 6);
	return done(&t);
}

int identity_resolv(const struct vmm_prepare *p, char *buf, size_t cap)
{
	struct text t = { buf, 0, cap };
	char a[INET6_ADDRSTRLEN];
	int n = label_len(p);
	if (p->hostname[n])
		put(&t, "search %s\n", p->hostname + n + 1);
	for (unsigned r = 0; r < 2; r++)
		if (p->routers[r].family)
			put(&t, "nameserver %s\n", ip(&p->routers[r], a));
	return done(&t);
}

/* ---- writing ------------------------------------------------------------ */

static int put_text(struct extfs *x, const char *path, time_t t, const char *s, int n, struct err *e)
{
	if (n < 0)
		return err_set(e, n, "%s does not fit", path);
	return extfs_write(x, path, 0644, t, s, (size_t)n, e);
}

static int write_texts(struct extfs *x, const struct vmm_prepare *p, time_t t, struct err *e)
{
	char buf[2048];
	int r = put_text(x, "/etc/hostname", t, buf, identity_hostname(p, buf, sizeof(buf)), e);
	if (!r)
		r = put_text(x, "/etc/hosts", t, buf, identity_hosts(p, buf, sizeof(buf)), e);
	if (!r)
		r = extfs_mkdir(x, "/etc/network", t, e);
	bool dropins = extfs_is_dir(x, "/etc/network/interfaces.d");
	if (!r)
		r = put_text(x, "/etc/network/interfaces", t, buf, identity_interfaces(p, dropins, buf, sizeof(buf)),
			     e);
	if (!r)
		r = put_text(x, "/etc/resolv.conf", t, buf, identity_resolv(p, buf, sizeof(buf)), e);
	return r;
}

static int write_random(struct extfs *x, time_t t, struct err *e)
{
	uint8_t seed[512];
	if (RAND_bytes(seed, sizeof(seed)) != 1)
		return err_set(e, -EIO, "no random numbers");
	char id[34];
	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", seed[i]);
	/* Version and variant as in a random UUID: systemd makes its own like that. */
	id[12] = '4';
	id[16] = "89ab"[seed[8] >> 6];
	id[32] = '\n';
	int r = extfs_write(x, "/etc/machine-id", 0444, t, id, 33, e);
	if (!r && extfs_is_dir(x, "/var/lib/systemd")) {
		if (RAND_bytes(seed, sizeof(seed)) != 1)
			return err_set(e, -EIO, "no random numbers");
		r = extfs_write(x, "/var/lib/systemd/random-seed", 0600, t, seed, sizeof(seed), e);
	}
	OPENSSL_cleanse(seed, sizeof(seed));
	return r;
}

static int write_hostkey(struct extfs *x, const struct hostkey *k, bool openssh, bool dropbear, time_t t, struct err *e)
{
	char path[128];
	int r = 0;
	if (openssh) {
		snprintf(path, sizeof(path), "/etc/ssh/ssh_host_%s_key", k->name);
		r = extfs_write(x, path, 0600, t, k->private_file, k->private_len, e);
		snprintf(path, sizeof(path), "/etc/ssh/ssh_host_%s_key.pub", k->name);
		if (!r)
			r = extfs_write(x, path, 0644, t, k->public_file, k->public_len, e);
	}
	if (!r && dropbear) {
		snprintf(path, sizeof(path), "/etc/dropbear/dropbear_%s_host_key", k->name);
		r = extfs_write(x, path, 0600, t, k->dropbear_file, k->dropbear_len, e);
	}
	return r;
}

static int write_hostkeys(struct extfs *x, const struct vmm_prepare *p, time_t t, struct err *e)
{
	bool openssh = extfs_is_dir(x, "/etc/ssh"), dropbear = extfs_is_dir(x, "/etc/dropbear");
	if (!openssh && !dropbear)
		return 0;
	char comment[HOSTNAME_CAP + 8];
	snprintf(comment, sizeof(comment), "root@%.*s", label_len(p), p->hostname);
	struct hostkey *k = calloc(1, sizeof(*k));
	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	int r = 0;
	for (unsigned i = 0; !r && i < HOSTKEY_COUNT; i++) {
		/* Each program's own default size. */
		r = hostkey_make(i, openssh ? 3072 : 2048, comment, k, e);
		if (!r)
			r = write_hostkey(x, k, openssh, dropbear, t, e);
	}
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
	return r;
}

static int write_all(struct cow *c, const struct vmm_prepare *p, struct err *e)
{
	struct extfs *x;
	int r = extfs_open(c, &x, e);
	if (r < 0)
		return r;
	if (!extfs_is_dir(x, "/etc")) {
		extfs_abandon(x);
		return err_set(e, -EINVAL, "the image holds no Linux system: it has no directory /etc");
	}
	time_t t = extfs_mtime(x, "/etc");
	r = write_texts(x, p, t, e);
	if (!r)
		r = write_random(x, t, e);
	if (!r)
		r = write_hostkeys(x, p, t, e);
	if (r < 0) {
		extfs_abandon(x);
		return r;
	}
	return extfs_close(x, e);
}

static int check(const struct vmm_prepare *p, struct err *e)
{
	size_t n = strnlen(p->hostname, sizeof(p->hostname));
	if (n == 0 || n == sizeof(p->hostname) || p->naddrs > MODEL_ADDRS ||
	    strspn(p->hostname, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != n ||
	    p->hostname[0] == '.')
		return err_set(e, -EINVAL, "not a host name, or too many addresses");
	for (unsigned i = 0; i < p->naddrs; i++)
		if (!(p->addrs[i].family == 4 && p->addrs[i].plen <= 32) &&
		    !(p->addrs[i].family == 6 && p->addrs[i].plen <= 128))
			return err_set(e, -EINVAL, "address %u of the honeypot is not one", i);
	return 0;
}

int identity_prepare(int overlay, int base, const char *base_path, const struct vmm_prepare *p, struct err *e)
{
	enum cow_state state;
	struct cow c;
	int r = check(p, e);
	if (!r)
		r = cow_look(overlay, &state, e);
	if (r < 0)
		return r;
	if (state == COW_READY) {
		r = cow_open(&c, overlay, base, e);
		if (!r)
			cow_close(&c);
		return r;
	}
	r = cow_create(&c, overlay, base, base_path, e);
	if (r < 0)
		return r;
	r = write_all(&c, p, e);
	if (!r)
		r = cow_commit(&c, e);
	cow_close(&c);
	return r;
}
