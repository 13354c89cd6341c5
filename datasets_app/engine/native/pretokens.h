/* Where text is split before byte pairs are merged: the patterns of GPT-2, Llama 3, Qwen 2 and o200k, by hand.
 *
 * Each scanner returns the end of the piece that starts at i of p[i, n), as the regular expression would match it, and
 * in *seen how far it has looked: text up to there decides the piece. Classes of code points come as a table. */
#ifndef LUTHIER_PRETOKENS_H
#define LUTHIER_PRETOKENS_H

#include "common.h"

enum { LETTER = 1, NUMBER = 2, SPACE = 4, UPPER = 8, LOWER = 16, MARK = 32, STRIPPED = 64 };
enum { GPT2 = 1, LLAMA3 = 2, O200K = 3 };
#define SOLID (LETTER | NUMBER | SPACE)

typedef struct {
    const uint8_t *classes; /* of every code point */
    int style, digits_max;  /* digits in one piece at most; 0 is no bound */
} Pattern;

static inline uint8_t class_at(const Pattern *q, const uint8_t *p, size_t i, int *len) {
    if (LIKELY(p[i] < 0x80)) {
        *len = 1;
        return q->classes[p[i]];
    }
    return q->classes[utf8_at(p + i, len)];
}

/* End of the run of characters with one of the bits `any` set. */
static inline size_t run_of(const Pattern *q, const uint8_t *p, size_t i, size_t n, uint8_t any) {
    int len;
    while (i < n && (class_at(q, p, i, &len) & any)) i += len;
    return i;
}

/* End of the run of what is neither letter, number nor space. */
static inline size_t run_of_others(const Pattern *q, const uint8_t *p, size_t i, size_t n) {
    int len;
    while (i < n && !(class_at(q, p, i, &len) & SOLID)) i += len;
    return i;
}

static inline int is_newline(uint8_t c) { return c == '\n' || c == '\r'; }

