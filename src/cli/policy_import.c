/* SPDX-License-Identifier: ISC */
/* `skep policy import`: a Honeywall's configuration as a policy. */
#include "cli/policy_import.h"

#include "cli/load.h"
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void prefixes(FILE *out, const char *key, const struct hw_list *l)
{
	char text[ADDR_TEXT];
	if (!l->n)
		return;
	fprintf(out, "  %s:\n", key);
	for (unsigned i = 0; i < l->n; i++)
		fprintf(out, "    - %s\n", addr_text(&l->at[i], text));
}

static void flow(FILE *out, const char *key, const struct hw_list *l)
{
	char text[ADDR_TEXT];
	if (!l->n)
		return;
	fprintf(out, ", %s: [", key);
	for (unsigned i = 0; i < l->n; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "", addr_text(&l->at[i], text));
	fputc(']', out);
}

static void rates(FILE *out, const char *key, const struct hw_policy *p)
{
	static const char *const names[] = { "tcp", "udp", "icmp", "other" };
	fprintf(out, "  %s: {", key);
	for (int i = 0; i < 4; i++) {
		fprintf(out, "%s%s: ", i ? ", " : "", names[i]);
		if (p->rate[i])
			fprintf(out, "%lu/%s", p->rate[i], p->period);
		else
			fputs("none", out);
	}
	fputs("}\n", out);
}

static void notes(FILE *out, const struct hw_policy *p, bool mapped, const char *indent)
{
	for (unsigned i = 0; i < p->nnotes; i++) {
		char text[4 * sizeof(p->notes[i].text)];
		if (p->notes[i].mapped == mapped)
			fprintf(out, "%s%s: %s\n", indent, p->notes[i].name,
				cmd_safe(text, sizeof(text), p->notes[i].text));
	}
}

void hw_write(FILE *out, const struct hw_policy *p, const char *source)
{
	char name[1024];
	fprintf(out, "# Made by skep policy import from %s.\n#\n# Mapped:\n", cmd_safe(name, sizeof(name), source));
	notes(out, p, true, "#   ");
	fputs("#\n# Not mapped, or not as it was:\n", out);
	notes(out, p, false, "#   ");
	fputs("#\n# The Honeywall knew IPv4 only: add what has to hold for IPv6 to the lists. It did not\n"
	      "# bound bytes: the budgets below are skep's own.\n"
	      "policy:\n  inbound: allow\n",
	      out);
	if (p->roach_motel)
		fputs("  roach-motel: yes\n", out);
	rates(out, "outbound", p);
	rates(out, "lateral", p);
	fputs("  multicast: deny\n", out);
	prefixes(out, "fence", &p->fence);
	prefixes(out, "black", &p->black);
	prefixes(out, "allow", &p->white);
	fputs("  budget:\n    flow: {bytes: 64M, packets: 100000}\n"
	      "    honeypot: {bytes: 512M/hour, packets: 1000000/hour}\n",
	      out);
	if (p->inline_engine)
		fputs("  inspect: inline\n", out);
	fputs("  dns: {queries: 60/minute, names: 100/hour, name-length: 100, label-length: 40, entropy: 3.8}\n"
	      "  rules:\n",
	      out);
	if (p->sebek) {
		fprintf(out, "    - {name: sebek, do: drop, protocol: udp, ports: %u", p->sebek_port);
		flow(out, "to", &p->sebek_to);
		fputs("}\n", out);
	}
	fputs("    - {name: dns, do: limit, protocol: udp, ports: 53, limit: 1000/hour", out);
	flow(out, "to", &p->dns_servers);
	flow(out, "from", &p->dns_hosts);
	fputs("}\n", out);
	if (p->mail)
		fprintf(out,
			"triggers:\n  - {name: limits, on: limit, do: notify, throttle: 1/hour}\n"
			"notify: {mail: \"%s\"}\n",
			p->address);
}

/* What was made is a policy, or it is not written. */
static int checked(const struct hw_policy *p, const char *source, char **text, size_t *n, struct err *e)
{
	struct diag *d = calloc(1, sizeof(*d));
	struct model *m = calloc(1, sizeof(*m));
	FILE *f = d && m ? open_memstream(text, n) : NULL;
	int r = -ENOMEM;
	if (f) {
		hw_write(f, p, source);
		fclose(f);
		r = model_parse_policy(*text, *n, m, d);
	}
	if (r == -EINVAL)
		err_set(e, r, "what was made of it is no policy: %s", d->items[0].text);
	else if (r < 0)
		err_set(e, r, "out of memory");
	free(d);
	free(m);
	return r;
}

static int write_out(struct cmd *c, const char *text, size_t n, struct err *e)
{
	const char *path = cmd_str(c, "output");
	if (!path || !strcmp(path, "-"))
		return fwrite(text, 1, n, c->out) == n ? 0 : err_set(e, -EIO, "cannot write the output");
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (cmd_flag(c, "force") ? O_TRUNC : O_EXCL);
	int fd = open(path, flags, 0644);
	if (fd < 0)
		return errno == EEXIST ? err_set(e, -EEXIST, "%s is there already: --force replaces it", path)
				       : err_sys(e, -errno, "cannot create %s", path);
	ssize_t w = write(fd, text, n);
	int code = w < 0 ? -errno : 0;
	if (close(fd) < 0 && !code)
		code = -errno;
	if (code || (size_t)w != n)
		return err_sys(e, code ? code : -EIO, "cannot write %s", path);
	return 0;
}

int cmd_policy_import(struct cmd *c)
{
	struct hw_conf *conf = calloc(1, sizeof(*conf));
	struct hw_policy *p = calloc(1, sizeof(*p));
	char *source = NULL, *text = NULL, *copy = strdup(c->args[0]);
	struct err e = { 0 };
	size_t n, size = 0;
	int r = conf && p && copy ? 0 : err_set(&e, -ENOMEM, "out of memory");
	if (!r)
		r = load_text(c->args[0], &source, &n, &e);
	if (!r && (r = hw_parse(source, n, conf, &e)) < 0)
		err_prefix(&e, "%s: ", c->args[0]);
	if (!r)
		r = hw_map(conf, dirname(copy), p, &e);
	if (!r)
		r = checked(p, c->args[0], &text, &size, &e);
	if (!r)
		r = write_out(c, text, size, &e);
	if (!r && !c->quiet) {
		fputs("Not mapped, or not as it was:\n", c->err);
		notes(c->err, p, false, "  ");
	}
	free(conf);
	free(p);
	free(copy);
	free(source);
	free(text);
	return r < 0 ? cmd_fail_err(c, &e, NULL) : CMD_OK;
}
