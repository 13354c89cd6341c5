/* From UTF-8 to words: case, width and digits folded, punctuation dropped, unspaced scripts character by character. */
#include "words.h"
#include "words_unicode.h"

#include <pthread.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define STRETCH 16384 /* bytes looked at before the words in them are hashed */

/* kind:3, script:5, then 0 for itself, 1 << 8 | offset << 9 into unicode_folds otherwise */
static uint32_t *letters;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint8_t between[256], wordy[256], codey[256];
static uint64_t head_mask[17], tail_mask[17];

static void prepare(void) {
    letters = calloc(UNICODE_LAST, sizeof *letters);
    for (int c = 0; c < 256; c++)
        wordy[c] = c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    for (const char *c = "-*/%\\#@&+=<>^|~$"; *c; c++) between[(uint8_t)*c] = 1;
    for (const char *c = "{}[]();=<>"; *c; c++) codey[(uint8_t)*c] = 1;
    for (int n = 0; n <= 16; n++) {
        head_mask[n] = n >= 8 ? ~0ULL : (1ULL << (8 * n)) - 1;
        tail_mask[n] = n <= 8 ? 0 : n == 16 ? ~0ULL : (1ULL << (8 * (n - 8))) - 1;
    }
    if (!letters) return;
    for (size_t i = 0; i < sizeof unicode_ranges / sizeof *unicode_ranges; i++)
        for (uint32_t c = unicode_ranges[i].first; c <= unicode_ranges[i].last; c++)
            letters[c] = unicode_ranges[i].kind | (uint32_t)unicode_ranges[i].script << 3;
    size_t size = sizeof unicode_folds / sizeof *unicode_folds;
    for (size_t i = 0; i + 1 < size; i += 2 + unicode_folds[i + 1])
        letters[unicode_folds[i]] |= 1u << 8 | (uint32_t)(i + 1) << 9;
}

static inline uint32_t letter(uint32_t c) {
    if (c < UNICODE_LAST) return letters[c];
    return c >= 0xe0000 && c < 0xe1000 ? U_IGNORED : U_OTHER;
}

static inline uint32_t word_of(uint64_t h, size_t n, int digit) {
    h = folded_product(h ^ 0x589965cc75374cc3ULL, n ^ 0x1d8e4e27c47d124fULL);
    uint32_t w = ((uint32_t)(h >> 32) & ~1u) | (uint32_t)digit;
    return w > 1 ? w : w | 2;
}

#define KEY_A 0xa0761d6478bd642fULL
#define KEY_B 0xe7037ed1a0b428dbULL

/* The word of folded bytes; sixteen more bytes must be readable behind them. */
uint32_t words_hash_folded(const uint8_t *p, size_t n) {
    uint64_t h = 0;
    int digit = 0;
    for (size_t i = 0; i < n; i++) digit |= p[i] >= '0' && p[i] <= '9';
    for (size_t i = 0; i < n || !i; i += 16) {
        size_t left = n - i < 16 ? n - i : 16;
        h = folded_product((load64(p + i) & head_mask[left]) ^ KEY_A ^ h, (load64(p + i + 8) & tail_mask[left]) ^ KEY_B);
    }
    return word_of(h, n, digit);
}

/* Append the folded form of character c, whose entry is e; returns the bytes written (at most 4 * 18). */
static size_t fold(uint32_t c, uint32_t e, uint8_t *out) {
    uint32_t one[2] = {1, c};
    const uint32_t *as = e & (1u << 8) ? unicode_folds + (e >> 9) : one;
    uint8_t *p = out;
    for (uint32_t i = 1; i <= as[0]; i++) {
        uint32_t v = as[i];
        if (v < 0x80) {
            *p++ = (uint8_t)v;
        } else if (v < 0x800) {
            *p++ = (uint8_t)(0xc0 | v >> 6);
            *p++ = (uint8_t)(0x80 | (v & 63));
        } else if (v < 0x10000) {
            *p++ = (uint8_t)(0xe0 | v >> 12);
            *p++ = (uint8_t)(0x80 | (v >> 6 & 63));
            *p++ = (uint8_t)(0x80 | (v & 63));
        } else {
            *p++ = (uint8_t)(0xf0 | v >> 18);
            *p++ = (uint8_t)(0x80 | (v >> 12 & 63));
            *p++ = (uint8_t)(0x80 | (v >> 6 & 63));
            *p++ = (uint8_t)(0x80 | (v & 63));
        }
    }
    return (size_t)(p - out);
}

