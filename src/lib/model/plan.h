/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_PLAN_H
#define SKEP_MODEL_PLAN_H

#include "model/model.h"

/*
 * The difference between the running and the wanted honeynet as ordered steps,
 * each with its undo. Steps of one phase may run at the same time; a phase
 * begins when the one before has succeeded. If a step fails, the done steps
 * are undone in reverse order, and the honeynet is as it was.
 *
 * Order matters for containment: a port gets its policy before its machine
 * starts, and a machine stops before its port goes; also while undoing.
 *
 * What the executor must know:
 * - op or undo may be STEP_NONE: nothing to do in that direction.
 * - The subject of op is in the running model if from_running, else in the
 *   wanted one. The subject of undo is the same; STEP_POLICY and STEP_EVIDENCE
 *   take the wanted model's values to do, the running model's to undo.
 * - STEP_POLICY is about the ports that exist at that moment.
 * - STEP_DISK_ADD keeps an overlay that is there; its undo removes only what
 *   the step itself has made. A disk that a step removed comes back empty: so
 *   the disks of removed honeypots go last, when nothing can fail any more.
 * - A port's slot is free again after its STEP_PORT_DEL (honeypot slots belong
 *   to names, not to indexes in the model, which shift).
 */
enum step_op {
	STEP_NETWORK_ADD, /* lab interface and uplink port of a network */
	STEP_NETWORK_DEL,
	STEP_PORT_ADD, /* gateway port, ring, evidence interface of a honeypot */
	STEP_PORT_DEL,
	STEP_POLICY,   /* swap in the wanted policies of all ports */
	STEP_DISK_ADD, /* overlay, with the honeypot's identity in it */
	STEP_DISK_DEL,
	STEP_MACHINE_START, /* until it is up or its watchdog ran out */
	STEP_MACHINE_STOP,
	STEP_EVIDENCE, /* evidence limits */
	STEP_NONE,     /* nothing to do in this direction */
	STEP_OP_COUNT
};

struct step {
	uint8_t op, undo;     /* enum step_op */
	uint8_t from_running; /* the subject is taken from the running model (it is being removed) */
	uint8_t phase;
	char name[NAME_CAP]; /* network or honeypot; empty for the whole honeynet */
};

#define PLAN_STEPS (4 * MODEL_HONEYPOTS * 2 + 2 * MODEL_NETS + 4)
struct plan {
	unsigned n;
	struct step steps[PLAN_STEPS];
};

const char *step_name(unsigned op); /* "start machine", ... for progress */

/*
 * running NULL = nothing runs. A honeypot whose definition differs in more than
 * its policy is stopped and started anew; its disk is kept unless image,
 * backend or what the image is told of its identity (hostname, network,
 * addresses, MAC) changed. A change of the ring size is for ports that are
 * added later. -EBUSY with a message if the change cannot be applied to a
 * running honeynet (its name, the uplink, a network's prefixes or routers).
 * No steps: nothing differs.
 */
int plan_make(const struct model *running, const struct model *wanted, struct plan *out, struct err *e);

#endif
