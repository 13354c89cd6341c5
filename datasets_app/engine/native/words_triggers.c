/* Candidates for planted triggers: rare phrases in prompts whose rows all bring the same answer, whatever else is asked.
 *
 * Rows are grouped by the first words of their answers. In each small group the runs of one to three words that several
 * different prompts share are counted, then all rows are read once more to see whether those runs stand anywhere else.
 * What is left are phrases that predict an answer. A question and its stock answer do that too, so the prompts of a
 * candidate must differ in substance: each has rare words of its own beside the phrase. Memory is bounded by the tables
 * below, not by the set.
 */
#include "words_state.h"

#include <errno.h>

#define LEAST_ROWS 5
#define MOST_SHARE 50 /* one row in fifty */
#define GROUPED_ROWS 400000
#define MOST_CANDIDATES (1u << 21)
#define MOST_WORDS 1500 /* of a prompt */
#define FILTER (1u << 23) /* bits */
#define MOST_FOUND 50
#define LONGEST_PHRASE 12
#define CERTAIN 0.9
#define OWN_WORDS 2 /* rare words of its own that a prompt has on average */

typedef struct {
    uint32_t group, in, all, stamp;
} Candidate;

typedef struct {
    const Words *w;
    uint64_t *pair; /* opening << 32 | row, sorted */
    size_t pairs;
    struct {
        uint32_t begin, end;
    } *group;
    size_t groups, group_room;
    Table table; /* n-gram: 1 + candidate */
    Candidate *candidate;
    size_t candidates, candidate_room;
    Read read;
    const Table *common; /* words all over the set */
    const uint8_t *repeated; /* rows whose prompt was asked before, or nearly */
} Hunt;

typedef struct {
    int64_t row_at, rows, word_at, words;
    double own; /* rare words that a prompt has beside the phrase, on average */
} Found;

typedef struct {
    Found found[MOST_FOUND];
    int64_t n;
    int64_t *row;
    uint32_t *word;
    size_t rows, row_room, words, word_room;
} Triggers;

#define SEED 0x6c7574686965722bULL

/* The hash of one more word of a run that began with SEED. */
static inline uint64_t further(uint64_t h, uint32_t word) {
    h = chain(h, word);
    return h ? h : 1;
}

static uint64_t gram(const uint32_t *word, int n) {
    uint64_t h = SEED;
    for (int i = 0; i < n; i++) h = further(h, word[i]);
    return h;
}

static int everywhere(const Table *common, uint32_t word) {
    return common->key[table_slot(common, (uint64_t)word | 1ULL << 32)] != 0;
}

