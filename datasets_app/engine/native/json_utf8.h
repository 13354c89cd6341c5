/* Whether a text is UTF-8, 32 bytes at a time: the three tables of Keiser and Lemire, "Validating UTF-8 in less than
 * one instruction per byte" (2021). Each pair of neighbours is looked up by its nibbles; a bit that stands in all three
 * tables is a fault. Which byte is at fault is for the slow way, j_utf8 in json_scan.h. */
#ifndef LUTHIER_JSON_UTF8_H
#define LUTHIER_JSON_UTF8_H

#include "common.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum {
    TOO_SHORT = 1, TOO_LONG = 2, OVERLONG_3 = 4, TOO_LARGE = 8, SURROGATE = 16, OVERLONG_2 = 32, OVERLONG_4 = 64,
    TWO_CONTS = 128, CARRIED = TOO_SHORT | TOO_LONG | TWO_CONTS, LARGE = CARRIED | TOO_LARGE | OVERLONG_4,
    CONT = TOO_LONG | OVERLONG_2 | TWO_CONTS
};

#define TWICE(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)

__attribute__((target("avx2"))) static inline __m256i u_before(__m256i now, __m256i last, const int n) {
    __m256i joined = _mm256_permute2x128_si256(last, now, 0x21);
    return n == 1 ? _mm256_alignr_epi8(now, joined, 15)
                  : n == 2 ? _mm256_alignr_epi8(now, joined, 14) : _mm256_alignr_epi8(now, joined, 13);
}

/* The faults of 32 bytes behind 32 others; none is missed that ends in them. */
__attribute__((target("avx2"))) static inline __m256i u_faults(__m256i now, __m256i last) {
    const __m256i low = _mm256_set1_epi8(0x0f);
    const __m256i by_first_high = TWICE(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
        (char)TWO_CONTS, (char)TWO_CONTS, (char)TWO_CONTS, (char)TWO_CONTS, TOO_SHORT | OVERLONG_2, TOO_SHORT,
        TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | OVERLONG_4);
    const __m256i by_first_low = TWICE((char)(CARRIED | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), (char)(CARRIED | OVERLONG_2),
        (char)CARRIED, (char)CARRIED, (char)(CARRIED | TOO_LARGE), (char)LARGE, (char)LARGE, (char)LARGE, (char)LARGE,
        (char)LARGE, (char)LARGE, (char)LARGE, (char)LARGE, (char)(LARGE | SURROGATE), (char)LARGE, (char)LARGE);
    const __m256i by_second_high = TWICE(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
        TOO_SHORT, (char)(CONT | OVERLONG_3 | OVERLONG_4), (char)(CONT | OVERLONG_3 | TOO_LARGE),
        (char)(CONT | SURROGATE | TOO_LARGE), (char)(CONT | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT);
    __m256i first = u_before(now, last, 1);
    __m256i found = _mm256_and_si256(
        _mm256_and_si256(_mm256_shuffle_epi8(by_first_high, _mm256_and_si256(_mm256_srli_epi16(first, 4), low)),
                         _mm256_shuffle_epi8(by_first_low, _mm256_and_si256(first, low))),
        _mm256_shuffle_epi8(by_second_high, _mm256_and_si256(_mm256_srli_epi16(now, 4), low)));
    /* A third or fourth byte has to be a continuation, and nothing else may be a second one. */
    __m256i third = _mm256_subs_epu8(u_before(now, last, 2), _mm256_set1_epi8(0xe0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(u_before(now, last, 3), _mm256_set1_epi8(0xf0 - 0x80));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(must, found);
}

__attribute__((target("avx2"))) static int u_is_utf8(const uint8_t *p, int64_t n) {
    __m256i faults = _mm256_setzero_si256(), last = _mm256_setzero_si256();
    uint8_t rest[64] = {0};
    int plain = 1; /* whether `last` is ASCII */
    for (; n >= 32; p += 32, n -= 32) {
        __m256i now = _mm256_loadu_si256((const __m256i *)p);
        int ascii = !_mm256_movemask_epi8(now);
        if (!ascii || !plain) faults = _mm256_or_si256(faults, u_faults(now, last));
        last = now;
        plain = ascii;
    }
    memcpy(rest, p, (size_t)n); /* what is cut at the end is too short before a zero */
    __m256i now = _mm256_loadu_si256((const __m256i *)rest);
    faults = _mm256_or_si256(faults, u_faults(now, last));
    faults = _mm256_or_si256(faults, u_faults(_mm256_setzero_si256(), now));
    return _mm256_testz_si256(faults, faults);
}

/* 1: it is, all of it. 0: it is not, or this machine cannot tell. */
static inline int is_utf8(const uint8_t *p, int64_t n) { return __builtin_cpu_supports("avx2") && u_is_utf8(p, n); }
#else
static inline int is_utf8(const uint8_t *p, int64_t n) { return 0; }
#endif

#endif
