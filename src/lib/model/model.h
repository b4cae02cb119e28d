/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_MODEL_H
#define SKEP_MODEL_MODEL_H

#include "base/err.h"
#include "model/addr.h"
#include "model/policy.h"

#include <stdint.h>

/*
 * What one YAML file describes, bound and checked. Plain old data without
 * pointers, so that it can travel in a sealed memfd (model_seal/model_open);
 * the receiver checks it again (model_check), since it trusts no sender.
 */
#define MODEL_MAGIC 0x314d4b53u /* "SKM1" */
#define MODEL_NETS 16
#define MODEL_HONEYPOTS 256
#define MODEL_ADDRS 8
#define MODEL_LAB_ADDRS 8
#define MODEL_POLICIES 16
#define MODEL_TRIGGERS 64
#define POLICY_NONE 0xffffu
#define NAME_CAP 32 /* with the final NUL */
#define HOSTNAME_CAP 64

enum backend_kind {
	BACKEND_UML,
	BACKEND_QEMU,
	BACKEND_BOCHS,
	BACKEND_VMWARE,
	BACKEND_LIBVIRT,
	BACKEND_VMWARE_CMD,
	BACKEND_COUNT
};
const char *backend_name(unsigned kind); /* "uml", ... */

enum uplink_kind { UPLINK_NONE, UPLINK_LAB, UPLINK_COUNT };

/* How to see what happens inside of a honeypot, and what to do when its guest
 * attacks that. The words of the file, in this order. */
enum introspection_mode {
	INTROSPECTION_AUTO, /* hooks */
	INTROSPECTION_HOOKS,
	INTROSPECTION_PROBES,
	INTROSPECTION_OFF,
	INTROSPECTION_COUNT
};
enum on_tamper { ON_TAMPER_FREEZE, ON_TAMPER_REPORT, ON_TAMPER_COUNT };
struct introspection_conf {
	uint32_t mode;      /* enum introspection_mode */
	uint32_t on_tamper; /* enum on_tamper */
};

/* Where in the file something stands, for messages; 0 = unknown. */
struct mark {
	uint32_t line, col;
};

struct network {
	char name[NAME_CAP];
	struct addr v4, v6;           /* prefixes; family 0 = none */
	struct addr router4, router6; /* what honeypots use as default route: lives in the lab */
	struct mark mark;
};

struct honeypot {
	char name[NAME_CAP];
	char image[NAME_CAP];
	char hostname[HOSTNAME_CAP];
	uint32_t backend; /* enum backend_kind */
	uint32_t net;     /* index into model.nets */
	uint32_t naddrs;
	struct addr addrs[MODEL_ADDRS]; /* plen = that of the network */
	uint8_t mac[6];
	uint8_t pad[2];
	uint64_t memory; /* bytes */
	uint32_t cpus;
	uint32_t boot_seconds;                   /* boot watchdog */
	struct policy policy;                    /* the honeynet's, overridden by its own */
	struct introspection_conf introspection; /* the same */
	struct mark mark, image_mark;
};

struct evidence_conf {
	uint64_t max_bytes;    /* 0 = as much as the disk holds */
	uint64_t max_age;      /* seconds; 0 = for ever */
	uint64_t rotate_bytes; /* size of one pcapng or event file */
	uint64_t min_free;     /* bytes that must stay free on the disk */
	uint32_t ring_bytes;   /* per port; power of two */
	uint32_t pad;
};

/* What stands inline. */
enum engine_kind {
	ENGINE_KIND_SURICATA,
	ENGINE_KIND_INTERFACES, /* two interfaces in a namespace of their own, where the operator's appliance runs */
	ENGINE_KIND_COUNT
};
#define ENGINE_RULES 16
#define ENGINE_VARS 16
#define ENGINE_PATH 192
#define ENGINE_IF_CAP 16 /* IFNAMSIZ */
struct engine_var {
	char name[32];   /* HTTP_PORTS, ... */
	char value[128]; /* as Suricata writes it: [80,8080], $HOME_NET */
};
struct engine_conf {
	uint32_t kind; /* enum engine_kind */
	uint32_t nrules, nvars;
	uint32_t pad;
	char rules[ENGINE_RULES][ENGINE_PATH]; /* files; relative to the honeynet's file */
	char interfaces[2][ENGINE_IF_CAP];
	struct engine_var vars[ENGINE_VARS];
};

