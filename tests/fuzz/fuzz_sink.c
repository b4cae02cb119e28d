/* SPDX-License-Identifier: ISC */
/* The sinkhole's services: the first byte is the service, the second how the rest
 * is cut into pieces. Nothing is written beyond its bounds, every record keeps the
 * format, and time ends everything. */
#include "peer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2 || n > 65536)
		return 0;
	struct peer *p = peer_new(data[0] % SINK_SVC_COUNT);
	peer_send(p, data + 2, n - 2, data[1]);
	peer_pass(p, 4 * EV_SEC);
	if (!p->s->closing)
		peer_pass(p, 301 * EV_SEC);
	if (!p->s->closing || p->s->nout > SINK_OUT_MAX || p->s->body.n > SINK_BODY_MAX)
		abort();
	peer_end(p);
	if (p->told[(p->ntold - 1) % TOLD].head.record != SINK_REC_END)
		abort();
	peer_free(p);
	return 0;
}
