/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TEST_BASE_CM_H
#define SKEP_TEST_BASE_CM_H
/* What cmocka.h wants to see before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#endif
