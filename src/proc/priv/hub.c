/* SPDX-License-Identifier: ISC */
#include "proc/priv/hub.h"

#include "base/text.h"
#include "proc/priv/netlink.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int hub_wake(int sk, const char *name, struct err *e)
{
	struct ifreq r = { .ifr_flags = 0 };
	text_copy(r.ifr_name, IFNAMSIZ, name);
	if (ioctl(sk, SIOCGIFFLAGS, &r) < 0)
		return err_sys(e, -errno, "cannot look at interface %s", name);
	r.ifr_flags |= IFF_UP | IFF_NOARP;
	if (ioctl(sk, SIOCSIFFLAGS, &r) < 0)
		return err_sys(e, -errno, "cannot switch on interface %s", name);
	return 0;
}

int hub_veth(const char *up, unsigned index, const char *name, const uint8_t mac[6], int netns, struct err *e)
{
	int nl = nl_open(e), sk = nl < 0 ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = nl < 0 ? nl : sk < 0 ? err_sys(e, -errno, "cannot make a socket") : 0;
	if (!r) {
		/* That of an earlier one, whose namespace is on its way out. */
		unsigned old = nl_index(sk, up);
		if (old)
			nl_link_del(nl, old);
		r = nl_veth(nl, up, index, name, mac, netns);
		if (r < 0)
			err_sys(e, r, "cannot make the interface %s", up);
	}
	if (!r && (r = nl_offloads_off(sk, up)) < 0)
		err_sys(e, r, "cannot switch off the offloads of %s", up);
	if (!r)
		r = hub_wake(sk, up, e);
	if (!r)
		r = lab_open_packet(sk, up, e);
	if (r < 0 && sk >= 0 && nl_index(sk, up))
		nl_link_del(nl, nl_index(sk, up));
	if (sk >= 0)
		close(sk);
	if (nl >= 0)
		close(nl);
	return r;
}
