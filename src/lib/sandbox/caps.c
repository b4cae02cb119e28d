/* SPDX-License-Identifier: ISC */
#include "sandbox/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2];
};

static int sets_get(struct sets *s)
{
	*s = (struct sets){ .h.version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &s->h, s->d) < 0 ? -errno : 0;
}

static int sets_put(struct sets *s)
{
	s->h = (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capset, &s->h, s->d) < 0 ? -errno : 0;
}

static int drop_bounding(void)
{
	/* The kernel says where its list ends. */
	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap) < 0)
			return cap ? 0 : -errno;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

enum {
	LOCKED = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
		 SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED
};

int caps_only(uint64_t keep, struct err *e)
{
	struct sets s;
	const uint32_t half[2] = { (uint32_t)keep, (uint32_t)(keep >> 32) };
	int r = sets_get(&s);
	for (int i = 0; i < 2; i++)
		s.d[i].inheritable = half[i];
	if (!r)
		r = sets_put(&s);
	for (int cap = 0; !r && cap < 64 && prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
		bool kept = keep & 1ull << cap;
		if (kept ? prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0
			 : prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			r = -errno;
	}
	if (!r && prctl(PR_SET_SECUREBITS, LOCKED, 0, 0, 0) < 0)
		r = -errno;
	for (int i = 0; i < 2; i++)
		s.d[i] = (struct __user_cap_data_struct){ half[i], half[i], half[i] };
	if (!r)
		r = sets_put(&s);
	return r ? err_sys(e, r, "cannot keep only some capabilities") : 0;
}

int caps_bound(int *bounded, struct err *e)
{
	int r = drop_bounding();
	if (!r && prctl(PR_SET_SECUREBITS, LOCKED, 0, 0, 0) < 0)
		r = -errno;
	if (r && r != -EPERM)
		return err_sys(e, r, "cannot empty the capability bounding set");
	int whole = 1;
	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap) > 0)
			whole = 0;
	*bounded = whole;
	return 0;
}

int caps_clear(struct err *e)
{
	struct sets none = { 0 };
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	int r = sets_put(&none);
	return r < 0 ? err_sys(e, r, "cannot drop capabilities") : 0;
}

#define KEPT (1u << CAP_SYS_ADMIN | 1u << CAP_SETPCAP)

int caps_keep(struct err *e)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(e, -errno, "cannot keep capabilities");
	return 0;
}

int caps_ambient(struct err *e)
{
	struct sets s;
	int r = sets_get(&s);
	if (!r) {
		uint32_t have = s.d[0].permitted & KEPT;
		s.d[0] = (struct __user_cap_data_struct){ have, have, have };
		s.d[1] = (struct __user_cap_data_struct){ 0 };
		r = sets_put(&s);
	}
	for (int cap = 0; !r && cap < 32; cap++)
		if ((KEPT & s.d[0].permitted) & (1u << cap) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			r = -errno;
	return r ? err_sys(e, r, "cannot pass capabilities on") : 0;
}

int caps_admin(void)
{
	struct sets s;
	return sets_get(&s) == 0 && (s.d[0].effective & 1u << CAP_SYS_ADMIN) != 0;
}
