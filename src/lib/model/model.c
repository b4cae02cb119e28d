/* SPDX-License-Identifier: ISC */
#include "model/model.h"

#include <string.h>

static const char *const backends[BACKEND_COUNT] = { "uml", "qemu", "bochs", "vmware", "libvirt", "vmware-cmd" };

const char *backend_name(unsigned kind)
{
	return kind < BACKEND_COUNT ? backends[kind] : "?";
}

const struct honeypot *model_honeypot(const struct model *m, const char *name)
{
	for (uint32_t i = 0; i < m->nhoneypots && i < MODEL_HONEYPOTS; i++)
		if (!strncmp(m->honeypots[i].name, name, NAME_CAP))
			return &m->honeypots[i];
	return NULL;
}
