/* The state of a set of rows whose words are being taken in. */
#ifndef LUTHIER_WORDS_STATE_H
#define LUTHIER_WORDS_STATE_H

#include "words.h"

#define REGISTER_BITS 14
#define REGISTERS (1 << REGISTER_BITS) /* HyperLogLog with a standard error of 1.04 / 128 = 0.8 % */
#define EXACT_DISTINCT 65536           /* up to here every n-gram is kept and the count is exact */
#define FIRST_POINT 4096
#define VOTERS 400                     /* words of a segment that are asked for its language */

typedef struct {
    Table exact;
    uint8_t registers[REGISTERS];
    uint64_t total;
} Distinct;

typedef struct {
    uint32_t script[32], language[LANGUAGES], words, code;
} Votes;

typedef struct Golden Golden;

/* Two sets of shingles held against each other; grown and used again from pair to pair. */
typedef struct {
    uint32_t *key, *epoch;
    uint8_t *side;
    size_t mask;
    uint32_t now;
} Sets;

/* Words of a row as read back from the spill file, and their shingles. */
typedef struct {
    uint32_t *word, *shingle;
    size_t n, shingles, room;
} Read;

typedef struct Words {
    RowInfo *row;
    uint32_t *keys[2];      /* of whole rows, of prompts: BANDS each */
    uint8_t *signatures[2]; /* SIGNATURE each */
    size_t rows, row_room;
    uint32_t *scratch, *shingle;
    size_t scratch_room, shingle_room;
    Out spill, index, spelling;
    Distinct distinct[3];
    double curve[64][4]; /* words, different words, 2-grams, 3-grams: at every doubling */
    int64_t points;
    uint32_t *group; /* words of the open group of the index: a set */
    size_t group_mask, group_used;
    int64_t group_number;
    uint64_t *bounds; /* start and length of each group in the index file, in words */
    size_t bounds_room, groups;
    uint32_t *known;
    uint32_t *stop_key, *stop_mask;
    size_t stop_slots;
    uint32_t *phrase_word;
    int64_t *phrase_at;
    uint8_t *phrase_first;
    size_t phrases;
    int64_t *hits; /* row, phrase */
    size_t n_hits, hits_room;
    Golden *golden;
    int light; /* only what is compared: no index, no n-grams, no phrases */
} Words;

void words_free(Words *w);
void words_drop_keys(Words *w);
void words_golden_free(Words *w);
int words_leak(Words *w, size_t number);
#define LAST_KNOWN (1 << 18) /* words whose spelling was written lately */
int words_reserve(void **array, size_t *room, size_t need, size_t size);
int words_close_group(Words *w);
int words_index_row(Words *w, const Tokens *t, const Segments *s, int64_t row, int64_t number);
uint8_t words_language(const Words *w, const Votes *v);
int words_read(const Words *w, Read *r, int64_t row, size_t from, size_t n);
void words_read_free(Read *r);
double words_likeness(Sets *s, const uint32_t *a, size_t na, const uint32_t *b, size_t nb, const Table *without);
void words_sets_free(Sets *s);
int words_alike(const uint8_t *a, const uint8_t *b);
#define LOOKS_NEAR 36 /* of 64 equal bytes; at Jaccard 0.8 fewer come once in 300,000 pairs */
void words_sort(uint32_t *values, uint32_t *spare, size_t n);

#endif
