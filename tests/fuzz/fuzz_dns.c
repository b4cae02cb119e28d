/* SPDX-License-Identifier: ISC */
/* DNS messages: the first byte says whether a question or an answer is meant; what
 * the reader takes must be within its own bounds. */
#include "proc/gateway/dns_msg.h"

#include <stdlib.h>

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_name(const struct dns_name *n)
{
	char text[DNS_TEXT_MAX];
	unsigned sum = 0;
	check(n->n + n->nlabels + 1u <= DNS_NAME_MAX && n->nlabels <= DNS_LABELS_MAX);
	for (unsigned i = 0; i < n->nlabels; i++) {
		check(n->at[i] == sum && n->len[i] > 0 && n->len[i] < 64);
		sum += n->len[i];
	}
	check(sum == n->n);
	size_t len = dns_text(n, text, sizeof(text));
	check(len <= sizeof(text));
	for (size_t i = 0; i < len; i++)
		check(text[i] > 32 && text[i] < 127);
	check(dns_registered(n) <= n->nlabels && dns_tail(n, dns_registered(n)) <= n->n);
	check(dns_entropy(n->b, n->n) <= 8000);
	(void)dns_dense(n, 3800);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct dns_msg m;
	if (!n)
		return 0;
	struct slice s = slice_of(data + 1, n - 1);
	bool ok = data[0] & 1 ? dns_answer(s, &m) : dns_question(s, &m);
	if (!ok)
		return 0;
	check_name(&m.name);
	check(m.size == s.n && m.nanswers <= DNS_ANSWERS_MAX && m.ntypes <= DNS_ANSWERS_MAX);
	check(m.nanswers == 0 || (data[0] & 1));
	for (unsigned i = 0; i < m.nanswers; i++)
		check(m.answers[i].family == 4 || m.answers[i].family == 6);
	return 0;
}
