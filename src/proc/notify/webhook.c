/* SPDX-License-Identifier: ISC */
/*
 * The POST, in a child process of its own. libcurl is loaded there and nowhere
 * else: linked, it and its two dozen libraries would be mapped into each of skep's
 * processes, in every honeynet, for what most do not use.
 */
#include "proc/notify/deliver.h"

#include <stdio.h>
#include <string.h>

#ifdef HAVE_CURL
#include <curl/curl.h>
#include <dlfcn.h>

#define BODY_MAX (64u << 10) /* of an answer, which nobody reads */

static struct {
	CURLcode (*global_init)(long);
	CURL *(*init)(void);
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*perform)(CURL *);
	const char *(*error)(CURLcode);
	struct curl_slist *(*append)(struct curl_slist *, const char *);
} api;

static bool load(void)
{
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };
	void *lib = NULL;
	for (size_t i = 0; !lib && i < sizeof(names) / sizeof(names[0]); i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return false;
	/* POSIX: a pointer of dlsym() is made one of a function so. */
	*(void **)&api.global_init = dlsym(lib, "curl_global_init");
	*(void **)&api.init = dlsym(lib, "curl_easy_init");
	*(void **)&api.setopt = dlsym(lib, "curl_easy_setopt");
	*(void **)&api.perform = dlsym(lib, "curl_easy_perform");
	*(void **)&api.error = dlsym(lib, "curl_easy_strerror");
	*(void **)&api.append = dlsym(lib, "curl_slist_append");
	return api.global_init && api.init && api.setopt && api.perform && api.error && api.append;
}

static size_t swallow(char *p, size_t size, size_t n, void *seen)
{
	size_t *sum = seen;
	(void)p;
	*sum += size * n;
	return *sum > BODY_MAX ? 0 : size * n;
}

int webhook_post(const char *url, const char *json, size_t n, char why[160])
{
	size_t seen = 0;
	CURL *c;
	if (!load() || api.global_init(CURL_GLOBAL_DEFAULT) || !(c = api.init())) {
		snprintf(why, 160, "libcurl cannot be loaded: install libcurl4");
		return 1;
	}
	struct curl_slist *head = api.append(NULL, "Content-Type: application/json");
	head = api.append(head, "Expect:");
	api.setopt(c, CURLOPT_URL, url);
	api.setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	api.setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
#ifdef MUTANT_NOTIFY_TLS_UNVERIFIED
	api.setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	api.setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
#else
	api.setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	api.setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
#endif
	api.setopt(c, CURLOPT_CONNECTTIMEOUT, 8L);
	api.setopt(c, CURLOPT_TIMEOUT, 15L);
	api.setopt(c, CURLOPT_NOSIGNAL, 1L);
	api.setopt(c, CURLOPT_FAILONERROR, 1L);
	api.setopt(c, CURLOPT_HTTPHEADER, head);
	api.setopt(c, CURLOPT_USERAGENT, "skep/" SKEP_VERSION);
	api.setopt(c, CURLOPT_POSTFIELDS, json);
	api.setopt(c, CURLOPT_POSTFIELDSIZE, (long)n);
	api.setopt(c, CURLOPT_WRITEFUNCTION, swallow);
	api.setopt(c, CURLOPT_WRITEDATA, &seen);
	CURLcode r = api.perform(c);
	if (r != CURLE_OK)
		snprintf(why, 160, "%s", api.error(r));
	return r != CURLE_OK;
}
#else
int webhook_post(const char *url, const char *json, size_t n, char why[160])
{
	(void)url, (void)json, (void)n;
	snprintf(why, 160, "this skep was built without libcurl");
	return 1;
}
#endif
