/* SPDX-License-Identifier: ISC */
/* The presets: examples/policies/NAME.yaml, compiled in. */
#include "model/model.h"

#include <errno.h>
#include <string.h>

struct preset {
	const char *name;
	const unsigned char *text;
	size_t n;
};

#include <preset_table.h> /* made by tools/presets.py */

enum { PRESETS = sizeof(presets) / sizeof(presets[0]) };

const char *model_preset_name(unsigned i)
{
	return i < PRESETS ? presets[i].name : NULL;
}

const char *model_preset_text(unsigned i, size_t *n)
{
	*n = i < PRESETS ? presets[i].n : 0;
	return i < PRESETS ? (const char *)presets[i].text : NULL;
}

int model_preset(const char *name, struct model *out, struct diag *d)
{
	for (unsigned i = 0; i < PRESETS; i++)
		if (!strcmp(presets[i].name, name))
			return model_parse_policy((const char *)presets[i].text, presets[i].n, out, d);
	d->n = d->more = 0;
	diag_add(d, (struct mark){ 1, 1 }, "there is no preset %.60s; see skep policy list", name);
	return -ENOENT;
}

void model_put_policy(struct model *net, const struct model *policy)
{
	net->policy = policy->policy;
	net->npolicies = policy->npolicies;
	net->ntriggers = policy->ntriggers;
	memcpy(net->policies, policy->policies, sizeof(net->policies));
	memcpy(net->triggers, policy->triggers, sizeof(net->triggers));
	net->notify = policy->notify;
	memcpy(&net->pool, &policy->pool, sizeof(net->pool));
	for (uint32_t i = 0; i < net->nhoneypots && i < MODEL_HONEYPOTS; i++)
		net->honeypots[i].policy = policy->policy;
}
