/* SPDX-License-Identifier: ISC */
#include "proc/priv/state.h"

#include <errno.h>

int verb_vmm(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	(void)p;
	(void)m;
	(void)r;
	return err_set(e, -ENOSYS, "not built yet");
}

int verb_inspect(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	(void)p;
	(void)m;
	(void)r;
	return err_set(e, -ENOSYS, "not built yet");
}

void vmm_gone(struct priv *p, uint32_t slot)
{
	(void)p;
	(void)slot;
}

void vmm_groups_start(struct priv *p)
{
	(void)p;
}

void vmm_groups_end(struct priv *p)
{
	(void)p;
}
