/* SPDX-License-Identifier: ISC */
#include "proc/gateway/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define YEAR (366u * 86400u)

void policies_init(struct policies *p)
{
	memset(p, 0, sizeof(*p));
	p->now = &p->sets[0];
}

static int limit_check(const struct limit *l, struct err *e)
{
	if (l->count == 0 || l->count == LIMIT_UNLIMITED)
		return 0;
	if (l->count > LIMIT_COUNT_MAX || l->seconds == 0 || l->seconds > YEAR)
		return err_set(e, -EINVAL, "limit of %u in %u seconds: at most %u, in 1 to %u seconds", l->count,
			       l->seconds, LIMIT_COUNT_MAX, YEAR);
	return 0;
}

int policy_check(const struct policy *p, struct err *e)
{
	if (p->inbound_deny > 1 || p->multicast_allow > 1)
		return err_set(e, -EINVAL, "policy with a flag that is neither 0 nor 1");
	if (p->flow.seconds > YEAR || p->honeypot.seconds > YEAR)
		return err_set(e, -EINVAL, "budget for more than a year");
	for (unsigned i = 0; i < LIMIT_CLASS_COUNT; i++) {
		int r = limit_check(&p->outbound[i], e);
		if (!r)
			r = limit_check(&p->lateral[i], e);
		if (r)
			return r;
	}
	return 0;
}

static struct policy_set *spare(struct policies *p)
{
	return p->now == &p->sets[0] ? &p->sets[1] : &p->sets[0];
}

int policies_swap(struct policies *p, const struct policy_pool *pool, const struct gw_policy_entry *entries, uint32_t n,
		  uint32_t generation, struct err *e)
{
	struct policy_set *next = spare(p);
#ifdef MUTANT_POLICY_IN_PLACE
	next = (struct policy_set *)p->now;
#endif
	memset(next, 0, sizeof(*next));
	next->generation = generation;
	if (pool)
		next->pool = *pool;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t port = entries[i].port;
		if (port >= MODEL_HONEYPOTS)
			return err_set(e, -EINVAL, "policy for port %u, which is no honeypot's", port);
		if (next->has[port])
			return err_set(e, -EINVAL, "two policies for port %u", port);
		int r = policy_check(&entries[i].policy, e);
		if (r)
			return err_prefix(e, "port %u: ", port);
		next->of[port] = entries[i].policy;
		next->honeypot[port] = entries[i].honeypot;
		next->network[port] = entries[i].network;
		next->has[port] = true;
	}
	p->now = next;
	return 0;
}

static int read_at(int fd, void *to, size_t size, off_t at)
{
	for (size_t have = 0; have < size;) {
		ssize_t r = pread(fd, (char *)to + have, size - have, at + (off_t)have);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		have += (size_t)r;
	}
	return 0;
}

int policies_load(struct policies *p, int fd, uint32_t n, uint32_t generation, struct err *e)
{
	enum { NEED = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & NEED) != NEED)
		return err_set(e, -EPERM, "the policy is not in a sealed memfd");
	if (n > MODEL_HONEYPOTS)
		return err_set(e, -E2BIG, "%u policies, but at most %u honeypots", n, MODEL_HONEYPOTS);
	size_t size = n * sizeof(p->entries[0]);
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)(sizeof(p->pool) + size))
		return err_set(e, -EINVAL, "the policy's memfd does not hold a pool and %u entries", n);
	int r = read_at(fd, &p->pool, sizeof(p->pool), 0);
	if (!r)
		r = read_at(fd, p->entries, size, sizeof(p->pool));
	if (r)
		return err_sys(e, r, "cannot read the policy");
	return policies_swap(p, &p->pool, p->entries, n, generation, e);
}

void policies_forget(struct policies *p, uint16_t port)
{
	struct policy_set *next = spare(p);
	if (port >= MODEL_HONEYPOTS || !p->now->has[port])
		return;
	*next = *p->now;
	next->has[port] = false;
	p->now = next;
}