static inline void push(Tokens *t, uint32_t word, size_t start, uint32_t script) {
    t->word[t->n] = word;
    t->start[t->n] = (uint32_t)start;
    t->script[t->n++] = (uint8_t)script;
}

static void push_sign(Tokens *t, uint8_t sign, size_t at) {
    uint8_t padded[32] = {sign};
    push(t, words_hash_folded(padded, 1), at, S_OTHER);
}

static inline int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* The bytes between two words, or before the first or after the last: signs that carry meaning become words. */
static void gap(Tokens *t, const uint8_t *text, size_t a, size_t b, int left, int right, uint32_t *code) {
    size_t n = b - a;
    const uint8_t *g = text + a;
    if (!n) return;
    for (size_t i = 0; i < n && i < 64; i++) *code += codey[g[i]];
    if (left && right) {
        if (n == 1) {
            if (between[g[0]]) push_sign(t, g[0], a);
            return;
        }
        int spaced = n == 3 && g[0] == ' ' && g[2] == ' ' && between[g[1]] && g[1] != '|';
        if (spaced && (g[1] != '-' || (is_digit(text[a - 1]) && is_digit(text[b])))) {
            push_sign(t, g[1], a + 1);
            return;
        }
    }
    if (left && (g[0] == '#' || g[0] == '+' || g[0] == '%')) {
        push_sign(t, g[0], a);
        if (n > 1 && g[0] == '+' && g[1] == '+') push_sign(t, '+', a + 1);
    }
    if (right && is_digit(text[b])) {
        uint8_t c = g[n - 1];
        if (c == '$' || (c == '-' && (n == 1 || strchr(" (\n\t=,:[", g[n - 2])))) push_sign(t, c, b - 1);
    }
}

typedef struct {
    uint8_t bytes[LONGEST_WORD + 96];
    size_t n, start;
    uint32_t script;
    int solo;
} Pending;

static inline void flush(Tokens *t, Pending *p) {
    if (p->n) push(t, words_hash_folded(p->bytes, p->n), p->start, p->script);
    p->n = 0;
}

/* A run of letters of any script: ASCII letters and digits, and everything from 0x80 on. */
static void mixed(Tokens *t, const uint8_t *text, size_t a, size_t b) {
    Pending word = {.n = 0};
    int after_letter = 0;
    for (size_t i = a; i < b;) {
        int len = 1;
        uint32_t c = text[i] < 0x80 ? text[i] : utf8_at(text + i, &len);
        if (i + (size_t)len > b) break;
        uint32_t e = c < 0x80 ? U_LETTER | S_LATIN << 3 : letter(c);
        uint32_t kind = e & 7;
        if (kind == U_LETTER || kind == U_SOLO || (kind == U_MARK && word.n)) {
            int starts = kind == U_SOLO || (kind == U_LETTER && word.solo) || word.n >= LONGEST_WORD;
            if (starts) flush(t, &word);
            if (!word.n) {
                word.start = i;
                word.script = e >> 3 & 31;
                word.solo = kind == U_SOLO;
            }
            if (c < 0x80)
                word.bytes[word.n++] = (uint8_t)(c >= 'A' && c <= 'Z' ? c | 32 : c);
            else
                word.n += fold(c, e, word.bytes + word.n);
            after_letter = 1;
        } else if (kind != U_IGNORED && kind != U_MARK) {
            flush(t, &word);
            if (kind == U_SYMBOL) {
                word.n = fold(c, e, word.bytes);
                word.start = i;
                word.script = S_OTHER;
                flush(t, &word);
            } else if (kind == U_SIGN && after_letter && i + (size_t)len < b) {
                int next_len;
                const uint8_t *next = text + i + len;
                uint32_t n = *next < 0x80 ? U_LETTER : letter(utf8_at(next, &next_len)) & 7;
                if (n == U_LETTER || n == U_SOLO) push_sign(t, (uint8_t)unicode_folds[(e >> 9) + 1], i);
            }
            after_letter = 0;
        }
        i += (size_t)len;
    }
    flush(t, &word);
}