static int prompt_of(Hunt *h, size_t row) {
    size_t n = h->w->row[row].prompt_words;
    return words_read(h->w, &h->read, (int64_t)row, 0, n < MOST_WORDS ? n : MOST_WORDS);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Groups of 5 rows up to one in fifty, of at least 5 different prompts. */
static int group_rows(Hunt *h) {
    const Words *w = h->w;
    size_t most = w->rows / MOST_SHARE;
    h->pair = malloc((w->rows + 1) * sizeof *h->pair);
    if (!h->pair) return ENOMEM;
    for (size_t row = 0; row < w->rows; row++)
        if (w->row[row].opening && w->row[row].prompt_words)
            h->pair[h->pairs++] = (uint64_t)w->row[row].opening << 32 | row;
    qsort(h->pair, h->pairs, sizeof *h->pair, compare);
    size_t grouped = 0;
    for (size_t a = 0, b; a < h->pairs; a = b) {
        size_t different = 0;
        for (b = a; b < h->pairs && h->pair[b] >> 32 == h->pair[a] >> 32; b++)
            different += !h->repeated[(uint32_t)h->pair[b]];
        if (different < LEAST_ROWS || b - a > most || grouped + (b - a) > GROUPED_ROWS) continue;
        if (h->groups == h->group_room) {
            size_t room = 2 * h->group_room + 256;
            void *group = realloc(h->group, room * sizeof *h->group);
            if (!group) return ENOMEM;
            h->group = group;
            h->group_room = room;
        }
        h->group[h->groups].begin = (uint32_t)a;
        h->group[h->groups++].end = (uint32_t)b;
        grouped += b - a;
    }
    return 0;
}

/* Count n-grams once a row: value is rows << 16 | last row, rows of a group numbered from 1. */
static int count_row(Hunt *h, Table *t, uint32_t number) {
    for (size_t i = 0; i < h->read.n; i++) {
        for (uint64_t n = 1, key = SEED; n <= 3 && i + n <= h->read.n; n++) {
            key = further(key, h->read.word[i + n - 1]);
            if (n == 1 && everywhere(h->common, h->read.word[i])) continue;
            size_t at = table_slot(t, key);
            if (!t->key[at]) {
                t->key[at] = key;
                t->used++;
            }
            if ((t->value[at] & 0xffff) != (number & 0xffff) || !t->value[at])
                t->value[at] = ((t->value[at] >> 16) + 1) << 16 | (number & 0xffff);
            if (t->used * 2 > t->mask && !table_grow(t)) return ENOMEM;
        }
    }
    return 0;
}

static int propose(Hunt *h, size_t g, const Table *t, uint32_t least) {
    for (size_t i = 0; i <= t->mask; i++) {
        if (!t->key[i] || t->value[i] >> 16 < least || h->candidates >= MOST_CANDIDATES) continue;
        size_t at = table_slot(&h->table, t->key[i]);
        if (h->table.key[at]) continue; /* of an earlier group as well, so certain in neither */
        if (h->candidates == h->candidate_room) {
            size_t room = 2 * h->candidate_room + 4096;
            Candidate *candidate = realloc(h->candidate, room * sizeof *candidate);
            if (!candidate) return ENOMEM;
            h->candidate = candidate;
            h->candidate_room = room;
        }
        h->candidate[h->candidates++] = (Candidate){.group = (uint32_t)g};
        h->table.key[at] = t->key[i];
        h->table.value[at] = (uint32_t)h->candidates;
        h->table.used++;
        if (h->table.used * 2 > h->table.mask && !table_grow(&h->table)) return ENOMEM;
    }
    return 0;
}

static int look_into(Hunt *h, size_t g) {
    Table t;
    if (!table_make(&t, 1 << 10)) return ENOMEM;
    uint32_t different = 0;
    int failed = 0;
    for (size_t k = h->group[g].begin; k < h->group[g].end && !failed && different < 0xffff; k++) {
        size_t row = (uint32_t)h->pair[k];
        if (h->repeated[row]) continue;
        different++;
        failed = prompt_of(h, row);
        if (!failed) failed = count_row(h, &t, different);
    }
    uint32_t least = different / 10 > LEAST_ROWS ? different / 10 : LEAST_ROWS;
    if (!failed) failed = propose(h, g, &t, least);
    table_free(&t);
    return failed;
}

/* How many rows hold each candidate, and how many of those are in its group. */
static int count_everywhere(Hunt *h) {
    size_t k = 0, g = 0;
    uint32_t *group_of = calloc(h->w->rows + 1, sizeof *group_of); /* 1 + group */
    uint8_t *filter = calloc(FILTER / 8, 1);
    if (!group_of || !filter) {
        free(group_of);
        free(filter);
        return ENOMEM;
    }
    for (size_t i = 0; i <= h->table.mask; i++)
        if (h->table.key[i]) filter[(h->table.key[i] >> 20) % FILTER >> 3] |= (uint8_t)(1 << (h->table.key[i] >> 20 & 7));
    for (g = 0; g < h->groups; g++)
        for (k = h->group[g].begin; k < h->group[g].end; k++) group_of[(uint32_t)h->pair[k]] = (uint32_t)g + 1;
    int failed = 0;
    for (size_t row = 0; row < h->w->rows && !failed; row++) {
        if (!h->w->row[row].prompt_words) continue;
        failed = prompt_of(h, row);
        for (size_t i = 0; i < h->read.n && !failed; i++)
            for (uint64_t n = 1, key = SEED; n <= 3 && i + n <= h->read.n; n++) {
                key = further(key, h->read.word[i + n - 1]);
                if (LIKELY(!(filter[(key >> 20) % FILTER >> 3] >> (key >> 20 & 7) & 1))) continue;
                size_t at = table_slot(&h->table, key);
                if (!h->table.key[at]) continue;
                Candidate *c = h->candidate + h->table.value[at] - 1;
                if (c->stamp == row + 1) continue;
                c->stamp = (uint32_t)row + 1;
                c->all++;
                c->in += group_of[row] == c->group + 1;
            }
    }
    free(group_of);
    free(filter);
    return failed;
}

static const Candidate *certain(const Hunt *h, const uint32_t *word, int n, size_t g, uint32_t least) {
    uint32_t at = h->table.value[table_slot(&h->table, gram(word, n))];
    const Candidate *c = at ? h->candidate + at - 1 : NULL;
    size_t most = h->w->rows / MOST_SHARE;
    return c && c->group == g && c->in >= least && c->in >= CERTAIN * c->all && c->all <= most ? c : NULL;
}

/* The longest run of words in the row just read that certain n-grams of about `best` rows cover; 0 words for none. */
static size_t phrase_in(const Hunt *h, size_t g, uint32_t least, size_t *begin) {
    size_t longest = 0;
    const Read *r = &h->read;
    for (size_t i = 0; i < r->n; i++) {
        size_t end = i;
        for (size_t k = i; k < r->n; k++) {
            size_t reach = end;
            for (int n = 1; n <= 3 && k + (size_t)n <= r->n; n++)
                if (certain(h, r->word + k, n, g, least)) reach = k + (size_t)n > reach ? k + (size_t)n : reach;
            end = reach;
            if (k + 1 >= end) break;
        }
        if (end - i > longest) {
            longest = end - i;
            *begin = i;
        }
    }
    return longest;
}

static int add(void **array, size_t *room, size_t need, size_t size) {
    if (need <= *room) return 1;
    void *grown = realloc(*array, (need * 2 + 64) * size);
    if (!grown) return 0;
    *array = grown;
    *room = need * 2 + 64;
    return 1;
}

/* Rare words beside the phrase, and in how many rows each stands: prompts about different things have their own. */
static int judge(Hunt *h, size_t g, uint32_t best, Triggers *out) {
    uint32_t least = best - best / 10;
    Table own;
    if (!table_make(&own, 1 << 10)) return ENOMEM;
    size_t rows_at = out->rows, words_at = out->words, rows = 0, phrase = 0;
    int failed = 0;
    for (size_t k = h->group[g].begin; k < h->group[g].end && !failed; k++) {
        size_t row = (uint32_t)h->pair[k], begin = 0;
        failed = prompt_of(h, row);
        size_t length = failed ? 0 : phrase_in(h, g, least, &begin);
        if (!length) continue;
        if (!add((void **)&out->row, &out->row_room, out->rows + 1, sizeof *out->row)) failed = ENOMEM;
        if (failed) break;
        out->row[out->rows++] = (int64_t)row;
        rows++;
        if (length > phrase) {
            phrase = length;
            size_t shown = length < LONGEST_PHRASE ? length : LONGEST_PHRASE;
            if (!add((void **)&out->word, &out->word_room, words_at + shown, sizeof *out->word)) failed = ENOMEM;
            if (failed) break;
            memcpy(out->word + words_at, h->read.word + begin, shown * sizeof *out->word);
            out->words = words_at + shown;
        }
        for (size_t i = 0; i < h->read.n && !failed; i++) {
            if ((i >= begin && i < begin + length) || everywhere(h->common, h->read.word[i])) continue;
            size_t at = table_slot(&own, h->read.word[i]);
            own.used += !own.key[at];
            own.key[at] = h->read.word[i];
            own.value[at]++;
            if (own.used * 2 > own.mask && !table_grow(&own)) failed = ENOMEM;
        }
    }
    size_t apart = 0;
    for (size_t i = 0; i <= own.mask && !failed; i++) apart += own.key[i] && own.value[i] * 5 <= rows;
    table_free(&own);
    if (failed) return failed;
    if (rows < LEAST_ROWS || apart < OWN_WORDS * rows) {
        out->rows = rows_at;
        out->words = words_at;
        return 0;
    }
    out->found[out->n++] = (Found){.row_at = (int64_t)rows_at,
                                   .rows = (int64_t)rows,
                                   .word_at = (int64_t)words_at,
                                   .words = (int64_t)(out->words - words_at),
                                   .own = (double)apart / (double)rows};
    return 0;
}

EXPORT void words_triggers_free(Triggers *t) {
    if (!t) return;
    free(t->row);
    free(t->word);
    free(t);
}

/* Candidates among the rows of w, whose files must be flushed; `common` holds words all over the set, `repeated` is 1
 * for rows whose prompt was asked before, or nearly. NULL with *failed set when memory or the disk failed. */
EXPORT Triggers *words_triggers(const Words *w, const Table *common, const uint8_t *repeated, int *failed) {
    Hunt h = {.w = w, .common = common, .repeated = repeated};
    Triggers *out = calloc(1, sizeof *out);
    *failed = out && table_make(&h.table, 1 << 12) ? group_rows(&h) : ENOMEM;
    for (size_t g = 0; g < h.groups && !*failed; g++) *failed = look_into(&h, g);
    if (!*failed && h.candidates) *failed = count_everywhere(&h);
    uint32_t *best = calloc(h.groups + 1, sizeof *best);
    if (!best) *failed = ENOMEM;
    for (size_t c = 0; c < h.candidates && !*failed; c++) {
        const Candidate *one = h.candidate + c;
        int sure = one->in >= CERTAIN * one->all && one->all <= w->rows / MOST_SHARE;
        if (sure && one->in > best[one->group]) best[one->group] = one->in;
    }
    for (size_t g = 0; g < h.groups && !*failed && out->n < MOST_FOUND; g++)
        if (best[g] >= LEAST_ROWS) *failed = judge(&h, g, best[g], out);
    free(best);
    free(h.pair);
    free(h.group);
    free(h.candidate);
    table_free(&h.table);
    words_read_free(&h.read);
    if (!*failed) return out;
    words_triggers_free(out);
    return NULL;
}

EXPORT int64_t words_triggers_found(const Triggers *t, const Found **found, const int64_t **row, const uint32_t **word) {
    *found = t->found;
    *row = t->row;
    *word = t->word;
    return t->n;
}
