/* Strict JSON: one text is checked byte by byte against RFC 8259 and the bounds of this project; the first fault is
 * named by a code, its byte and the path of keys and indices that leads to it. Nothing is allocated but the list of
 * keys of the objects that are open, which is bounded. */
#ifndef LUTHIER_JSON_SCAN_H
#define LUTHIER_JSON_SCAN_H

#include "json_utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { J_OK, J_INVALID, J_UTF8, J_SURROGATE, J_NAN, J_NUMBER, J_DEEP, J_TWICE, J_MANY, J_MEMORY };
/* What was expected where the text is not JSON; the words stand in native/json.py. */
enum { H_NONE, H_VALUE, H_KEY, H_COLON, H_COMMA, H_END, H_QUOTE, H_CONTROL, H_ESCAPE, H_DIGIT, H_EARLY, H_LAST_COMMA };
/* What a string holds. */
enum { S_ESCAPED = 1, S_RESPELLED = 2, S_NUL = 4 };

#define J_DEPTH 64
#define J_LINEAR 16
#define J_KEYS (1 << 20)
#define J_CONTAINERS 300000

typedef struct {
    const uint8_t *s; /* behind the opening quote */
    int64_t n;        /* raw bytes up to the closing one */
    int flags;
} Span;

typedef struct {
    uint64_t hash;
    const uint8_t *s;
    int64_t n;
    int escaped;
} Key;

typedef struct {
    const uint8_t *key; /* NULL for a place in a list */
    int64_t n;          /* bytes of the key, or the index; -1 before the first */
} Step;

typedef struct {
    const uint8_t *base, *p, *end;
    const uint8_t *at; /* of the fault */
    int code, hint, depth;
    int utf8; /* the whole text is known to be UTF-8 */
    int64_t containers;
    Step path[J_DEPTH + 1];
    Key *keys;
    int64_t n_keys, cap_keys;
} Scan;

static inline int j_fail(Scan *j, int code, int hint, const uint8_t *at) {
    j->code = code;
    j->hint = hint;
    j->at = at;
    return 0;
}

static inline void j_open(Scan *j, const uint8_t *data, int64_t size) {
    j->base = j->p = data;
    j->end = data + size;
    j->at = data;
    j->code = j->hint = j->depth = j->utf8 = 0;
    j->containers = 0;
    j->n_keys = 0;
}

static inline void j_space(Scan *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r')) j->p++;
}

/* Bytes of the well-formed UTF-8 sequence at p (a byte >= 0x80), 0 if there is none. Table 3-7 of the Unicode standard. */
static inline int j_utf8(const uint8_t *p, const uint8_t *end) {
    uint8_t c = p[0];
    int64_t left = end - p;
    if (c < 0xc2) return 0;
    if (c < 0xe0) return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c < 0xf0) {
        if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) return 0;
        if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f)) return 0;
        return 3;
    }
    if (c > 0xf4 || left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80) return 0;
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)) return 0;
    return 4;
}

/* Whether the text ends inside a sequence that is well-formed so far: then it has been cut, not wrongly encoded. */
static inline int j_cut(const uint8_t *p, const uint8_t *end) {
    int64_t n = end - p;
    if (n >= (p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2)) return 0;
    for (uint8_t one = 0x80; one < 0xc0; one += 0x10) { /* a second byte from each range that some lead byte takes */
        uint8_t whole[4] = {p[0], n > 1 ? p[1] : one, n > 2 ? p[2] : 0x80, 0x80};
        if (j_utf8(whole, whole + 4)) return 1;
    }
    return 0;
}

/* The next byte that is a quote, a backslash, a control or not ASCII; `end` if there is none. */
static inline const uint8_t *j_special(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), low = _mm_set1_epi8(0x20);
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        /* Compared as signed numbers, bytes from 0x80 on are below 0x20 as controls are. */
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                   _mm_cmplt_epi8(v, low));
        int mask = _mm_movemask_epi8(hit);
        if (mask) return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20 && *p < 0x80) p++;
    return p;
}

