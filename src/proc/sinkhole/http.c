/* SPDX-License-Identifier: ISC */
/*
 * A web server with a fresh installation's page and nothing else, in the words of
 * nginx or Apache: HTTP/1.0 and 1.1 (RFC 9112) with keep-alive, pipelining,
 * chunked uploads and 100-continue. Every request becomes a record, with its body.
 */
#include "proc/sinkhole/session.h"

#include <stdio.h>
#include <time.h>

enum { REQUEST, HEADER, BODY, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER };

#define HEADERS_MAX 32768u
#define UPLOAD_MAX (64u << 20)

static bool is_nginx(const struct session *s)
{
	return session_pick(s, 5) < 3;
}

static void date(const struct session *s, char out[40])
{
	time_t t = (time_t)(s->now / EV_SEC);
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(out, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static const char *phrase(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 204:
		return "No Content";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Not Allowed";
	case 413:
		return "Request Entity Too Large";
	case 414:
		return "Request-URI Too Large";
	default:
		return "Not Implemented";
	}
}

/* The pages that the two servers bring along, shortened. */
static int page(const struct session *s, unsigned status, char *out, size_t cap)
{
	if (status == 200 && is_nginx(s))
		return snprintf(out, cap,
				"<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n"
				"<h1>Welcome to nginx!</h1>\n<p>If you see this page, the nginx web server is "
				"successfully installed and\nworking. Further configuration is required.</p>\n\n"
				"<p><em>Thank you for using nginx.</em></p>\n</body>\n</html>\n");
	if (status == 200)
		return snprintf(out, cap, "<html><body><h1>It works!</h1></body></html>\n");
	if (is_nginx(s))
		return snprintf(out, cap,
				"<html>\r\n<head><title>%u %s</title></head>\r\n<body>\r\n<center><h1>%u %s</h1>"
				"</center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n",
				status, phrase(status), status, phrase(status));
	return snprintf(out, cap,
			"<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>%u %s</title>\n"
			"</head><body>\n<h1>%s</h1>\n<p>The request could not be served.</p>\n<hr>\n"
			"<address>Apache/2.4.54 (Debian) Server</address>\n</body></html>\n",
			status, phrase(status), phrase(status));
}

static void respond(struct session *s, unsigned status)
{
	struct http *h = &s->http;
	char when[40], text[1024];
	bool created = status == 201;
	int n = created || (status == 200 && !strcmp(h->method, "POST")) ? 0 : page(s, status, text, sizeof(text));
	date(s, when);
	h->close |= h->old || status == 400 || status == 413 || status == 414 || s->requests + 1u >= SINK_REQUESTS;
	session_say(s, "HTTP/1.1 %u %s\r\nServer: %s\r\nDate: %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n",
		    status, phrase(status), is_nginx(s) ? "nginx/1.18.0" : "Apache/2.4.54 (Debian)", when, n);
	session_say(s, "Connection: %s\r\n\r\n", h->close ? "close" : "keep-alive");
	if (!h->head)
		session_put(s, text, (size_t)n);
	h->status = (uint16_t)status;
}

static void next(struct session *s)
{
	bool close = s->http.close;
	s->http = (struct http){ 0 };
	s->closing |= close;
}

static void record(struct session *s, uint8_t flags)
{
	s->requests++;
	session_record(s, SINK_REC_REQUEST, s->http.status, flags, 0);
}

static bool known(const char *path)
{
	static const char *const pages[] = { "/", "/index.html", "/index.nginx-debian.html" };
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (!strcmp(path, pages[i]))
			return true;
	return false;
}

/* The request is whole. */
static void finish(struct session *s)
{
	const char *m = s->http.method;
	char path[sizeof(s->http.path)];
	snprintf(path, sizeof(path), "%s", s->http.path);
	path[strcspn(path, "?#")] = 0;
	if (!strcmp(m, "GET") || !strcmp(m, "HEAD"))
		respond(s, known(path) ? 200 : 404);
	else if (!strcmp(m, "POST") || !strcmp(m, "OPTIONS"))
		respond(s, 200);
	else if (!strcmp(m, "PUT"))
		respond(s, 201);
	else
		respond(s, 405);
	record(s, 0);
	next(s);
}

/* What is no HTTP, or too much of it. */
static void refuse(struct session *s, unsigned status)
{
	respond(s, status);
	record(s, SINK_UNFINISHED);
	next(s);
	s->closing = true;
}

static void request_line(struct session *s, struct slice line)
{
	struct http *h = &s->http;
	struct slice method, url;
	if (!line.n)
		return; /* RFC 9112 section 2.2 */
	const uint8_t *end = memchr(line.p, ' ', line.n);
	if (!end) {
		texts_add(&s->texts, SINK_F_SAMPLE, slice_head(line, 512));
		refuse(s, 400);
		return;
	}
	slice_take(&line, (size_t)(end - line.p), &method);
	line = slice_trim(line);
	end = memrchr(line.p, ' ', line.n);
	url = line;
	if (end) {
		slice_take(&line, (size_t)(end - line.p), &url);
		line = slice_trim(line);
		h->old = slice_same(line, "HTTP/1.0");
		texts_add(&s->texts, SINK_F_PROTOCOL, slice_head(line, 16));
	} else {
		h->old = true; /* HTTP/0.9 */
	}
	slice_text(h->method, sizeof(h->method), method);
	slice_text(h->path, sizeof(h->path), url);
	texts_str(&s->texts, SINK_F_METHOD, h->method);
	texts_add(&s->texts, SINK_F_URL, url);
	h->head = !strcmp(h->method, "HEAD");
	h->state = HEADER;
	if (!end) {
		h->close = true;
		finish(s);
	}
}

static bool number(struct slice s, unsigned base, uint64_t *out)
{
	uint64_t v = 0;
	uint8_t c;
	if (!s.n || s.n > 12)
		return false;
	while (slice_u8(&s, &c)) {
		unsigned low = c | 32u, d = 99;
		if (c >= '0' && c <= '9')
			d = c - (unsigned)'0';
		else if (low >= 'a' && low <= 'f')
			d = low - 'a' + 10;
		if (d >= base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return true;
}

static void headers_over(struct session *s)
{
	struct http *h = &s->http;
	if (h->expect && (h->chunked || h->left))
		session_say(s, "HTTP/1.1 100 Continue\r\n\r\n");
	if (h->chunked)
		h->state = CHUNK_SIZE;
	else if (h->left)
		h->state = BODY;
	else
		finish(s);
}

static void header_line(struct session *s, struct slice line)
{
	struct http *h = &s->http;
	struct slice v;
	h->header_bytes += (uint32_t)line.n + 2;
	if (h->header_bytes > HEADERS_MAX) {
		refuse(s, 400);
		return;
	}
	if (!line.n) {
		headers_over(s);
		return;
	}
	if (slice_word(line, "Host:", &v))
		texts_add(&s->texts, SINK_F_HOST, slice_head(v, 256));
	else if (slice_word(line, "User-Agent:", &v))
		texts_add(&s->texts, SINK_F_USER_AGENT, slice_head(v, 512));
	else if (slice_word(line, "Referer:", &v))
		texts_add(&s->texts, SINK_F_REFERER, slice_head(v, 1024));
	else if (slice_word(line, "Content-Type:", &v))
		texts_add(&s->texts, SINK_F_CONTENT_TYPE, slice_head(v, 256));
	else if (slice_word(line, "Content-Length:", &v)) {
		/* Two that differ are how requests are smuggled. */
		uint64_t was = h->left;
		if (!number(v, 10, &h->left) || (h->has_length && h->left != was))
			refuse(s, 400);
		else if (h->left > UPLOAD_MAX)
			refuse(s, 413);
		h->has_length = true;
	} else if (slice_word(line, "Transfer-Encoding:", &v))
		h->chunked = slice_same(v, "chunked");
	else if (slice_word(line, "Connection:", &v))
		h->close |= slice_same(v, "close");
	else if (slice_word(line, "Expect:", &v))
		h->expect = slice_same(v, "100-continue");
}

static void chunk_line(struct session *s, struct slice line)
{
	struct http *h = &s->http;
	const uint8_t *ext = memchr(line.p, ';', line.n);
	line = slice_trim(ext ? slice_head(line, (size_t)(ext - line.p)) : line);
	if (!number(line, 16, &h->left))
		refuse(s, 400);
	else if (s->body.total + h->left > UPLOAD_MAX)
		refuse(s, 413);
	else
		h->state = h->left ? CHUNK : TRAILER;
}

static void take_body(struct session *s, struct slice *in)
{
	struct slice part;
	size_t n = in->n < s->http.left ? in->n : (size_t)s->http.left;
	slice_take(in, n, &part);
	body_add(&s->body, part);
	s->http.left -= n;
	if (s->http.left)
		return;
	if (s->http.state == CHUNK)
		s->http.state = CHUNK_END;
	else
		finish(s);
}

static void whole_line(struct session *s, struct slice line)
{
	switch (s->http.state) {
	case REQUEST:
		request_line(s, line);
		break;
	case HEADER:
		header_line(s, line);
		break;
	case CHUNK_SIZE:
		chunk_line(s, line);
		break;
	case CHUNK_END:
		if (line.n)
			refuse(s, 400);
		else
			s->http.state = CHUNK_SIZE;
		break;
	default: /* TRAILER */
		s->http.header_bytes += (uint32_t)line.n + 2;
		if (s->http.header_bytes > HEADERS_MAX)
			refuse(s, 400);
		else if (!line.n)
			finish(s);
	}
}

static void input(struct session *s, struct slice *in)
{
	struct slice line;
	if (s->http.state == BODY || s->http.state == CHUNK) {
		take_body(s, in);
		return;
	}
	switch (session_line(s, in, &line)) {
	case LINE_NONE:
		break;
	case LINE_LONG:
		if (s->http.state == REQUEST)
			texts_add(&s->texts, SINK_F_SAMPLE, slice_head(line, 512));
		refuse(s, s->http.state == REQUEST ? 414 : 400);
		break;
	case LINE_WHOLE:
		whole_line(s, line);
	}
}

static void begin(struct session *s)
{
	s->http = (struct http){ 0 };
}

static void end(struct session *s)
{
	if (s->http.state == REQUEST && s->nline)
		texts_add(&s->texts, SINK_F_SAMPLE, slice_head(slice_of(s->line, s->nline), 512));
	if (s->http.state != REQUEST || s->nline)
		record(s, SINK_UNFINISHED);
	s->nline = 0;
}

const struct sink_service_ops sink_http = {
	.name = "http", .idle = 65 * EV_SEC, .begin = begin, .input = input, .end = end
};