static inline void run(Tokens *t, const uint8_t *text, size_t a, size_t b) {
    size_t n = b - a;
    if (LIKELY(n <= 16)) {
        uint64_t head = load64(text + a) & head_mask[n], tail = load64(text + a + 8) & tail_mask[n];
        if (LIKELY(!((head | tail) & 0x8080808080808080ULL))) {
            uint64_t digits = (~head & head_mask[n]) | (~tail & tail_mask[n]);
            head |= 0x2020202020202020ULL & head_mask[n];
            tail |= 0x2020202020202020ULL & tail_mask[n];
            uint64_t h = folded_product(head ^ KEY_A, tail ^ KEY_B);
            push(t, word_of(h, n, (digits & 0x4040404040404040ULL) != 0), a, S_LATIN);
            return;
        }
        mixed(t, text, a, b);
        return;
    }
    mixed(t, text, a, b);
}

/* Bits of the 64 bytes at p that belong to words. */
static inline uint64_t word_bits(const uint8_t *p) {
#if defined(__SSE2__)
    uint64_t bits = 0;
    for (int i = 0; i < 4; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * i));
        __m128i lower = _mm_or_si128(v, _mm_set1_epi8(32));
        __m128i alpha = _mm_cmplt_epi8(_mm_add_epi8(lower, _mm_set1_epi8((char)(128 - 'a'))), _mm_set1_epi8(-128 + 26));
        __m128i digit = _mm_cmplt_epi8(_mm_add_epi8(v, _mm_set1_epi8((char)(128 - '0'))), _mm_set1_epi8(-128 + 10));
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(alpha, digit), v)) << (16 * i);
    }
    return bits;
#else
    uint64_t bits = 0;
    for (int i = 0; i < 64; i++) bits |= (uint64_t)wordy[p[i]] << i;
    return bits;
#endif
}

typedef struct {
    size_t previous; /* end of the word before */
    size_t open;     /* start of the word that has not ended */
    int inside, any;
    uint32_t code;
} Walk;

static inline void ended(Tokens *t, const uint8_t *text, Walk *w, size_t end) {
    size_t a = w->open;
    if (a - w->previous != 1 || text[w->previous] != ' ' || !w->any) gap(t, text, w->previous, a, w->any, 1, &w->code);
    run(t, text, a, end);
    w->previous = end;
    w->any = 1;
}

static int room_for(Tokens *t, size_t more) {
    if (t->n + more <= t->room) return 1;
    size_t room = (t->n + more) + (t->n + more) / 2;
    uint32_t *word = realloc(t->word, room * sizeof *word);
    if (word) t->word = word;
    uint32_t *start = realloc(t->start, room * sizeof *start);
    if (start) t->start = start;
    uint8_t *script = realloc(t->script, room);
    if (script) t->script = script;
    if (!word || !start || !script) return 0;
    t->room = room;
    return 1;
}

/* The words of one segment; 0 when memory ran out. */
static int segment(Tokens *t, const uint8_t *text, size_t from, size_t to, uint32_t *code) {
    Walk w = {.previous = from};
    for (size_t at = from; at < to; at += STRETCH) {
        size_t stop = to - at < STRETCH ? to : at + STRETCH;
        /* No more words than bytes, those of a word that began before and of the signs before it included. */
        if (!room_for(t, stop - w.previous + 64)) return 0;
        for (size_t block = at; block < stop; block += 64) {
            uint64_t bits = word_bits(text + block);
            if (stop - block < 64) bits &= (1ULL << (stop - block)) - 1;
            uint64_t edges = bits ^ (bits << 1 | (uint64_t)w.inside);
            if (stop - block < 64) edges &= (1ULL << (stop - block)) - 1;
            w.inside = bits >> 63 & 1;
            if (stop - block < 64) w.inside = bits >> (stop - block - 1) & 1;
            uint64_t inside_before = (bits & 1) ^ (edges & 1);
            while (edges) {
                size_t edge = block + (size_t)__builtin_ctzll(edges);
                edges &= edges - 1;
                if (inside_before)
                    ended(t, text, &w, edge);
                else
                    w.open = edge;
                inside_before ^= 1;
            }
        }
    }
    if (w.inside) ended(t, text, &w, to);
    gap(t, text, w.previous, to, w.any, 0, &w.code);
    *code = w.code;
    return 1;
}