/* The next byte that is a quote, a backslash or a control; `end` if there is none. */
static inline const uint8_t *j_marked(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), low = _mm_set1_epi8(0x1f);
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                   _mm_cmpeq_epi8(_mm_min_epu8(v, low), v));
        int mask = _mm_movemask_epi8(hit);
        if (mask) return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) p++;
    return p;
}

static inline int j_hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at p as a number, -1 if they are none. */
static inline int j_four(const uint8_t *p, const uint8_t *end) {
    if (end - p < 4) return -1;
    int a = j_hex(p[0]), b = j_hex(p[1]), c = j_hex(p[2]), d = j_hex(p[3]);
    return (a | b | c | d) < 0 ? -1 : a << 12 | b << 8 | c << 4 | d;
}

/* The escape at *at (a backslash); moves behind it. */
static inline int j_escape(Scan *j, const uint8_t **at, int *flags) {
    const uint8_t *p = *at;
    if (j->end - p < 2) return j_fail(j, J_INVALID, H_EARLY, j->end);
    *flags |= S_ESCAPED;
    switch (p[1]) {
    case '/':
        *flags |= S_RESPELLED; /* fall through */
    case '"': case '\\': case 'b': case 'f': case 'n': case 'r': case 't':
        *at = p + 2;
        return 1;
    case 'u':
        break;
    default:
        return j_fail(j, J_INVALID, H_ESCAPE, p);
    }
    *flags |= S_RESPELLED;
    int unit = j_four(p + 2, j->end);
    if (unit < 0) return j_fail(j, J_INVALID, H_ESCAPE, p);
    if (unit == 0) *flags |= S_NUL;
    if (unit < 0xd800 || unit > 0xdfff) {
        *at = p + 6;
        return 1;
    }
    int other = unit < 0xdc00 && j->end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? j_four(p + 8, j->end) : -1;
    if (other < 0xdc00 || other > 0xdfff) return j_fail(j, J_SURROGATE, 0, p);
    *at = p + 12;
    return 1;
}

/* A string; j->p stands on its opening quote. */
static inline int j_string(Scan *j, Span *out) {
    const uint8_t *start = j->p + 1, *p = start, *end = j->end;
    int flags = 0;
    for (;;) {
        p = j->utf8 ? j_marked(p, end) : j_special(p, end);
        if (UNLIKELY(p >= end)) return j_fail(j, J_INVALID, H_QUOTE, end);
        uint8_t c = *p;
        if (c == '"') break;
        if (c == '\\') {
            if (!j_escape(j, &p, &flags)) return 0;
        } else if (c >= 0x80) {
            do {
                int n = j_utf8(p, end);
                if (UNLIKELY(!n)) return j_cut(p, end) ? j_fail(j, J_INVALID, H_QUOTE, end) : j_fail(j, J_UTF8, 0, p);
                p += n;
            } while (p < end && *p >= 0x80);
        } else {
            return j_fail(j, J_INVALID, H_CONTROL, p);
        }
    }
    out->s = start;
    out->n = p - start;
    out->flags = flags;
    j->p = p + 1;
    return 1;
}

static inline uint8_t *j_put_utf8(uint8_t *o, uint32_t c) {
    if (c < 0x80) {
        *o++ = (uint8_t)c;
    } else if (c < 0x800) {
        *o++ = (uint8_t)(0xc0 | c >> 6);
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *o++ = (uint8_t)(0xe0 | c >> 12);
        *o++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *o++ = (uint8_t)(0xf0 | c >> 18);
        *o++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return o;
}

/* The character that the (checked) escape at *p stands for; moves behind it. */
static inline uint32_t j_escaped(const uint8_t **p) {
    const uint8_t *s = *p;
    *p = s + 2;
    switch (s[1]) {
    case 'b': return 8;
    case 'f': return 12;
    case 'n': return 10;
    case 'r': return 13;
    case 't': return 9;
    case 'u': break;
    default: return s[1];
    }
    uint32_t c = (uint32_t)j_four(s + 2, s + 6);
    *p = s + 6;
    if (c >= 0xd800 && c < 0xdc00) {
        c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)j_four(s + 8, s + 12) - 0xdc00);
        *p = s + 12;
    }
    return c;
}

