/* SPDX-License-Identifier: ISC */
#include "proc/priv/state.h"

#include <errno.h>

int verb_lab(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	(void)p;
	(void)m;
	(void)r;
	return err_set(e, -ENOSYS, "not built yet");
}

int verb_lab_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	return verb_lab(p, m, r, e);
}

int verb_lab_fds(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	return verb_lab(p, m, r, e);
}

void lab_close(struct lab *l)
{
	(void)l;
}
