/* SHA-256 (FIPS 180-4), with the instructions of the processor where it has them. */
#ifndef LUTHIER_SHA256_H
#define LUTHIER_SHA256_H

#include "common.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/* The fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha_k[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t sha_turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static inline uint32_t sha_big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sha_blocks_plain(uint32_t *h, const uint8_t *p, size_t blocks) {
    for (; blocks--; p += 64) {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; i++) w[i] = sha_big_endian(p + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t a = sha_turn(w[i - 15], 7) ^ sha_turn(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t b = sha_turn(w[i - 2], 17) ^ sha_turn(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        memcpy(s, h, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t e = sha_turn(s[4], 6) ^ sha_turn(s[4], 11) ^ sha_turn(s[4], 25);
            uint32_t one = s[7] + e + ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_k[i] + w[i];
            uint32_t a = sha_turn(s[0], 2) ^ sha_turn(s[0], 13) ^ sha_turn(s[0], 22);
            uint32_t two = a + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += one;
            s[0] = one + two;
        }
        for (int i = 0; i < 8; i++) h[i] += s[i];
    }
}

#if defined(__x86_64__)
__attribute__((target("sha,sse4.1,ssse3"))) static void sha_blocks_ni(uint32_t *h, const uint8_t *p, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)h), 0xb1);
    __m128i b = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(h + 4)), 0x1b);
    __m128i a = _mm_alignr_epi8(t, b, 8);
    b = _mm_blend_epi16(b, t, 0xf0);
    for (; blocks--; p += 64) {
        __m128i was_a = a, was_b = b, w[4];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i < 4) {
                w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
            } else {
                __m128i next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
            }
            __m128i m = _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(sha_k + 4 * i)));
            b = _mm_sha256rnds2_epu32(b, a, m);
            a = _mm_sha256rnds2_epu32(a, b, _mm_shuffle_epi32(m, 0x0e));
        }
        a = _mm_add_epi32(a, was_a);
        b = _mm_add_epi32(b, was_b);
    }
    t = _mm_shuffle_epi32(a, 0x1b);
    b = _mm_shuffle_epi32(b, 0xb1);
    _mm_storeu_si128((__m128i *)h, _mm_blend_epi16(t, b, 0xf0));
    _mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(b, t, 8));
}
#endif

static inline int sha_has_instructions(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
#else
    return 0;
#endif
}

/* The digest of n bytes; `fast` is what sha_has_instructions said. */
static inline void sha256(const uint8_t *p, size_t n, uint8_t *out, int fast) {
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t tail[128] = {0};
    size_t whole = n / 64, rest = n % 64, last = rest < 56 ? 1 : 2;
    void (*blocks)(uint32_t *, const uint8_t *, size_t) = sha_blocks_plain;
#if defined(__x86_64__)
    if (fast) blocks = sha_blocks_ni;
#endif
    memcpy(tail, p + 64 * whole, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++) tail[64 * last - 1 - i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    blocks(h, p, whole);
    blocks(h, tail, last);
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

#endif
