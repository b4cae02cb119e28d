/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SUPER_MACHINE_STEPS_H
#define SKEP_PROC_SUPER_MACHINE_STEPS_H

#include "proc/super/hub.h"

/* The sequences of machine.c's jobs, as tables. */
extern const struct seq_step machine_start_steps[], machine_stop_steps[], machine_reset_steps[];
extern const struct seq_step machine_pause_steps[], machine_resume_steps[];
extern const struct seq_step machine_port_steps[], machine_port_close_steps[];

/* Index of the first step at which the guest itself can be the reason of a failure. */
unsigned machine_boot_step(bool reset);
/* Its end is wanted: a death is no surprise. */
bool machine_in_stop(const struct machine *m);
bool machine_in_boot(const struct machine *m);
bool machine_awaits_vmm(const struct machine *m);
bool machine_awaits_introspect(const struct machine *m);
bool machine_awaits_handler(const struct machine *m);

/* machine.c */
void machine_drop_transit(struct machine *m);
void machine_drop_handler(struct super *s, struct machine *m);
void machine_boot_check(struct super *s, struct machine *m);

#endif
