/* SPDX-License-Identifier: ISC */
#ifndef SKEP_BASE_DIRS_H
#define SKEP_BASE_DIRS_H

#include "base/err.h"

/*
 * Where things live.
 *
 *   root:     state /var/lib/skep                run /run/skep
 *   rootless: state $XDG_STATE_HOME/skep         run $XDG_RUNTIME_DIR/skep
 *             (~/.local/state/skep)              (state/run if unset)
 *   SKEP_STATE=DIR: state DIR, run DIR/run (tests, several installations)
 *
 *   state/images/NAME/          an image: disk.img and image.json
 *   state/nets/NAME/evidence/   evidence (owned by the evidence process)
 *   state/nets/NAME/disks/      overlays, one file a honeypot
 *   run/NAME/ctl                super's control socket
 *   run/NAME/lock               held while the honeynet runs (flock)
 */
#define DIRS_PATH 512

int dirs_state(char *buf, struct err *e); /* buf[DIRS_PATH] */
int dirs_run(char *buf, struct err *e);
/* Makes the directory and its parents, 0700. */
int dirs_make(const char *path, struct err *e);

#endif
