/* SPDX-License-Identifier: ISC */
#include "sandbox/uml_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct build {
	char *text;
	size_t at, cap;
	char **list;
	size_t n, list_cap;
	bool full;
};

__attribute__((format(printf, 2, 3))) static void add(struct build *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(b->text + b->at, b->cap - b->at, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= b->cap - b->at || b->n + 1 >= b->list_cap) {
		b->full = true;
		return;
	}
	b->list[b->n++] = b->text + b->at;
	b->list[b->n] = NULL;
	b->at += (size_t)n + 1;
}

int uml_args(const struct priv_vmm *v, struct uml_args *out, struct err *e)
{
	if (v->memory < UML_MEMORY_MIN || v->memory > UML_MEMORY_MAX)
		return err_set(e, -EINVAL, "User Mode Linux runs with 32M to 64G of memory, not %" PRIu64 " KiB",
			       v->memory >> 10);
	static const uint8_t none[6];
	if ((v->mac[0] & 1) || !memcmp(v->mac, none, 6))
		return err_set(e, -EINVAL, "the MAC address of a machine must be unicast");

	memset(out, 0, sizeof(*out));
	struct build b = { .text = out->text, .cap = sizeof(out->text), .list = out->argv, .list_cap = 24 };
	/* The guest may restart: UML then executes itself by this name. */
	add(&b, UML_INSIDE);
	add(&b, "mem=%" PRIu64 "K", v->memory >> 10);
	add(&b, "umid=0"); /* UML takes it off the guest's command line */
	add(&b, "ubd0=" UML_OVERLAY "," UML_BASE);
	add(&b, "root=/dev/ubda");
	add(&b, "rw");
	add(&b, "con=null");
	add(&b, "ssl=null");
	add(&b, "ssl0=fd:%d", UML_FD_CONSOLE);
	add(&b, "console=ttyS0");
	char mac[MAC_TEXT];
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", v->mac[0], v->mac[1], v->mac[2], v->mac[3],
		 v->mac[4], v->mac[5]);
	add(&b, "vec0:transport=fd,fd=%d,mac=%s", UML_FD_FRAMES, mac);
	/* The kernel can mount the VMM's own file system; there is none here. The
	 * jail is what holds if a guest gets around this. */
	add(&b, "hostfs=/nonexistent");
	/* The path is not used: the shim sends to the control socket. */
	add(&b, "mconsole=notify:/c");
	/* 512 devices that nobody has used since 1998; half a second of the boot. */
	add(&b, "pty.legacy_count=0");
	add(&b, "lpj=%d", 5000 * UML_BOGOMIPS);
	add(&b, "quiet");

	struct build env = {
		.text = out->text, .at = b.at, .cap = sizeof(out->text), .list = out->envp, .list_cap = 8
	};
	add(&env, "HOME=" UML_HOME); /* rather than uml_dir=, which the guest would see */
	add(&env, "TMPDIR=" UML_TMP);
	add(&env, "PATH=/usr/bin:/bin");
	if (b.full || env.full)
		return err_set(e, -EOVERFLOW, "the command line of User Mode Linux does not fit");
	return 0;
}