/* The text a checked string stands for; never longer than the string itself. Returns the end of what was written. */
static inline uint8_t *j_plain(uint8_t *o, const Span *span) {
    const uint8_t *p = span->s, *end = p + span->n;
    if (!(span->flags & S_ESCAPED)) {
        memcpy(o, p, (size_t)span->n);
        return o + span->n;
    }
    while (p < end) {
        const uint8_t *next = memchr(p, '\\', (size_t)(end - p));
        size_t n = (size_t)((next ? next : end) - p);
        memcpy(o, p, n);
        o += n;
        p += n;
        if (next) o = j_put_utf8(o, j_escaped(&p));
    }
    return o;
}

/* The same, as the one spelling that rows are stored and hashed in: only what must be escaped is. */
static inline uint8_t *j_spelled(uint8_t *o, const Span *span) {
    static const char short_of[] = "........btn.fr..................";
    const uint8_t *p = span->s, *end = p + span->n;
    if (!(span->flags & S_RESPELLED)) {
        memcpy(o, p, (size_t)span->n);
        return o + span->n;
    }
    while (p < end) {
        const uint8_t *next = memchr(p, '\\', (size_t)(end - p));
        size_t n = (size_t)((next ? next : end) - p);
        memcpy(o, p, n);
        o += n;
        p += n;
        if (!next) break;
        uint32_t c = j_escaped(&p);
        if (c == '"' || c == '\\' || (c < 0x20 && short_of[c] != '.')) {
            *o++ = '\\';
            *o++ = c < 0x20 ? (uint8_t)short_of[c] : (uint8_t)c;
        } else if (c < 0x20) {
            memcpy(o, "\\u00", 4);
            o[4] = (uint8_t)('0' + (c >> 4));
            o[5] = (uint8_t)"0123456789abcdef"[c & 15];
            o += 6;
        } else {
            o = j_put_utf8(o, c);
        }
    }
    return o;
}

static inline int j_beyond_64(const uint8_t *digits, int64_t n, int negative) {
    const char *bound = negative ? "9223372036854775808" : "18446744073709551615";
    int64_t size = negative ? 19 : 20;
    return n > size || (n == size && memcmp(digits, bound, (size_t)n) > 0);
}

/* Whether a number with this first digit's power of ten (1 for 5.0, 0 for 0.5) is beyond a double. */
static inline int j_infinite(const uint8_t *s, int64_t n, int64_t power) {
    char copy[2048];
    if (power != 309) return power > 309;
    if (n >= (int64_t)sizeof copy) return 1;
    memcpy(copy, s, (size_t)n);
    copy[n] = 0;
    return strtod(copy, NULL) > 1.7976931348623157e308 || strtod(copy, NULL) < -1.7976931348623157e308;
}

static inline int64_t j_digits(Scan *j) {
    const uint8_t *s = j->p;
    while (j->p < j->end && *j->p >= '0' && *j->p <= '9') j->p++;
    return j->p - s;
}