EXPORT Tokens *words_tokens_new(void) {
    pthread_once(&once, prepare);
    return letters ? calloc(1, sizeof(Tokens)) : NULL;
}

EXPORT void words_tokens_free(Tokens *t) {
    if (!t) return;
    free(t->word);
    free(t->start);
    free(t->script);
    free(t->seg);
    free(t->code);
    free(t);
}

/* Words of all segments; 0, or -1 when memory ran out. */
EXPORT int words_tokenise(Tokens *t, const Segments *s) {
    t->n = 0;
    t->segs = (size_t)s->segments;
    if (t->segs + 1 > t->seg_room) {
        size_t room = t->segs + t->segs / 2 + 64;
        int64_t *seg = realloc(t->seg, room * sizeof *seg);
        if (seg) t->seg = seg;
        uint32_t *code = realloc(t->code, room * sizeof *code);
        if (code) t->code = code;
        if (!seg || !code) return -1;
        t->seg_room = room;
    }
    for (size_t i = 0; i < t->segs; i++) {
        t->seg[i] = (int64_t)t->n;
        t->code[i] = 0;
        if (!segment(t, s->text, (size_t)s->start[i], (size_t)s->end[i], &t->code[i])) return -1;
    }
    t->seg[t->segs] = (int64_t)t->n;
    return 0;
}

EXPORT int64_t words_tokens_view(const Tokens *t, const uint32_t **word, const uint32_t **start, const uint8_t **script,
                                 const int64_t **seg) {
    *word = t->word;
    *start = t->start;
    *script = t->script;
    *seg = t->seg;
    return (int64_t)t->n;
}

static int is_mark(const uint8_t *folded) {
    int len;
    return *folded >= 0x80 && (letter(utf8_at(folded, &len)) & 7) == U_MARK;
}

/* Folded bytes of the word that begins at text, at most LONGEST_WORD and some; with `letters` above 0 only of its first
 * letters, each with its marks, of which *seen tells how many there were. Returns the number of bytes. */
size_t words_fold(const uint8_t *text, size_t n, size_t letters, uint8_t *out, size_t *seen) {
    uint8_t piece[96];
    size_t made = 0;
    int solo = 0;
    *seen = 0;
    for (size_t i = 0; i < n && made < LONGEST_WORD;) {
        int len = 1;
        uint32_t c = text[i] < 0x80 ? text[i] : utf8_at(text + i, &len);
        if (i + (size_t)len > n) break;
        uint32_t e = c < 0x80 ? (wordy[c] ? U_LETTER : U_OTHER) : letter(c);
        uint32_t kind = e & 7;
        int apart = kind == U_OTHER || kind == U_SIGN || kind == U_SYMBOL;
        if (made && (apart || kind == U_SOLO || (kind == U_LETTER && solo))) break;
        if (kind != U_IGNORED) {
            size_t size = c < 0x80 ? 1 : fold(c, e, piece);
            if (c < 0x80) piece[0] = (uint8_t)(c >= 'A' && c <= 'Z' ? c | 32 : c);
            for (size_t k = 0; k < size;) {
                size_t step = k + 1;
                while (step < size && (piece[step] & 0xc0) == 0x80) step++;
                int mark = is_mark(piece + k);
                if (!mark && letters && *seen == letters) return made;
                *seen += !mark;
                memcpy(out + made, piece + k, step - k);
                made += step - k;
                k = step;
            }
            solo |= kind == U_SOLO;
        }
        if (apart) break;
        i += (size_t)len;
    }
    return made;
}
