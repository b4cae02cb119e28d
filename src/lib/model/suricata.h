/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_SURICATA_H
#define SKEP_MODEL_SURICATA_H

#include "base/err.h"
#include "model/model.h"

#include <stddef.h>

/*
 * Suricata's configuration (suricata.yaml of Suricata 7), from typed values. One
 * for the jail, where its files are at fixed paths, and one for `suricata -T`,
 * which only reads rules.
 */
#define SURICATA_PROGRAM "/usr/bin/suricata"
#define SURICATA_DIR "/etc/suricata" /* classification.config, reference.config, as the package has them */
#define SURICATA_YAML_MAX 16384u
#define SURICATA_IN "in0"       /* towards the honeypots */
#define SURICATA_OUT "out0"     /* towards the uplinks */
#define SURICATA_JAIL "/engine" /* inside the jail */
#define SURICATA_REPORTS SURICATA_JAIL "/reports"
#define SURICATA_RULES SURICATA_JAIL "/rules"
#define SURICATA_YAML SURICATA_JAIL "/suricata.yaml"

struct suricata_conf {
	const char *dir;         /* of classification.config and reference.config */
	const char *reports;     /* a datagram socket for EVE lines; NULL: none, and no interfaces */
	const struct addr *home; /* prefixes of HOME_NET */
	uint32_t nhome;
	const struct engine_var *vars; /* win over the built-in ones */
	uint32_t nvars;
};

/* A name that a variable may have: capitals, digits, underscores. */
int suricata_var_check(const struct engine_var *v, struct err *e);

/* Bytes written to buf (SURICATA_YAML_MAX is enough), without a final NUL; or a
 * negative errno with e set. */
int suricata_yaml(char *buf, size_t cap, const struct suricata_conf *c, struct err *e);

#endif
