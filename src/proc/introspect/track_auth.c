/* SPDX-License-Identifier: ISC */
#include "proc/introspect/track.h"

/* The session in which somebody logs in; begins it. */
static struct session *logging_in(struct track *t)
{
	struct proc *p = t->p;
	if (!p)
		return track_session(t);
	struct ref r = track_connection(t, p);
	if (!ref_set(r))
		r = track_session_ref(t);
	if (!ref_set(r)) {
		/* The monitor and its child are one: whichever is known first. */
		struct proc *parent = procs_find(&t->procs, p->ppid);
		if (parent && parent->monitor && sessions_get(&t->sessions, parent->session)) {
			track_join(t, p, parent->session);
			r = p->session;
		} else {
			r = track_orphan(t, p, INTRO_SVC_SSH);
		}
	}
	return sessions_get(&t->sessions, r);
}

static struct fact_text text(struct slice s)
{
	return (struct fact_text){ (const char *)s.p, (uint32_t)s.n };
}

static void tried(struct track *t, struct session *s, enum intro_auth how, struct slice secret)
{
	size_t n = 0;
	while (n < sizeof(s->user) && s->user[n])
		n++;
	attempt_set(&t->sessions, s, &s->ssh, t->f, how, (struct fact_text){ s->user, (uint32_t)n }, text(secret));
}

static void outcome(struct track *t, struct session *s, bool yes)
{
	attempt_end(&t->sessions, s, &s->ssh, t->f, yes ? INTRO_SUCCEEDED : INTRO_FAILED);
}

static void request(struct track *t, struct session *s, uint8_t type, struct slice m)
{
	struct slice str, algorithm;
	uint32_t n;
	switch (type) {
	case LOGIN_PWNAM:
		if (login_string(&m, &str))
			sessions_user(&t->sessions, s, t->f, (const char *)str.p, str.n, false);
		break;
	case LOGIN_PASSWORD:
		if (login_string(&m, &str))
			tried(t, s, INTRO_AUTH_PASSWORD, str);
		break;
	case LOGIN_KEY:
		if (slice_be32(&m, &n) && login_string(&m, &str) && login_string(&str, &algorithm))
			tried(t, s, INTRO_AUTH_KEY, algorithm);
		break;
	case LOGIN_PAM_INIT:
		if (s->ssh.active)
			outcome(t, s, false); /* asked anew */
		break;
	case LOGIN_PAM_RESPOND:
		if (slice_be32(&m, &n) && n && login_string(&m, &str))
			tried(t, s, INTRO_AUTH_PASSWORD, str);
		break;
	}
}

static void on_message(void *arg, uint8_t type, struct slice m)
{
	struct track *t = arg;
	struct session *s;
	uint32_t n;
	switch (type) {
	case LOGIN_PWNAM:
	case LOGIN_PASSWORD:
	case LOGIN_KEY:
	case LOGIN_PAM_INIT:
	case LOGIN_PAM_RESPOND:
		s = logging_in(t);
		if (s)
			request(t, s, type, m);
		return;
	case LOGIN_PASSWORD_OK:
	case LOGIN_KEY_OK:
	case LOGIN_VERIFY_OK:
	case LOGIN_PAM_OK:
		break;
	default:
		return;
	}
	s = logging_in(t);
	if (!s || !s->ssh.active || !slice_be32(&m, &n))
		return;
	bool key = s->ssh.how == INTRO_AUTH_KEY;
	if (type == LOGIN_PASSWORD_OK && !key)
		outcome(t, s, n == 1);
	else if (type == LOGIN_KEY_OK && key && n == 0)
		outcome(t, s, false);
	else if (type == LOGIN_VERIFY_OK && key)
		outcome(t, s, n == 0);
	else if (type == LOGIN_PAM_OK && !key && n != 1)
		outcome(t, s, n == 0);
}

void track_auth(struct track *t)
{
	if (t->p)
		t->p->monitor = true;
	login_feed(&t->login, t->f->tgid, t->f->auth, on_message, t);
}