/* Bytes of 's 't 're 've 'm 'll 'd at i, the apostrophe included; 0 when there is none. */
static inline size_t contraction(const uint8_t *p, size_t i, size_t n, int any_case) {
    if (p[i] != '\'' || i + 1 >= n) return 0;
    uint8_t a = p[i + 1], b = i + 2 < n ? p[i + 2] : 0;
    if (any_case && a == 0xc5 && b == 0xbf) return 3; /* the long s folds to s */
    if (any_case) {
        if (a < 0x80) a |= 0x20;
        if (b < 0x80) b |= 0x20;
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return 0;
}

/* \s*[\r\n]+ (when `newlines`) | \s+(?!\S) | \s+ */
static inline size_t blank_piece(const Pattern *q, const uint8_t *p, size_t i, size_t n, int newlines, size_t *seen) {
    size_t at = i, last = i, after_newline = 0;
    int len;
    while (at < n && (class_at(q, p, at, &len) & SPACE)) {
        last = at;
        if (is_newline(p[at])) after_newline = at + 1;
        at += len;
    }
    *seen = at + 4;
    if (newlines && after_newline) return after_newline;
    return at == n || last == i ? at : last;
}

static inline size_t next_gpt2(const Pattern *q, const uint8_t *p, size_t i, size_t n, size_t *seen) {
    size_t end = contraction(p, i, n, 0), at = i;
    int len;
    if (end) {
        *seen = i + 4;
        return i + end;
    }
    uint8_t c = class_at(q, p, i, &len);
    if (p[i] == ' ' && i + 1 < n) {
        uint8_t next = class_at(q, p, i + 1, &len);
        if (!(next & SPACE)) at = i + 1, c = next;
    }
    if (c & SPACE) return blank_piece(q, p, i, n, 0, seen);
    end = c & LETTER   ? run_of(q, p, at, n, LETTER)
          : c & NUMBER ? run_of(q, p, at, n, NUMBER)
                       : run_of_others(q, p, at, n);
    *seen = end + 4;
    return end;
}

static inline size_t some_numbers(const Pattern *q, const uint8_t *p, size_t i, size_t n) {
    int len, taken = 0;
    while (i < n && (class_at(q, p, i, &len) & NUMBER)) {
        i += len;
        if (++taken == q->digits_max) break;
    }
    return i;
}

/* The alternatives that Llama 3, Qwen 2 and o200k share after words: numbers, other signs, blanks. */
static inline size_t no_word(const Pattern *q, const uint8_t *p, size_t i, size_t n, uint8_t c, size_t *seen) {
    size_t end, at = i;
    int len;
    if (c & NUMBER) {
        end = some_numbers(q, p, i, n);
        *seen = end + 4;
        return end;
    }
    if (p[i] == ' ' && i + 1 < n && !(class_at(q, p, i + 1, &len) & SOLID)) at = i + 1;
    if (at == i && (c & SPACE)) return blank_piece(q, p, i, n, 1, seen);
    end = run_of_others(q, p, at, n);
    while (end < n && (is_newline(p[end]) || (q->style == O200K && p[end] == '/'))) end++;
    *seen = end + 4;
    return end;
}

static inline size_t next_llama3(const Pattern *q, const uint8_t *p, size_t i, size_t n, size_t *seen) {
    size_t end = contraction(p, i, n, 1), at = i;
    int len, more;
    if (end) {
        *seen = i + 4;
        return i + end;
    }
    uint8_t c = class_at(q, p, i, &len);
    if (!(c & (LETTER | NUMBER)) && !is_newline(p[i]) && i + len < n && (class_at(q, p, i + len, &more) & LETTER))
        at = i + len;
    if (at > i || (c & LETTER)) {
        end = run_of(q, p, at, n, LETTER);
        *seen = end + 4;
        return end;
    }
    return no_word(q, p, i, n, c, seen);
}

static inline int in_head(uint8_t c) { return (c & (UPPER | MARK)) || ((c & LETTER) && !(c & (UPPER | LOWER))); }
static inline int in_tail(uint8_t c) { return (c & (LOWER | MARK)) || ((c & LETTER) && !(c & (UPPER | LOWER))); }

/* A cased word at i: heads* tails+ (`capitals` 0), or heads+ tails* (1); its end, or 0. *seen grows. */
static inline size_t cased_word(const Pattern *q, const uint8_t *p, size_t i, size_t n, int capitals, size_t *seen) {
    size_t at = i, after_both = 0, end;
    int len;
    uint8_t c = 0;
    while (at < n && in_head(c = class_at(q, p, at, &len))) {
        at += len;
        if (in_tail(c)) after_both = at; /* the last that may as well be a tail */
    }
    end = at;
    while (end < n && in_tail(class_at(q, p, end, &len))) end += len;
    if (end + 8 > *seen) *seen = end + 8;
    if (capitals) return at > i ? end : 0;
    return end > at ? end : after_both;
}

static inline size_t next_o200k(const Pattern *q, const uint8_t *p, size_t i, size_t n, size_t *seen) {
    int len;
    uint8_t c = class_at(q, p, i, &len);
    int may_lead = !(c & (LETTER | NUMBER)) && !is_newline(p[i]);
    *seen = 0;
    for (int capitals = 0; capitals < 2; capitals++) {
        size_t end = may_lead && i + len < n ? cased_word(q, p, i + len, n, capitals, seen) : 0;
        if (!end) end = cased_word(q, p, i, n, capitals, seen);
        if (end) return end < n ? end + contraction(p, end, n, 1) : end;
    }
    return no_word(q, p, i, n, c, seen);
}

static inline size_t next_piece(const Pattern *q, const uint8_t *p, size_t i, size_t n, size_t *seen) {
    if (q->style == GPT2) return next_gpt2(q, p, i, n, seen);
    if (q->style == LLAMA3) return next_llama3(q, p, i, n, seen);
    return next_o200k(q, p, i, n, seen);
}

#endif
