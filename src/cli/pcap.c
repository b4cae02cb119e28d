/* SPDX-License-Identifier: ISC */
/* skep pcap: the recorded frames, as text or merged into one pcapng section. */
#include "cli/evidence_dir.h"
#include "cli/pcap_merge.h"
#include "proto/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pcap {
	struct evidence_filter filter;
	bool json, merge, follow;
	FILE *out;
	struct pcap_merge all;
	struct evidence_row row;
	struct evidence_tail tail;
	uint64_t shown;
};

static bool wanted(const struct pcap *p, const struct pcap_packet *k, const char *port)
{
	char text[PCAP_NAME];
	const struct evidence_filter *f = &p->filter;
	if (!evidence_filter_time(f, k->time))
		return false;
	if (f->honeypots && !evidence_filter_honeypot(f, port) &&
	    !(pcap_field(k->comment, "out", text, sizeof(text)) && evidence_filter_honeypot(f, text)))
		return false;
	if (f->verdict >= 0 && (!pcap_field(k->comment, "verdict", text, sizeof(text)) ||
				strcmp(text, verdict_name((unsigned)f->verdict)) != 0))
		return false;
	return !f->reason || (pcap_field(k->comment, "reason", text, sizeof(text)) && !strcmp(text, f->reason));
}

static void write_json(const struct pcap *p, const struct pcap_packet *k, const char *port, const char *what)
{
	static const char *const keys[] = { "verdict", "reason", "flow", "rule", "out", "seq" };
	char text[PCAP_NAME], t[CMD_TIME_TEXT];
	json_t *o = json_object();
	json_object_set_new(o, "timestamp", cmd_string(cmd_time_text(t, k->time, 6)));
	json_object_set_new(o, "port", cmd_string(port));
	json_object_set_new(o, "direction", cmd_string(k->dir == 1 ? "in" : k->dir == 2 ? "out" : "?"));
	json_object_set_new(o, "length", json_integer(k->wirelen));
	json_object_set_new(o, "frame", cmd_string(what));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!pcap_field(k->comment, keys[i], text, sizeof(text)))
			continue;
		if (!strcmp(keys[i], "flow") || !strcmp(keys[i], "seq"))
			json_object_set_new(o, keys[i], json_integer(strtoll(text, NULL, 10)));
		else
			json_object_set_new(o, keys[i], cmd_string(text));
	}
	cmd_json_line(p->filter.cmd, o);
}

static void write_row(struct pcap *p, const struct pcap_packet *k, const char *port, const char *what)
{
	static const char *const heads[] = { "TIME", "PORT", "DIR", "VERDICT", "REASON", "TO", "FRAME", NULL };
	static const int widths[] = { 27, 12, 3, 8, 14, 12 };
	char verdict[PCAP_NAME], reason[PCAP_NAME], rule[PCAP_NAME], to[PCAP_NAME], t[CMD_TIME_TEXT];
	if (!p->shown) {
		for (const char *const *h = heads; *h; h++)
			evidence_cell(&p->row, "%s", *h);
		memcpy(p->row.widths, widths, sizeof(widths));
		evidence_row_print(&p->row, p->out);
	}
	pcap_field(k->comment, "verdict", verdict, sizeof(verdict));
	pcap_field(k->comment, "reason", reason, sizeof(reason));
	if (!pcap_field(k->comment, "out", to, sizeof(to)))
		snprintf(to, sizeof(to), "-");
	evidence_cell(&p->row, "%s", cmd_time_text(t, k->time, 6));
	evidence_cell(&p->row, "%s", port);
	evidence_cell(&p->row, "%s", k->dir == 1 ? "in" : k->dir == 2 ? "out" : "?");
	evidence_cell(&p->row, "%s", verdict);
	if (pcap_field(k->comment, "rule", rule, sizeof(rule)))
		evidence_cell(&p->row, "%s:%s", reason, rule);
	else
		evidence_cell(&p->row, "%s", reason);
	evidence_cell(&p->row, "%s", to);
	evidence_cell(&p->row, "%s", what);
	evidence_row_print(&p->row, p->out);
}

