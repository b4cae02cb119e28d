/* SPDX-License-Identifier: ISC */
#include "proc/vmm/hostkeys.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const names[HOSTKEY_COUNT] = { "ed25519", "rsa", "ecdsa" };

/* RFC 4251 section 5 encodings, appended to a bounded buffer. */
struct out {
	uint8_t *p;
	size_t n, cap;
	bool full;
};

static void raw(struct out *o, const void *p, size_t n)
{
	if (o->full || n > o->cap - o->n) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void u32(struct out *o, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
	raw(o, b, 4);
}

static void string(struct out *o, const void *p, size_t n)
{
	u32(o, (uint32_t)n);
	raw(o, p, n);
}

static void text(struct out *o, const char *s)
{
	string(o, s, strlen(s));
}

static void mpint(struct out *o, const BIGNUM *bn)
{
	uint8_t buf[1024];
	size_t n = (size_t)BN_num_bytes(bn);
	if (n + 1 > sizeof(buf)) {
		o->full = true;
		return;
	}
	buf[0] = 0;
	BN_bn2bin(bn, buf + 1);
	/* A set top bit would make it negative. */
	bool pad = n && buf[1] & 0x80;
	string(o, buf + !pad, n + pad);
	OPENSSL_cleanse(buf, sizeof(buf));
}

/* The three parts from which all files are put together. */
struct parts {
	struct out pub;      /* public blob */
	struct out secret;   /* what follows the type in an OpenSSH private section */
	struct out dropbear; /* Dropbear's file */
	uint8_t pub_buf[1024], secret_buf[3072], dropbear_buf[3072];
};

static bool number(EVP_PKEY *k, const char *name, BIGNUM **bn)
{
	*bn = NULL;
	return EVP_PKEY_get_bn_param(k, name, bn) == 1;
}

static bool ed25519_parts(struct parts *p)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	uint8_t pair[64];
	size_t n = 32, m = 32;
	bool ok = k && EVP_PKEY_get_raw_private_key(k, pair, &n) == 1 &&
		  EVP_PKEY_get_raw_public_key(k, pair + 32, &m) == 1 && n == 32 && m == 32;
	if (ok) {
		text(&p->pub, "ssh-ed25519");
		string(&p->pub, pair + 32, 32);
		text(&p->secret, "ssh-ed25519");
		string(&p->secret, pair + 32, 32);
		string(&p->secret, pair, 64);
		text(&p->dropbear, "ssh-ed25519");
		string(&p->dropbear, pair, 64);
	}
	OPENSSL_cleanse(pair, sizeof(pair));
	EVP_PKEY_free(k);
	return ok;
}

static bool rsa_parts(struct parts *p, unsigned bits)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
	BIGNUM *n = NULL, *e = NULL, *d = NULL, *f1 = NULL, *f2 = NULL, *q = NULL;
	bool ok = k && number(k, OSSL_PKEY_PARAM_RSA_N, &n) && number(k, OSSL_PKEY_PARAM_RSA_E, &e) &&
		  number(k, OSSL_PKEY_PARAM_RSA_D, &d) && number(k, OSSL_PKEY_PARAM_RSA_FACTOR1, &f1) &&
		  number(k, OSSL_PKEY_PARAM_RSA_FACTOR2, &f2) && number(k, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &q);
	if (ok) {
		text(&p->pub, "ssh-rsa");
		mpint(&p->pub, e);
		mpint(&p->pub, n);
		text(&p->secret, "ssh-rsa");
		const BIGNUM *const ssh[] = { n, e, d, q, f1, f2 };
		for (size_t i = 0; i < 6; i++)
			mpint(&p->secret, ssh[i]);
		text(&p->dropbear, "ssh-rsa");
		const BIGNUM *const drop[] = { e, n, d, f1, f2 };
		for (size_t i = 0; i < 5; i++)
			mpint(&p->dropbear, drop[i]);
	}
	BN_free(n);
	BN_free(e);
	BN_clear_free(d);
	BN_clear_free(f1);
	BN_clear_free(f2);
	BN_clear_free(q);
	EVP_PKEY_free(k);
	return ok;
}

