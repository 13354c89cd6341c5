/* What the kernels of rows share: growing buffers, segments, and the batch that is being gathered. */
#ifndef LUTHIER_JSON_KERNEL_H
#define LUTHIER_JSON_KERNEL_H

#include <time.h>

#include "json_scan.h"
#include "sha256.h"

enum { SYSTEM, USER, ASSISTANT, TOOL };
enum { PROMPT, ANSWER, REJECTED, DOCUMENT };
enum { TRAINED = 1, CALL = 2, THINKING = 4, ENDS_TURN = 8 };
enum { C_MESSAGES, C_CHOSEN, C_REJECTED, C_TOOLS, C_TEXT, C_LABEL, C_TAGS, C_ID, C_EXTRAS, C_PROVENANCE, COLUMNS };

#define PADDING 64
#define CANON_AT_ONCE (32 << 10) /* what is hashed while it is still in the cache */
#define MOST_NAMES 256
#define LONGEST_NAME 64

typedef struct {
    uint8_t *p;
    int64_t n, cap, usual; /* usual: bytes to begin with, since the one before was given away */
} Buffer;

typedef struct {
    Buffer data, offsets, valid;
    int64_t nulls;
} Column;

typedef struct {
    char name[LONGEST_NAME];
    int64_t n, count;
} Name;

typedef struct {
    int format, fast_hash;
    int64_t lines, rows, segments;
    Buffer text, start, end, row, role, part, flags, row_seg, line, digest;
    Column columns[COLUMNS];
    Buffer canon, canon_end; /* the canonical forms of the rows from `hashed` on, and where each ends; none for rows of Python */
    int64_t hashed, digesting; /* digesting: nanoseconds of the CPU spent on digests */
    Buffer turns, tags, special; /* special: names that Python reads, each behind its length in one byte */
    Buffer echoed, sorted;       /* calls and tools of the row that is read, as stored and as hashed */
    Buffer plain, members;       /* what the two are made with */
    Name names[MOST_NAMES];
    int n_names;
    Scan scan, inner; /* inner: for JSON inside a text */
} Kernel;

static inline int reserve(Buffer *b, int64_t extra) {
    if (LIKELY(b->n + extra <= b->cap)) return 1;
    int64_t cap = b->cap ? b->cap : b->usual > 4096 ? b->usual : 4096;
    while (cap < b->n + extra) cap += cap / 2;
    uint8_t *grown = realloc(b->p, (size_t)cap);
    if (!grown) return 0;
    b->p = grown;
    b->cap = cap;
    return 1;
}

static inline void put(Buffer *b, const void *p, int64_t n) {
    memcpy(b->p + b->n, p, (size_t)n);
    b->n += n;
}

#define PUT(b, literal) put(b, literal, sizeof(literal) - 1)
#define PUSH(b, type, value) (*(type *)((b)->p + (b)->n) = (value), (b)->n += (int64_t)sizeof(type))

static inline int is(const Span *s, const char *word) {
    size_t n = strlen(word);
    return s->n == (int64_t)n && !memcmp(s->s, word, n);
}

static const char *const role_names[] = {"system", "user", "assistant", "tool"};

static inline void put_segment(Kernel *k, int64_t from, int role, int part, int flags) {
    PUSH(&k->start, int64_t, from);
    PUSH(&k->end, int64_t, k->text.n);
    PUSH(&k->row, int32_t, (int32_t)k->rows);
    PUSH(&k->role, uint8_t, (uint8_t)role);
    PUSH(&k->part, uint8_t, (uint8_t)part);
    PUSH(&k->flags, uint8_t, (uint8_t)flags);
    k->segments++;
}

static inline int segments_ready(Kernel *k, int64_t n) {
    return reserve(&k->start, 8 * n) && reserve(&k->end, 8 * n) && reserve(&k->row, 4 * n) && reserve(&k->role, n) &&
           reserve(&k->part, n) && reserve(&k->flags, n);
}

static inline int64_t cpu_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Fill in the digests of the rows that were read here and have none yet. */
static inline void make_digests(Kernel *k) {
    const int64_t *ends = (const int64_t *)k->canon_end.p;
    int64_t began = cpu_time();
    for (int64_t i = k->hashed, from = 0; i < k->rows; i++) {
        int64_t end = ends[i - k->hashed];
        if (end > from) sha256(k->canon.p + from, (size_t)(end - from), k->digest.p + 32 * i, k->fast_hash);
        from = end;
    }
    k->hashed = k->rows;
    k->canon.n = k->canon_end.n = 0;
    k->digesting += cpu_time() - began;
}

static inline void row_end(Kernel *k, int64_t line) {
    PUSH(&k->row_seg, int64_t, k->segments);
    PUSH(&k->line, int64_t, line);
    PUSH(&k->canon_end, int64_t, k->canon.n);
    k->digest.n = 32 * ++k->rows;
    if (k->canon.n >= CANON_AT_ONCE) make_digests(k);
}

/* A text as a JSON string in the one spelling that rows are stored and hashed in; at most 6 bytes for each of its own. */
static inline uint8_t *j_quoted(uint8_t *o, const uint8_t *p, int64_t n) {
    static const char short_of[] = "........btn.fr..................";
    const uint8_t *end = p + n;
    *o++ = '"';
    for (; p < end; p++) {
        uint8_t c = *p;
        if (c >= 0x20 && c != '"' && c != '\\') {
            *o++ = c;
        } else if (c >= 0x20 || short_of[c] != '.') {
            *o++ = '\\';
            *o++ = c >= 0x20 ? c : (uint8_t)short_of[c];
        } else {
            memcpy(o, "\\u00", 4);
            o[4] = (uint8_t)('0' + (c >> 4));
            o[5] = (uint8_t)"0123456789abcdef"[c & 15];
            o += 6;
        }
    }
    *o++ = '"';
    return o;
}

#endif