static void show(void *arg, struct slice block, uint32_t ifindex)
{
	struct pcap *p = arg;
	struct pcap_packet k;
	char what[320];
	if (!pcap_packet(block, &k) || ifindex >= p->all.nifs)
		return;
	if (p->merge) {
		pcap_merge_write(&p->all, p->out, block, ifindex);
	} else {
		pcap_describe(k.frame, k.wirelen, what, sizeof(what));
		if (p->json)
			write_json(p, &k, p->all.ifs[ifindex].name, what);
		else
			write_row(p, &k, p->all.ifs[ifindex].name, what);
	}
	p->shown++;
}

static bool on_block(void *arg, struct slice block, bool first)
{
	struct pcap *p = arg;
	struct pcap_packet k;
	if (!pcap_merge_learn(&p->all, block, first))
		return false;
	if (pcap_type(block) != PCAP_EPB || !pcap_packet(block, &k))
		return true;
	uint32_t i = pcap_merge_if(&p->all, k.interface);
	if (i == PCAP_IFS || !wanted(p, &k, p->all.ifs[i].name))
		return true;
	if (p->tail.n)
		evidence_tail_add(&p->tail, block.p, block.n, i);
	else
		show(p, block, i);
	if (p->follow && !p->tail.n)
		fflush(p->out);
	return !ferror(p->out);
}

static int read_all(struct cmd *c, struct pcap *p, const struct evidence_dir *d)
{
	struct err e = { 0 };
	int status = CMD_OK;
	struct evidence_reader in = { .dir = d,
				      .folder = "packets",
				      .ext = ".pcapng",
				      .frame = pcap_frame,
				      .fn = on_block,
				      .arg = p,
				      .since = p->filter.since,
				      .fd = -1 };
	if (!evidence_tail_init(&p->tail, cmd_num(c, "lines", 0)))
		return cmd_fail(c, "out of memory");
	int got = evidence_read(&in, &e);
	evidence_tail_flush(&p->tail, show, p);
	if (p->merge)
		pcap_merge_end(&p->all, p->out);
	fflush(p->out);
	if (got == 0 && p->follow)
		got = evidence_follow(&in, &e);
	if (got < 0)
		status = cmd_fail_err(c, &e, NULL);
	if (in.damaged)
		status = cmd_fail(c, "%u files are damaged: what follows the damage was left out", in.damaged);
	if (in.cut)
		cmd_note(c, "%u files end with a cut frame, which was left out", in.cut);
	evidence_reader_free(&in);
	return status;
}

int cmd_pcap(struct cmd *c)
{
	struct evidence_dir d;
	const char *to = cmd_str(c, "write");
	struct pcap *p = calloc(1, sizeof(*p));
	if (!p)
		return cmd_fail(c, "out of memory");
	int status = evidence_filter_init(&p->filter, c, false);
	p->json = cmd_flag(c, "json");
	p->follow = cmd_flag(c, "follow");
	p->merge = to != NULL;
	p->out = c->out;
	if (status == CMD_OK && to && p->json)
		status = cmd_usage(c, "--json and --write do not go together");
	if (status == CMD_OK)
		status = evidence_dir_open(c, &d);
	if (status != CMD_OK) {
		free(p);
		return status;
	}
	if (to && strcmp(to, "-") != 0 && !(p->out = fopen(to, "wbe")))
		status = cmd_fail(c, "cannot write %s: %s", to, strerror(errno));
	if (status == CMD_OK)
		status = read_all(c, p, &d);
	bool broken = p->out && (fflush(p->out) || ferror(p->out));
	if (p->out && p->out != c->out && fclose(p->out))
		broken = true;
	/* A reader of a pipe that has seen enough is no trouble worth a message. */
	if (broken && status == CMD_OK)
		status = to && strcmp(to, "-") != 0 ? cmd_fail(c, "cannot write %s", to) : CMD_FAILED;
	if (status == CMD_OK && p->merge && strcmp(to, "-") != 0)
		cmd_note(c, "%llu frames in %s", (unsigned long long)p->shown, to);
	else if (status == CMD_OK && !p->shown && !p->json)
		cmd_note(c, "no frames recorded that match, in %s", d.path);
	pcap_merge_free(&p->all);
	free(p);
	evidence_dir_close(&d);
	return status;
}