/* A number; *whole is set for one without fraction and exponent. */
static int j_number(Scan *j, int *whole) {
    const uint8_t *s = j->p, *end = j->end;
    int negative = *s == '-';
    j->p += negative;
    const uint8_t *first = j->p;
    if (j->p < end && (*j->p == 'I' || *j->p == 'N' || *j->p == 'i' || *j->p == 'n')) return j_fail(j, J_NAN, 0, s);
    int64_t digits = j_digits(j);
    if (!digits) return j_fail(j, J_INVALID, H_DIGIT, j->p);
    if (*first == '0' && digits > 1) return j_fail(j, J_INVALID, H_COMMA, first + 1);
    int64_t power = *first == '0' ? 0 : digits, exponent = 0;
    int zero = *first == '0';
    *whole = 1;
    if (j->p < end && *j->p == '.') {
        const uint8_t *point = ++j->p;
        int64_t n = j_digits(j);
        if (!n) return j_fail(j, J_INVALID, H_DIGIT, j->p);
        for (const uint8_t *p = point; zero && p < j->p; p++) {
            if (*p != '0') zero = 0;
            else power--;
        }
        *whole = 0;
    }
    if (j->p < end && (*j->p | 0x20) == 'e') {
        j->p++;
        int minus = j->p < end && *j->p == '-';
        j->p += j->p < end && (*j->p == '-' || *j->p == '+');
        const uint8_t *e = j->p;
        if (!j_digits(j)) return j_fail(j, J_INVALID, H_DIGIT, j->p);
        for (; e < j->p; e++) exponent = exponent < 100000000 ? exponent * 10 + (*e - '0') : exponent;
        if (minus) exponent = -exponent;
        *whole = 0;
    }
    int beyond = *whole ? j_beyond_64(first, digits, negative) : !zero && j_infinite(s, j->p - s, power + exponent);
    return beyond ? j_fail(j, J_NUMBER, 0, s) : 1;
}

static int j_by_hash(const void *a, const void *b) {
    const Key *x = a, *y = b;
    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : (x->s > y->s) - (x->s < y->s);
}

static inline int j_same(const Key *a, const Key *b) {
    if (a->hash != b->hash) return 0;
    return a->escaped || b->escaped || (a->n == b->n && !memcmp(a->s, b->s, (size_t)a->n));
}

/* Take a key of the object whose keys begin at `from`; a second one of the same name is a fault. */
static int j_key(Scan *j, int64_t from, const Span *span) {
    Key key = {0, span->s, span->n, span->flags & S_ESCAPED};
    if (key.escaped) {
        uint8_t small[256], *plain = span->n <= 256 ? small : malloc((size_t)span->n);
        if (!plain) return j_fail(j, J_MEMORY, 0, span->s);
        key.hash = hash_bytes(plain, (size_t)(j_plain(plain, span) - plain), 0);
        if (plain != small) free(plain);
    } else {
        key.hash = hash_bytes(span->s, (size_t)span->n, 0);
    }
    int64_t n = j->n_keys - from;
    for (int64_t i = 0; n < J_LINEAR && i < n; i++)
        if (j_same(&j->keys[from + i], &key)) return j_fail(j, J_TWICE, 0, span->s - 1);
    if (j->n_keys == j->cap_keys) {
        int64_t cap = j->cap_keys ? 2 * j->cap_keys : 64;
        if (cap > J_KEYS) return j_fail(j, J_MANY, 0, span->s - 1);
        Key *grown = realloc(j->keys, (size_t)cap * sizeof(Key));
        if (!grown) return j_fail(j, J_MEMORY, 0, span->s);
        j->keys = grown;
        j->cap_keys = cap;
    }
    j->keys[j->n_keys++] = key;
    return 1;
}

/* The keys of an object that has ended. */
static int j_keys_done(Scan *j, int64_t from) {
    int64_t n = j->n_keys - from;
    const uint8_t *again = NULL;
    Key *keys = j->keys + from;
    if (n > J_LINEAR) {
        qsort(keys, (size_t)n, sizeof(Key), j_by_hash);
        for (int64_t i = 1; i < n; i++)
            if (j_same(&keys[i - 1], &keys[i]) && (!again || keys[i].s < again)) again = keys[i].s;
    }
    j->n_keys = from;
    return again ? j_fail(j, J_TWICE, 0, again - 1) : 1;
}

static inline int j_deeper(Scan *j) {
    if (j->depth >= J_DEPTH) return j_fail(j, J_DEEP, 0, j->p);
    if (++j->containers > J_CONTAINERS) return j_fail(j, J_MANY, 0, j->p);
    j->path[++j->depth] = (Step){NULL, -1};
    j->p++;
    return 1;
}

static int j_value(Scan *j);

