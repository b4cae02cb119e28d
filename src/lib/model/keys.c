/* SPDX-License-Identifier: ISC */
#include "model/keys.h"

#include "model/rules.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define INT(type, field) AT(type, field), .size = sizeof(((struct type *)0)->field)

/* In the order of enum backend_kind. */
static const char *const backend_words[] = { "uml", "qemu", "bochs", "vmware", "libvirt", "vmware-cmd", NULL };
/* In the order of enum introspection_mode, and of enum on_tamper. */
static const char *const introspection_words[] = { "auto", "hooks", "probes", "off", NULL };
static const char *const tamper_words[] = { "freeze", "report", NULL };

static const struct key network_keys[] = {
	{ "v4", KEY_PREFIX, PLACE_NET_V4, .min = 4, AT(network, v4) },
	{ "v6", KEY_PREFIX, PLACE_NET_V6, .min = 6, AT(network, v6) },
	{ "router", KEY_ROUTERS },
	{ NULL },
};

static const struct key uplink_keys[] = {
	{ "lab", KEY_LAB, PLACE_UPLINK, .required = true },
	{ "interface", KEY_LATER },
	{ "nat", KEY_LATER },
	{ NULL },
};

static const struct key evidence_keys[] = {
	{ "max-size", KEY_BYTES, PLACE_MAX_SIZE, INT(evidence_conf, max_bytes), .min = EV_SIZE_MIN, .max = EV_SIZE_MAX,
	  .unlimited = true },
	{ "max-age", KEY_SECONDS, PLACE_MAX_AGE, INT(evidence_conf, max_age), .min = EV_AGE_MIN, .max = EV_AGE_MAX,
	  .unlimited = true },
	{ "rotate", KEY_BYTES, PLACE_ROTATE, INT(evidence_conf, rotate_bytes), .min = EV_ROTATE_MIN,
	  .max = EV_ROTATE_MAX },
	{ "min-free", KEY_BYTES, PLACE_MIN_FREE, INT(evidence_conf, min_free), .max = EV_SIZE_MAX },
	{ "ring", KEY_BYTES, PLACE_RING, INT(evidence_conf, ring_bytes), .min = EV_RING_MIN, .max = EV_RING_MAX },
	{ NULL },
};

static const struct key engine_keys[] = {
	{ "rules", KEY_PATHS },
	{ "variables", KEY_VARIABLES },
	{ "interfaces", KEY_INTERFACES },
	{ NULL },
};

static const struct key honeypot_keys[] = {
	{ "backend", KEY_WORD, PLACE_BACKEND, INT(honeypot, backend), .words = backend_words },
	{ "image", KEY_NAME, PLACE_IMAGE, .required = true, AT(honeypot, image) },
	{ "network", KEY_NETREF, PLACE_HP_NET, AT(honeypot, net) },
	{ "address", KEY_ADDRS, PLACE_HONEYPOT, .required = true },
	{ "mac", KEY_MAC, PLACE_MAC, AT(honeypot, mac) },
	{ "memory", KEY_BYTES, PLACE_MEMORY, INT(honeypot, memory), .min = MEMORY_MIN, .max = MEMORY_MAX },
	{ "cpus", KEY_UINT, PLACE_CPUS, INT(honeypot, cpus), .min = 1, .max = CPUS_MAX },
	{ "hostname", KEY_HOSTNAME, PLACE_HOSTNAME, AT(honeypot, hostname) },
	{ "boot-timeout", KEY_SECONDS, PLACE_BOOT, INT(honeypot, boot_seconds), .min = BOOT_MIN, .max = BOOT_MAX },
	{ "policy", KEY_POLICY, PLACE_HP_POLICY, AT(honeypot, policy), .sub = policy_keys },
	{ "introspection", KEY_WORD, INT(honeypot, introspection.mode), .words = introspection_words },
	{ "on-tamper", KEY_WORD, INT(honeypot, introspection.on_tamper), .words = tamper_words },
	{ NULL },
};

/* Bound in this order, whatever the file's: honeypots refer to networks and
 * begin with the honeynet's policy; triggers refer to both and to policies. */
const struct key model_keys[] = {
	{ "honeynet", KEY_NAME, PLACE_NAME, .required = true, AT(model, name) },
	{ "networks", KEY_NETWORKS, PLACE_MODEL, .required = true, .sub = network_keys },
	{ "uplink", KEY_UPLINK, PLACE_UPLINK, .sub = uplink_keys },
	{ "policy", KEY_POLICY, PLACE_POLICY, AT(model, policy), .sub = policy_keys },
	{ "policies", KEY_POLICIES, .sub = policy_keys },
	{ "engine", KEY_ENGINE, PLACE_ENGINE, .sub = engine_keys },
	{ "introspection", KEY_WORD, INT(model, introspection.mode), .words = introspection_words },
	{ "on-tamper", KEY_WORD, INT(model, introspection.on_tamper), .words = tamper_words },
	{ "evidence", KEY_MAP, PLACE_EVIDENCE, AT(model, evidence), .sub = evidence_keys },
	{ "honeypots", KEY_HONEYPOTS, .required = true, .sub = honeypot_keys },
	{ "notify", KEY_MAP, PLACE_NOTIFY, AT(model, notify), .sub = notify_keys },
	{ "triggers", KEY_TRIGGERS, .sub = trigger_keys },
	{ NULL },
};

const struct key policy_file_keys[] = {
	{ "policy", KEY_POLICY, PLACE_POLICY, .required = true, AT(model, policy), .sub = policy_keys },
	{ "policies", KEY_POLICIES, .sub = policy_keys },
	{ "notify", KEY_MAP, PLACE_NOTIFY, AT(model, notify), .sub = notify_keys },
	{ "triggers", KEY_TRIGGERS, .sub = trigger_keys },
	{ NULL },
};
