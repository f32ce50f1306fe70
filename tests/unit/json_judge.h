/* json_judge.h - is this JSON? Nesting past JSON_MAX_DEPTH is not; a byte order mark in front is fine; UTF-8 is not looked at. */
#ifndef TESTS_JSON_JUDGE_H
#define TESTS_JSON_JUDGE_H

#include <stdbool.h>
#include "base/slice.h"

bool	json_judge(struct slice);

#endif
