/* SPDX-License-Identifier: ISC */
/* What is done with an anchor: see anchor.h. */
#include "cli/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ts.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_QRENCODE
#include <qrencode.h>
#endif

static const char *ssl_why(void)
{
	const char *s = ERR_reason_error_string(ERR_peek_last_error());
	return s ? s : "unknown";
}

int anchor_tsq(struct cmd *c, const char *anchor, const char *file)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256((const uint8_t *)anchor, strlen(anchor), hash);
	TS_REQ *q = TS_REQ_new();
	TS_MSG_IMPRINT *m = TS_MSG_IMPRINT_new();
	X509_ALGOR *algo = X509_ALGOR_new();
	bool ok = q && m && algo && X509_ALGOR_set0(algo, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) &&
		  TS_MSG_IMPRINT_set_algo(m, algo) && TS_MSG_IMPRINT_set_msg(m, hash, sizeof(hash)) &&
		  TS_REQ_set_version(q, 1) && TS_REQ_set_msg_imprint(q, m) && TS_REQ_set_cert_req(q, 1);
	int status = CMD_OK;
	/* Not over another one: it may be the only one of its anchor. */
	int fd = ok ? open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!ok)
		status = cmd_fail(c, "cannot make a time-stamp request: %s", ssl_why());
	else if (!f)
		status = cmd_fail(c, "cannot make %s: %s", file, strerror(errno));
	else if (!i2d_TS_REQ_fp(f, q) || fflush(f))
		status = cmd_fail(c, "cannot write %s: %s", file, strerror(errno));
	if (f)
		fclose(f);
	X509_ALGOR_free(algo);
	TS_MSG_IMPRINT_free(m);
	TS_REQ_free(q);
	return status;
}

static bool has_imprint(TS_RESP *r, const uint8_t hash[SHA256_DIGEST_LENGTH])
{
	TS_TST_INFO *info = TS_RESP_get_tst_info(r);
	TS_MSG_IMPRINT *m = info ? TS_TST_INFO_get_msg_imprint(info) : NULL;
	const ASN1_OBJECT *algo;
	if (!m)
		return false;
	X509_ALGOR_get0(&algo, NULL, NULL, TS_MSG_IMPRINT_get_algo(m));
	const ASN1_OCTET_STRING *s = TS_MSG_IMPRINT_get_msg(m);
	return OBJ_obj2nid(algo) == NID_sha256 && ASN1_STRING_length(s) == SHA256_DIGEST_LENGTH &&
	       !memcmp(ASN1_STRING_get0_data(s), hash, SHA256_DIGEST_LENGTH);
}

/* Version, imprint and signature; the certificate comes with the response. */
static int check_signature(struct cmd *c, TS_RESP *r, const char *ca, const uint8_t hash[SHA256_DIGEST_LENGTH])
{
	TS_VERIFY_CTX *ctx = TS_VERIFY_CTX_new();
	X509_STORE *store = X509_STORE_new();
	uint8_t *copy = OPENSSL_memdup(hash, SHA256_DIGEST_LENGTH);
	int status = CMD_OK;
	if (!ctx || !store || !copy) {
		X509_STORE_free(store);
		OPENSSL_free(copy);
		TS_VERIFY_CTX_free(ctx);
		return cmd_fail(c, "out of memory");
	}
	TS_VERIFY_CTX_set_flags(ctx, TS_VFY_VERSION | TS_VFY_IMPRINT | TS_VFY_SIGNATURE);
	TS_VERIFY_CTX_set_imprint(ctx, copy, SHA256_DIGEST_LENGTH);
	TS_VERIFY_CTX_set_store(ctx, store);
	if (X509_STORE_load_locations(store, ca, NULL) != 1)
		status = cmd_fail(c, "cannot read certificates from %s: %s", ca, ssl_why());
	else if (TS_RESP_verify_response(ctx, r) != 1)
		status = cmd_fail(c, "the time-stamp is not signed by whom %s names: %s", ca, ssl_why());
	TS_VERIFY_CTX_free(ctx);
	return status;
}

static void print_time(struct cmd *c, TS_RESP *r)
{
	const ASN1_GENERALIZEDTIME *t = TS_TST_INFO_get_time(TS_RESP_get_tst_info(r));
	char safe[200], raw[40];
	snprintf(raw, sizeof(raw), "%.*s", ASN1_STRING_length(t), (const char *)ASN1_STRING_get0_data(t));
	fprintf(c->out, "time-stamped at %s (UTC)", cmd_safe(safe, sizeof(safe), raw));
}

int anchor_tsr(struct cmd *c, const char *file, const char *ca, const struct verify_anchor *a, unsigned n)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	if (!n)
		return cmd_usage(c, "which anchor is it about? Give --from ANCHOR");
	BIO *b = BIO_new_file(file, "r");
	TS_RESP *r = b ? d2i_TS_RESP_bio(b, NULL) : NULL;
	BIO_free(b);
	if (!r)
		return cmd_fail(c, "cannot read a time-stamp response from %s: %s", file, ssl_why());
	long code = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(r)));
	unsigned i = 0;
	for (; i < n; i++) {
		SHA256((const uint8_t *)a[i].text, strlen(a[i].text), hash);
		if (has_imprint(r, hash))
			break;
	}
	int status = CMD_OK;
	if (code != 0 && code != 1)
		status = cmd_fail(c, "the request was refused (status %ld)", code);
	else if (i == n)
		status = cmd_fail(c, "the time-stamp is not about %s", n == 1 ? "this anchor" : "any of these anchors");
	else if (ca)
		status = check_signature(c, r, ca, hash);
	if (status == CMD_OK) {
		print_time(c, r);
		fprintf(c->out, "%s: %s\n", ca ? "" : ", signature NOT checked (give --ca FILE)", a[i].text);
	}
	TS_RESP_free(r);
	return status;
}

void anchor_qr(FILE *out, const char *text)
{
#ifdef HAVE_QRENCODE
	QRcode *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	enum { QUIET = 2 };
	if (!q)
		return;
	int w = q->width;
	for (int y = -QUIET; y < w + QUIET; y += 2) {
		fputs("\033[30;47m", out);
		for (int x = -QUIET; x < w + QUIET; x++) {
			bool in = x >= 0 && x < w;
			bool up = in && y >= 0 && y < w && (q->data[y * w + x] & 1);
			bool down = in && y + 1 >= 0 && y + 1 < w && (q->data[(y + 1) * w + x] & 1);
			fputs(up && down ? "\u2588" : up ? "\u2580" : down ? "\u2584" : " ", out);
		}
		fputs("\033[0m\n", out);
	}
	QRcode_free(q);
#else
	(void)out;
	(void)text;
#endif
}

int anchor_exec(struct cmd *c, char *const argv[], const char *text)
{
	int p[2], status;
	char line[VERIFY_ANCHOR_TEXT + 2];
	int n = snprintf(line, sizeof(line), "%s\n", text);
	if (pipe2(p, O_CLOEXEC) < 0)
		return cmd_fail(c, "cannot make a pipe: %s", strerror(errno));
	fflush(c->out);
	signal(SIGPIPE, SIG_IGN);
	pid_t pid = fork();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		dup2(p[0], 0);
		execvp(argv[0], argv);
		dprintf(2, "skep: cannot run %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(p[0]);
	ssize_t w = pid < 0 ? -1 : write(p[1], line, (size_t)n);
	close(p[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return cmd_fail(c, "cannot run %s: %s", argv[0], strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return cmd_fail(c, "%s failed, and may not have the anchor", argv[0]);
	return w == n ? CMD_OK : cmd_fail(c, "%s did not read the anchor", argv[0]);
}