/* A key, its colon, and the space up to the value. */
static inline int j_member(Scan *j, Span *key) {
    if (j->p >= j->end) return j_fail(j, J_INVALID, H_EARLY, j->end);
    if (*j->p != '"') return j_fail(j, J_INVALID, *j->p == '}' ? H_LAST_COMMA : H_KEY, j->p);
    if (!j_string(j, key)) return 0;
    j->path[j->depth] = (Step){key->s, key->n};
    j_space(j);
    if (j->p >= j->end) return j_fail(j, J_INVALID, H_EARLY, j->end);
    if (*j->p != ':') return j_fail(j, J_INVALID, H_COLON, j->p);
    j->p++;
    j_space(j);
    return 1;
}

/* Behind an element: 1 another follows, 2 it was the last, 0 a fault. */
static inline int j_next(Scan *j, uint8_t closing) {
    j_space(j);
    if (j->p >= j->end) return j_fail(j, J_INVALID, H_EARLY, j->end);
    if (*j->p == closing) {
        j->p++;
        j->depth--;
        return 2;
    }
    if (*j->p != ',') return j_fail(j, J_INVALID, H_COMMA, j->p);
    j->p++;
    j_space(j);
    return 1;
}

/* Whether the container just opened is empty; then it is left again. */
static inline int j_empty(Scan *j, uint8_t closing) {
    j_space(j);
    if (j->p >= j->end || *j->p != closing) return 0;
    j->p++;
    j->depth--;
    return 1;
}

static int j_object(Scan *j) {
    int64_t from = j->n_keys;
    int more = 1;
    Span key;
    if (!j_deeper(j)) return 0;
    if (j_empty(j, '}')) return 1;
    while (more == 1) {
        if (!j_member(j, &key) || !j_key(j, from, &key) || !j_value(j)) return 0;
        more = j_next(j, '}');
    }
    return more && j_keys_done(j, from);
}

static int j_list(Scan *j) {
    int more = 1;
    if (!j_deeper(j)) return 0;
    if (j_empty(j, ']')) return 1;
    for (int64_t n = 0; more == 1; n++) {
        j->path[j->depth] = (Step){NULL, n};
        if (j->p < j->end && *j->p == ']' && n) return j_fail(j, J_INVALID, H_LAST_COMMA, j->p);
        if (!j_value(j)) return 0;
        more = j_next(j, ']');
    }
    return more;
}

static inline int j_word(Scan *j, const char *word, int64_t n) {
    if (j->end - j->p < n || memcmp(j->p, word, (size_t)n)) return 0;
    j->p += n;
    return 1;
}

static int j_strange(Scan *j) {
    static const char *const names[] = {"NaN", "Infinity", "nan", "inf"};
    if (j->p >= j->end) return j_fail(j, J_INVALID, H_EARLY, j->end);
    for (int i = 0; i < 4; i++)
        if (j_word(j, names[i], (int64_t)strlen(names[i]))) return j_fail(j, J_NAN, 0, j->p - strlen(names[i]));
    if (*j->p >= 0x80 && !j_utf8(j->p, j->end)) return j_fail(j, J_UTF8, 0, j->p);
    return j_fail(j, J_INVALID, H_VALUE, j->p);
}

/* Any value; j->p stands on its first byte. */
static int j_value(Scan *j) {
    Span span;
    int whole;
    if (j->p >= j->end) return j_fail(j, J_INVALID, H_EARLY, j->end);
    switch (*j->p) {
    case '"': return j_string(j, &span);
    case '{': return j_object(j);
    case '[': return j_list(j);
    case 't': return j_word(j, "true", 4) || j_strange(j);
    case 'f': return j_word(j, "false", 5) || j_strange(j);
    case 'n': return j_word(j, "null", 4) || j_strange(j);
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return j_number(j, &whole);
    default: return j_strange(j);
    }
}

/* A whole text: one value and nothing behind it. */
static inline int j_text(Scan *j) {
    j_space(j);
    if (!j_value(j)) return 0;
    j_space(j);
    if (j->p < j->end) {
        j->depth = 0;
        if (*j->p >= 0x80 && !j_utf8(j->p, j->end)) return j_fail(j, J_UTF8, 0, j->p);
        return j_fail(j, J_INVALID, H_END, j->p);
    }
    return 1;
}

#endif
