/* The state of a set of rows whose words are being taken in. */
#ifndef LUTHIER_WORDS_STATE_H
#define LUTHIER_WORDS_STATE_H

#include "words.h"

#define REGISTER_BITS 14
#define REGISTERS (1 << REGISTER_BITS) /* HyperLogLog with a standard error of 1.04 / 128 = 0.8 % */
#define EXACT_DISTINCT 65536           /* up to here every n-gram is kept and the count is exact */
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

typedef struct Words {
    RowInfo *row;
    uint32_t *keys[2];      /* of whole rows, of prompts: BANDS each */
    uint8_t *signatures[2]; /* SIGNATURE each */
    size_t rows, row_room;
    uint32_t *scratch, *shingle;
    size_t scratch_room, shingle_room;
    Out spill, index, spelling;
    Distinct distinct[3];
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
} Words;

void words_free(Words *w);
void words_drop_keys(Words *w);
void words_golden_free(Words *w);
int words_leak(Words *w, size_t number, uint64_t prompt, uint64_t norm, const RowInfo *info);
uint8_t words_language(const Words *w, const Votes *v);
void words_sort(uint32_t *values, uint32_t *spare, size_t n);

#endif
