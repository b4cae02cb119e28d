/* SPDX-License-Identifier: ISC */
/* The selected frames as one pcapng section, in the order of their times. */
#include "cli/export.h"
#include "cli/pcap_merge.h"

#include <errno.h>
#include <stdlib.h>

struct frames {
	struct export_run *x;
	struct sorter *sort;
	struct pcap_merge all;
	int r;
};

static bool wanted(const struct export_run *x, const struct pcap_packet *k, const char *port)
{
	char out[PCAP_NAME];
	if (!evidence_filter_time(&x->filter, k->time))
		return false;
	if (x->filter.honeypots && !evidence_filter_honeypot(&x->filter, port) &&
	    !(pcap_field(k->comment, "out", out, sizeof(out)) && evidence_filter_honeypot(&x->filter, out)))
		return false;
	return scope_packet(&x->scope, k);
}

static bool on_block(void *arg, struct slice block, bool first)
{
	struct frames *f = arg;
	struct pcap_packet k;
	if (!pcap_merge_learn(&f->all, block, first)) {
		f->r = err_set(&f->x->e, -ENOSPC, "more than %u interfaces: choose less with --since and --until",
			       PCAP_IFS);
		return false;
	}
	if (pcap_type(block) != PCAP_EPB)
		return true;
	uint32_t i = pcap_packet(block, &k) ? pcap_merge_if(&f->all, k.interface) : PCAP_IFS;
	if (i == PCAP_IFS)
		f->x->broken++;
	else if (wanted(f->x, &k, f->all.ifs[i].name))
		f->r = sorter_add(f->sort, k.time, i, block, &f->x->e);
	return f->r == 0;
}

static bool on_sorted(void *arg, uint64_t time, uint32_t interface, struct slice block)
{
	struct frames *f = arg;
	(void)time;
	pcap_merge_write(&f->all, f->x->out, block, interface);
	f->x->count++;
	return !ferror(f->x->out);
}

int export_pcapng(struct export_run *x)
{
	char folder[DIRS_PATH];
	struct frames *f = calloc(1, sizeof(*f));
	if (!f || !(f->sort = sorter_new(SORT_MEMORY, export_folder(x, folder)))) {
		free(f);
		return err_set(&x->e, -ENOMEM, "out of memory");
	}
	f->x = x;
	x->what = "frames";
	struct evidence_reader in = { .dir = &x->dir,
				      .folder = "packets",
				      .ext = ".pcapng",
				      .frame = pcap_frame,
				      .fn = on_block,
				      .arg = f,
				      .since = x->filter.since,
				      .fd = -1 };
	int r = evidence_read(&in, &x->e);
	r = r < 0 ? r : f->r;
	x->cut += in.cut;
	x->broken += in.damaged;
	evidence_reader_free(&in);
	if (r == 0)
		r = sorter_run(f->sort, on_sorted, f, &x->e);
	if (r == 0)
		pcap_merge_end(&f->all, x->out);
	pcap_merge_free(&f->all);
	sorter_free(f->sort);
	free(f);
	return r;
}
