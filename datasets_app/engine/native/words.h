/* What the kernels over words share: tokens of a batch, the state of a set of rows, hashes of words and runs of words.
 *
 * A word is 32 bits: 31 of a hash of its folded letters, and bit 0 that says whether it holds a digit. Everything
 * later (shingles, distinct-n, runs shared with golden sets, phrases, the search index) is made of these alone.
 */
#ifndef LUTHIER_WORDS_H
#define LUTHIER_WORDS_H

#include "common.h"

#define LONGEST_WORD 256 /* bytes; longer ones are cut into pieces */
#define HASHES 128       /* minima of a row */
#define BANDS 21         /* bands of WIDTH minima: recall 0.998 at Jaccard 0.8, 0.31 at 0.5 */
#define WIDTH 6
#define SIGNATURE 64 /* low bytes of the first minima, for an estimate before the exact check */
#define SHINGLE 3
#define RUN 13         /* words that a row and a golden row must share in a row */
#define GROUP_ROWS 1000 /* rows of a group of the search index */
#define PREFIX 4       /* characters of the beginnings that can be searched */
#define LANGUAGES 32

/* Segment roles, parts and flags as in engine/batch.py. */
enum { SYSTEM = 0, USER = 1, ASSISTANT = 2, TOOL = 3 };
enum { PROMPT = 0, ANSWER = 1, REJECTED = 2, DOCUMENT = 3 };
enum { F_TRAINED = 1, F_CALL = 2, F_THINKING = 4, F_ENDS_TURN = 8 };

typedef struct {
    const uint8_t *text;
    const int64_t *start, *end;
    const uint8_t *role, *part, *flags;
    const int64_t *row_seg; /* rows + 1 */
    int64_t rows, segments;
    const int64_t *tools_at; /* offsets of the tools column, rows + 1, or NULL */
    const uint8_t *tools;
} Segments;

typedef struct {
    uint32_t *word, *start; /* start: byte offset into the text of the batch */
    uint8_t *script;
    size_t n, room;
    int64_t *seg; /* segments + 1 offsets into word */
    uint32_t *code; /* brackets, semicolons and the like of each segment */
    size_t segs, seg_room;
} Tokens;

typedef struct {
    uint64_t spill; /* offset of the row's words in the spill file, in words */
    uint64_t context, prompt, norm, answer;
    uint32_t words, prompt_words; /* words outside the system turn; those of them in the prompt */
    uint32_t answer_at, answer_words;
    uint32_t system, opening; /* hashes of system turn and tools, and of the answer's first words */
    uint8_t asked, answered, spare[6]; /* languages of prompt and answer */
} RowInfo;

typedef struct {
    uint64_t *key;
    uint32_t *value;
    uint64_t mask;
    size_t used;
} Table; /* open addressing; key 0 is an empty slot */

typedef struct {
    int fd, failed;
    uint8_t *buffer;
    size_t used, room;
    uint64_t written;
} Out;

int out_open(Out *out, int fd);
int out_put(Out *out, const void *data, size_t n);
int out_flush(Out *out);
void out_close(Out *out);

int table_make(Table *t, size_t expected);
void table_free(Table *t);
int table_grow(Table *t);

static inline uint64_t folded_product(uint64_t a, uint64_t b) {
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* One more value into an ordered hash. */
static inline uint64_t chain(uint64_t h, uint64_t value) {
    return folded_product(h ^ 0x9e3779b97f4a7c15ULL, value ^ 0xe7037ed1a0b428dbULL) + 0x2545f4914f6cdd1dULL;
}

/* Slot of a key, empty or its own. */
static inline size_t table_slot(const Table *t, uint64_t key) {
    size_t at = (key ^ (key >> 29)) & t->mask;
    while (t->key[at] && t->key[at] != key) at = (at + 1) & t->mask;
    return at;
}

static inline uint32_t shingle_of(uint32_t a, uint32_t b, uint32_t c) {
    uint32_t x = a * 0x9e3779b1u + b * 0x85ebca77u + c * 0xc2b2ae3du;
    x ^= x >> 15;
    x *= 0x2c1b3c6du;
    x ^= x >> 12;
    x *= 0x297a2d39u;
    return x ^ (x >> 15);
}

/* Shingles of n words, at least one when there is a word; returns their number (n may equal 1 or 2). */
static inline size_t shingles(const uint32_t *word, size_t n, uint32_t *out) {
    if (!n) return 0;
    if (n < SHINGLE) {
        out[0] = shingle_of(word[0], n > 1 ? word[1] : 0, 0);
        return 1;
    }
    for (size_t i = 0; i + SHINGLE <= n; i++) out[i] = shingle_of(word[i], word[i + 1], word[i + 2]);
    return n - SHINGLE + 1;
}

uint32_t words_hash_folded(const uint8_t *folded, size_t n);
void words_minima(uint32_t *minima, const uint32_t *shingle, size_t n);
void words_keys(const uint32_t *minima, uint32_t *keys, uint8_t *signature);
uint32_t words_beginning(uint32_t word);
size_t words_fold(const uint8_t *text, size_t n, size_t letters, uint8_t *out, size_t *seen);

#endif
