/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_RULE_DRAFT_H
#define SKEP_MODEL_RULE_DRAFT_H

#include "model/model.h"

/* What binding leaves before several keys of one mapping are put together. */

struct escaped {
	size_t n; /* 0 = not bound */
	uint8_t bytes[REWRITE_MAX];
};
struct replace_draft {
	struct escaped from, to;
};
struct trigger_draft {
	struct trigger t;
	char match[256]; /* as written */
};

#endif
