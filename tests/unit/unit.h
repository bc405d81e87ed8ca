/* cmocka with the headers that it wants before it. Every unit test includes this first. */
#ifndef PM_TESTS_UNIT_H
#define PM_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
