/* Shared by all kernels: types, a fast 64-bit hash, UTF-8 decoding. */
#ifndef LUTHIER_COMMON_H
#define LUTHIER_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A strong finaliser (Stafford's variant 13 of the MurmurHash3 finaliser, public domain constants). */
static inline uint64_t mix64(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static inline uint64_t load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* 64-bit hash of a byte string: eight bytes a step, each folded by a 64x64->128 multiplication. */
static inline uint64_t hash_bytes(const uint8_t *p, size_t n, uint64_t seed) {
    uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15ULL);
    while (n >= 8) {
        __uint128_t m = (__uint128_t)(load64(p) ^ h) * 0xa0761d6478bd642fULL;
        h = (uint64_t)m ^ (uint64_t)(m >> 64);
        p += 8;
        n -= 8;
    }
    if (n) {
        uint64_t tail = 0;
        memcpy(&tail, p, n);
        __uint128_t m = (__uint128_t)(tail ^ h) * 0xe7037ed1a0b428dbULL;
        h = (uint64_t)m ^ (uint64_t)(m >> 64);
    }
    return mix64(h);
}

/* Decode one code point of valid UTF-8 at p; *len receives its bytes. */
static inline uint32_t utf8_at(const uint8_t *p, int *len) {
    uint8_t c = p[0];
    if (c < 0x80) {
        *len = 1;
        return c;
    }
    if (c < 0xe0) {
        *len = 2;
        return ((uint32_t)(c & 0x1f) << 6) | (p[1] & 0x3f);
    }
    if (c < 0xf0) {
        *len = 3;
        return ((uint32_t)(c & 0x0f) << 12) | ((uint32_t)(p[1] & 0x3f) << 6) | (p[2] & 0x3f);
    }
    *len = 4;
    return ((uint32_t)(c & 0x07) << 18) | ((uint32_t)(p[1] & 0x3f) << 12) | ((uint32_t)(p[2] & 0x3f) << 6) |
           (p[3] & 0x3f);
}

#endif
