/* SPDX-License-Identifier: ISC */
/* OUT and its like are defaults that a test overrides. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#pragma GCC diagnostic ignored "-Woverride-init-side-effects"
#endif
/* cmocka's header wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

#include <stdio.h>
#include <errno.h>
#include <stdlib.h>

#define assert_reason(w, want) assert_string_equal(reason_name((w)->reason), reason_name(want))
#define assert_forwarded(w, want)                                                                                      \
	do {                                                                                                           \
		assert_reason(w, want);                                                                                \
		assert_int_equal((w)->verdict, VERDICT_FORWARD);                                                       \
		assert_true((w)->sent > 0);                                                                            \
	} while (0)
#define assert_dropped(w, want)                                                                                        \
	do {                                                                                                           \
		assert_reason(w, want);                                                                                \
		assert_int_equal((w)->verdict, VERDICT_DROP);                                                          \
		assert_int_equal((w)->sent, 0);                                                                        \
	} while (0)

/* From honeypot 0 to the world outside, and back. */
#define OUT .smac = world_mac(0), .dmac = ROUTER_MAC, .src = "192.0.2.10", .dst = "198.51.100.7"
#define IN .smac = ROUTER_MAC, .dmac = world_mac(0), .src = "198.51.100.7", .dst = "192.0.2.10"
#define OUT6 .smac = world_mac(0), .dmac = ROUTER_MAC, .src = "2001:db8::10", .dst = "2001:db8:9::7"
#define IN6 .smac = ROUTER_MAC, .dmac = world_mac(0), .src = "2001:db8:9::7", .dst = "2001:db8::10"
#define FROM_POT(...) world_send(w, 0, &(struct craft){ __VA_ARGS__ })
#define FROM_UP(...) world_send(w, WORLD_UPLINK, &(struct craft){ __VA_ARGS__ })