/* A policy that triggers can tighten to. */
struct named_policy {
	char name[NAME_CAP];
	struct policy policy;
};

/* Large (about 0.7 MiB): never on a stack. */
struct model {
	uint32_t magic;
	uint32_t size; /* sizeof(struct model) */
	char name[NAME_CAP];
	uint32_t uplink; /* enum uplink_kind */
	uint32_t nlab;
	struct addr lab[MODEL_LAB_ADDRS]; /* prefixes that the lab plays: the outside */
	uint32_t nnets;
	uint32_t nhoneypots;
	struct network nets[MODEL_NETS];
	struct honeypot honeypots[MODEL_HONEYPOTS];
	struct evidence_conf evidence;
	struct policy policy;                    /* the honeynet's default, as written */
	struct introspection_conf introspection; /* the same */
	uint32_t npolicies, ntriggers;
	struct named_policy policies[MODEL_POLICIES];
	struct trigger triggers[MODEL_TRIGGERS];
	struct notify_conf notify;
	struct engine_conf engine;
	struct policy_pool pool; /* what all policies above refer to */
};

/* All problems of one file, in the order of their place. */
#define DIAG_MAX 128
struct diag_item {
	struct mark at;
	char text[200];
};
struct diag {
	unsigned n; /* stored; `more` counts those beyond DIAG_MAX */
	unsigned more;
	struct diag_item items[DIAG_MAX];
};
void diag_add(struct diag *d, struct mark at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Binds the YAML text to *out. Unknown and duplicate keys, wrong types, values
 * out of range and contradictions (overlapping prefixes, an address outside of
 * its network, two honeypots with one address, ...) all go to d with their
 * places. 0, or -EINVAL with d->n > 0 and *out untouched. Opens no file.
 */
int model_parse(const char *text, size_t n, struct model *out, struct diag *d);

/*
 * A file that holds only a policy: the keys policy, policies, triggers and
 * notify. *out has no networks and no honeypots (out->policy, out->pool, ... are
 * filled), and model_check refuses it; model_check_policy does not.
 */
int model_parse_policy(const char *text, size_t n, struct model *out, struct diag *d);
/* The same for a honeynet: rules may name its networks and honeypots. *out is
 * *net with all its honeypots under the policy. net and out may be the same. */
int model_parse_policy_for(const char *text, size_t n, const struct model *net, struct model *out, struct diag *d);
/* Whether the text is of a file with a policy only, rather than of a honeynet's. */
bool model_is_policy(const char *text, size_t n);
/* The preset of that name, as model_parse_policy. -ENOENT, with a complaint in
 * d: there is none. */
int model_preset(const char *name, struct model *out, struct diag *d);
/* The presets, in the order of the files' names; NULL after the last. The text
 * is that of examples/policies/NAME.yaml, *n bytes. */
const char *model_preset_name(unsigned i);
const char *model_preset_text(unsigned i, size_t *n);
/* Puts the policy, the named ones, triggers and notices of `policy` (of
 * model_parse_policy or model_preset) into net, for all its honeypots. */
void model_put_policy(struct model *net, const struct model *policy);

/* Every rule that holds between values, and every bound, for a model that came
 * from another process. 0 or -EINVAL. */
int model_check_policy(const struct model *m, struct err *e);
int model_check(const struct model *m, struct err *e);

/* A sealed memfd that holds *m, to be closed by the caller; or -errno. */
int model_seal(const struct model *m, struct err *e);
/* Reads and checks a model out of a memfd. The fd stays the caller's. */
int model_open(int fd, struct model *out, struct err *e);

/* How files write it: "tcp", "A"; else a number in buf. */
const char *model_protocol_name(unsigned number, char buf[16]);
const char *model_qtype_name(unsigned type, char buf[16]);

const struct honeypot *model_honeypot(const struct model *m, const char *name);

#endif