static bool ecdsa_parts(struct parts *p)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	BIGNUM *d = NULL;
	uint8_t point[65];
	size_t n = 0;
	bool ok = k && number(k, OSSL_PKEY_PARAM_PRIV_KEY, &d) &&
		  EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) == 1 &&
		  n == sizeof(point) && point[0] == 4; /* uncompressed */
	if (ok) {
		struct out *all[] = { &p->pub, &p->secret, &p->dropbear };
		for (size_t i = 0; i < 3; i++) {
			text(all[i], "ecdsa-sha2-nistp256");
			text(all[i], "nistp256");
			string(all[i], point, n);
		}
		mpint(&p->secret, d);
		mpint(&p->dropbear, d);
	}
	BN_clear_free(d);
	EVP_PKEY_free(k);
	return ok;
}

/* PROTOCOL.key, then base64 in lines of 70. */
static bool openssh_file(struct hostkey *k, const struct parts *p, const char *comment)
{
	uint8_t in[HOSTKEY_FILE], sec[HOSTKEY_FILE], b64[HOSTKEY_FILE * 2];
	struct out s = { .p = sec, .cap = sizeof(sec) }, o = { .p = in, .cap = 2900 };
	uint32_t check;
	if (RAND_bytes((unsigned char *)&check, sizeof(check)) != 1)
		return false;
	u32(&s, check);
	u32(&s, check);
	raw(&s, p->secret.p, p->secret.n);
	text(&s, comment);
	for (uint8_t pad = 1; s.n % 8; pad++)
		raw(&s, &pad, 1);
	raw(&o, "openssh-key-v1", 15);
	text(&o, "none");
	text(&o, "none");
	text(&o, "");
	u32(&o, 1);
	string(&o, p->pub.p, p->pub.n);
	string(&o, s.p, s.n);
	bool ok = !s.full && !o.full;
	struct out f = { .p = k->private_file, .cap = sizeof(k->private_file) };
	if (ok) {
		size_t n = (size_t)EVP_EncodeBlock(b64, in, (int)o.n);
		static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n",
				  end[] = "-----END OPENSSH PRIVATE KEY-----\n";
		raw(&f, begin, sizeof(begin) - 1);
		for (size_t i = 0; i < n; i += 70) {
			raw(&f, b64 + i, n - i < 70 ? n - i : 70);
			raw(&f, "\n", 1);
		}
		raw(&f, end, sizeof(end) - 1);
		k->private_len = f.n;
	}
	OPENSSL_cleanse(in, sizeof(in));
	OPENSSL_cleanse(sec, sizeof(sec));
	OPENSSL_cleanse(b64, sizeof(b64));
	return ok && !f.full;
}

static bool public_file(struct hostkey *k, const struct parts *p, const char *type, const char *comment)
{
	uint8_t b64[2048];
	EVP_EncodeBlock(b64, p->pub.p, (int)p->pub.n);
	int n = snprintf(k->public_file, sizeof(k->public_file), "%s %s %s\n", type, (char *)b64, comment);
	k->public_len = (size_t)n;
	return n > 0 && (size_t)n < sizeof(k->public_file);
}

int hostkey_make(enum hostkey_kind kind, unsigned rsa_bits, const char *comment, struct hostkey *out, struct err *e)
{
	static const char *const types[HOSTKEY_COUNT] = { "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256" };
	struct parts p;
	memset(&p, 0, sizeof(p));
	p.pub = (struct out){ .p = p.pub_buf, .cap = sizeof(p.pub_buf) };
	p.secret = (struct out){ .p = p.secret_buf, .cap = sizeof(p.secret_buf) };
	p.dropbear = (struct out){ .p = p.dropbear_buf, .cap = sizeof(p.dropbear_buf) };
	bool ok = kind == HOSTKEY_ED25519 ? ed25519_parts(&p)
		  : kind == HOSTKEY_RSA   ? rsa_parts(&p, rsa_bits)
					  : ecdsa_parts(&p);
	ok = ok && !p.pub.full && !p.secret.full && !p.dropbear.full;
	if (ok) {
		memset(out, 0, sizeof(*out));
		snprintf(out->name, sizeof(out->name), "%s", names[kind]);
		memcpy(out->dropbear_file, p.dropbear.p, p.dropbear.n);
		out->dropbear_len = p.dropbear.n;
		ok = openssh_file(out, &p, comment) && public_file(out, &p, types[kind], comment);
	}
	OPENSSL_cleanse(&p, sizeof(p));
	return ok ? 0 : err_set(e, -EIO, "cannot make an SSH host key (%s)", names[kind]);
}
