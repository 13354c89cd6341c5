/* Leakage: rows that hold a question of a golden set, whole, in other form, in a run of 13 words, or nearly. */
#include "words_state.h"

#include <errno.h>

#define SETS 32
#define MOST_RUN_WORDS (16u << 20) /* words of golden rows whose runs are kept */
#define BASE 0x9e3779b97f4a7c15ULL

enum { EXACT, NORMALISED, NEAR, NGRAM, KINDS };

typedef struct {
    int64_t *row; /* row << 2 | kind */
    size_t n, room;
} Leaks;

/* Golden sets were taken in as rows of a Words of their own; this only looks things up in it. */
struct Golden {
    Golden *next; /* further sets, when there are more than fit into one */
    Words *of;
    uint8_t *set;                       /* of each golden row */
    Table exact, normalised, runs;      /* value: bits of the sets */
    Table bands[2];                     /* value: 1 + first entry of a list */
    uint32_t *after[2];                 /* 1 + next golden row with the same key, BANDS of each row */
    uint8_t *filter;                    /* bits: may be a run */
    uint64_t filter_mask;
    Table common[SETS];                 /* shingles that stand all over a golden set */
    Leaks leaks[SETS];
    Sets sets;
    Read read;
    uint32_t *shingle;
    size_t shingle_room;
    int cut;
};

static int put(Table *t, uint64_t key, uint32_t bits) {
    size_t at = table_slot(t, key);
    t->used += !t->key[at];
    t->key[at] = key;
    t->value[at] |= bits;
    return t->used * 2 <= t->mask || table_grow(t);
}

static uint32_t get(const Table *t, uint64_t key) {
    size_t at = table_slot(t, key);
    return t->key[at] ? t->value[at] : 0;
}

static uint64_t power(void) {
    uint64_t p = 1;
    for (int i = 0; i < RUN; i++) p *= BASE;
    return p;
}

static inline uint64_t run_key(uint64_t h) {
    h = mix64(h);
    return h ? h : 1;
}

static int is_common(const Golden *g, uint32_t set, uint32_t shingle) {
    return get(&g->common[set], shingle | 1ULL << 32) != 0;
}

/* Runs of one set. Those in more than a twentieth of its rows, and in at least three, are the task's own wording; so
 * are those made mostly of shingles that stand all over the set. */
static int runs_of_set(Golden *g, uint32_t set, const int64_t *rows, size_t n) {
    Table count, stamp; /* rows that hold a run, and the last of them */
    int ok = table_make(&count, 1 << 12) & table_make(&stamp, 1 << 12);
    uint64_t top = power();
    size_t words = 0;
    for (size_t i = 0; i < n && ok; i++) {
        const RowInfo *info = g->of->row + rows[i];
        words += info->words;
        if (words > MOST_RUN_WORDS) {
            g->cut = 1;
            break;
        }
        ok = !words_read(g->of, &g->read, rows[i], 0, info->words);
        uint64_t h = 0;
        int theirs = 0; /* shingles of the run that stand all over the set */
        for (size_t k = 0; k < g->read.n && ok; k++) {
            h = h * BASE + g->read.word[k];
            if (k >= RUN) h -= g->read.word[k - RUN] * top;
            if (k + 1 >= SHINGLE) theirs += is_common(g, set, g->read.shingle[k + 1 - SHINGLE]);
            if (k >= RUN) theirs -= is_common(g, set, g->read.shingle[k - RUN]);
            if (k + 1 < RUN || theirs > (RUN - SHINGLE + 1) / 2) continue;
            uint64_t key = run_key(h);
            if (get(&stamp, key) == i + 1) continue;
            size_t at = table_slot(&stamp, key);
            stamp.used += !stamp.key[at];
            stamp.key[at] = key;
            stamp.value[at] = (uint32_t)i + 1;
            at = table_slot(&count, key);
            count.used += !count.key[at];
            count.key[at] = key;
            count.value[at]++;
            if (stamp.used * 2 > stamp.mask) ok = table_grow(&stamp) && table_grow(&count);
        }
    }
    uint32_t most = n / 20 < 2 ? 2 : (uint32_t)(n / 20);
    for (size_t i = 0; i <= count.mask && ok; i++)
        if (count.key && count.key[i] && count.value[i] <= most) ok = put(&g->runs, count.key[i], 1u << set);
    table_free(&count);
    table_free(&stamp);
    return ok;
}

static int common_of_set(Golden *g, uint32_t set, const int64_t *rows, size_t n) {
    Table count, stamp;
    int ok = table_make(&count, 1 << 12) & table_make(&stamp, 1 << 12) & table_make(&g->common[set], 64);
    size_t looked = n < 5000 ? n : 5000;
    for (size_t i = 0; i < looked && ok; i++) {
        ok = !words_read(g->of, &g->read, rows[i], 0, g->of->row[rows[i]].prompt_words);
        for (size_t k = 0; k < g->read.shingles && ok; k++) {
            uint64_t key = g->read.shingle[k] | 1ULL << 32;
            size_t at = table_slot(&stamp, key);
            if (stamp.key[at] && stamp.value[at] == i + 1) continue;
            stamp.used += !stamp.key[at];
            stamp.key[at] = key;
            stamp.value[at] = (uint32_t)i + 1;
            at = table_slot(&count, key);
            count.used += !count.key[at];
            count.key[at] = key;
            count.value[at]++;
            if (stamp.used * 2 > stamp.mask) ok = table_grow(&stamp) && table_grow(&count);
        }
    }
    uint32_t least = looked / 20 < 5 ? 5 : (uint32_t)(looked / 20);
    for (size_t i = 0; i <= count.mask && ok; i++)
        if (count.key && count.key[i] && count.value[i] >= least) ok = put(&g->common[set], count.key[i], 1);
    table_free(&count);
    table_free(&stamp);
    return ok;
}

static int filter_runs(Golden *g) {
    uint64_t bits = 1 << 16;
    while (bits < 24 * g->runs.used && bits < 1ULL << 28) bits *= 2;
    g->filter = calloc(bits / 8, 1);
    if (!g->filter) return 0;
    g->filter_mask = bits - 1;
    for (size_t i = 0; i <= g->runs.mask; i++) {
        if (!g->runs.key[i]) continue;
        uint64_t one = g->runs.key[i] >> 20 & g->filter_mask, two = g->runs.key[i] >> 36 & g->filter_mask;
        g->filter[one >> 3] |= (uint8_t)(1 << (one & 7));
        g->filter[two >> 3] |= (uint8_t)(1 << (two & 7));
    }
    return 1;
}

static int list_bands(Golden *g, int which) {
    size_t n = g->of->rows;
    g->after[which] = calloc(n * BANDS + 1, sizeof **g->after);
    if (!g->after[which] || !table_make(&g->bands[which], n * BANDS)) return 0;
    for (size_t row = 0; row < n; row++) {
        const RowInfo *info = g->of->row + row;
        if (!(which ? info->prompt_words : info->words)) continue;
        for (size_t b = 0; b < BANDS; b++) {
            uint64_t key = (uint64_t)(b + 1) << 32 | g->of->keys[which][row * BANDS + b];
            size_t at = table_slot(&g->bands[which], key);
            g->after[which][row * BANDS + b] = g->bands[which].key[at] ? g->bands[which].value[at] : 0;
            g->bands[which].key[at] = key;
            g->bands[which].value[at] = (uint32_t)row + 1;
        }
    }
    return 1;
}

EXPORT void words_golden_drop(Golden *g) {
    if (!g) return;
    free(g->set);
    table_free(&g->exact);
    table_free(&g->normalised);
    table_free(&g->runs);
    for (int which = 0; which < 2; which++) {
        table_free(&g->bands[which]);
        free(g->after[which]);
    }
    for (int set = 0; set < SETS; set++) {
        table_free(&g->common[set]);
        free(g->leaks[set].row);
    }
    free(g->filter);
    free(g->shingle);
    words_sets_free(&g->sets);
    words_read_free(&g->read);
    free(g);
}

void words_golden_free(Words *w) { w->golden = NULL; }

/* Golden rows taken into `of`, row i of set number set[i] (0 to 31); `of` must outlive what is made. NULL: no memory. */
EXPORT Golden *words_golden_new(Words *of, const uint8_t *set) {
    Golden *g = calloc(1, sizeof *g);
    int64_t *rows = malloc((of->rows + 1) * sizeof *rows);
    if (!g || !rows) {
        free(g);
        free(rows);
        return NULL;
    }
    g->of = of;
    g->set = malloc(of->rows + 1);
    int ok = g->set && table_make(&g->exact, of->rows) && table_make(&g->normalised, of->rows) &&
             table_make(&g->runs, 1 << 12) && list_bands(g, 0) && list_bands(g, 1);
    if (ok) memcpy(g->set, set, of->rows);
    for (size_t row = 0; row < of->rows && ok; row++) {
        if (of->row[row].prompt) ok = put(&g->exact, of->row[row].prompt, 1u << set[row]);
        if (ok && of->row[row].norm) ok = put(&g->normalised, of->row[row].norm, 1u << set[row]);
    }
    for (uint32_t s = 0; s < SETS && ok; s++) {
        size_t n = 0; /* sets without rows keep empty tables */
        for (size_t row = 0; row < of->rows; row++)
            if (set[row] == s) rows[n++] = (int64_t)row;
        if (n) ok = common_of_set(g, s, rows, n) && runs_of_set(g, s, rows, n);
    }
    ok = ok && filter_runs(g);
    free(rows);
    if (ok) return g;
    words_golden_drop(g);
    return NULL;
}

EXPORT void words_golden_set(Words *w, Golden *g) {
    g->next = w->golden;
    w->golden = g;
}

EXPORT void words_golden_unset(Words *w, Golden *g) {
    for (Golden **at = &w->golden; *at; at = &(*at)->next)
        if (*at == g) {
            *at = g->next;
            return;
        }
}

EXPORT int words_golden_cut(const Golden *g) { return g->cut; }

EXPORT const int64_t *words_golden_leaks(const Golden *g, int set, int64_t *n) {
    *n = (int64_t)g->leaks[set].n;
    return g->leaks[set].row;
}

/* ---- one row of the version ---- */

static uint32_t shared_runs(const Golden *g, const uint32_t *word, size_t n, uint32_t wanted) {
    uint32_t found = 0;
    uint64_t h = 0, top = power();
    for (size_t k = 0; k < n; k++) {
        h = h * BASE + word[k];
        if (k >= RUN) h -= word[k - RUN] * top;
        if (k + 1 < RUN) continue;
        uint64_t key = run_key(h), one = key >> 20 & g->filter_mask, two = key >> 36 & g->filter_mask;
        if (LIKELY(!(g->filter[one >> 3] >> (one & 7) & 1))) continue;
        if (LIKELY(!(g->filter[two >> 3] >> (two & 7) & 1))) continue;
        found |= get(&g->runs, key);
        if ((found & wanted) == wanted) break;
    }
    return found;
}

/* Sets with a row near to this one; `which` 0 compares whole rows, 1 prompts. */
static uint32_t near_sets(Words *w, Golden *g, size_t number, int which, uint32_t wanted) {
    const RowInfo *info = w->row + number;
    size_t words = which ? info->prompt_words : info->words, n = 0;
    uint32_t found = 0;
    uint32_t tried[64], many = 0;
    if (!words) return 0;
    for (size_t b = 0; b < BANDS; b++) {
        uint64_t key = (uint64_t)(b + 1) << 32 | w->keys[which][number * BANDS + b];
        uint32_t at = get(&g->bands[which], key);
        for (int hop = 0; at && hop < 32; at = g->after[which][(size_t)(at - 1) * BANDS + b], hop++) {
            uint32_t row = at - 1, bit = 1u << g->set[row];
            if (!(wanted & bit) || found & bit) continue;
            uint32_t seen = 0;
            for (uint32_t i = 0; i < many; i++) seen |= tried[i] == row;
            if (seen || many == 64) continue;
            tried[many++] = row;
            if (words_alike(w->signatures[which] + number * SIGNATURE,
                            g->of->signatures[which] + (size_t)row * SIGNATURE) < LOOKS_NEAR)
                continue;
            const RowInfo *golden = g->of->row + row;
            if (words_read(g->of, &g->read, row, 0, which ? golden->prompt_words : golden->words)) return 0;
            if (!n) n = shingles(w->scratch, words, g->shingle);
            if (words_likeness(&g->sets, g->shingle, n, g->read.shingle, g->read.shingles, NULL) < 0.8) continue;
            const Table *common = &g->common[g->set[row]];
            if (common->used &&
                words_likeness(&g->sets, g->shingle, n, g->read.shingle, g->read.shingles, common) < 0.8)
                continue;
            found |= bit;
        }
    }
    return found;
}

static int note(Golden *g, uint32_t sets, size_t number, int kind) {
    for (; sets; sets &= sets - 1) {
        Leaks *l = &g->leaks[__builtin_ctz(sets)];
        if (l->n == l->room) {
            size_t room = 2 * l->room + 64;
            int64_t *row = realloc(l->row, room * sizeof *row);
            if (!row) return 0;
            l->row = row;
            l->room = room;
        }
        l->row[l->n++] = (int64_t)(number << 2) | kind;
    }
    return 1;
}

static int leak(Words *w, Golden *g, size_t number) {
    const RowInfo *info = w->row + number;
    if (info->words + 16 > g->shingle_room) {
        uint32_t *shingle = realloc(g->shingle, (2 * (size_t)info->words + 64) * sizeof *shingle);
        if (!shingle) return 0;
        g->shingle = shingle;
        g->shingle_room = 2 * (size_t)info->words + 64;
    }
    uint32_t exact = info->prompt ? get(&g->exact, info->prompt) : 0;
    uint32_t normalised = (info->norm ? get(&g->normalised, info->norm) : 0) & ~exact;
    uint32_t left = ~(exact | normalised);
    uint32_t near = near_sets(w, g, number, 1, left) & left;
    near |= near_sets(w, g, number, 0, left & ~near) & left;
    left &= ~near;
    uint32_t runs = shared_runs(g, w->scratch, info->words, left) & left;
    return note(g, exact, number, EXACT) && note(g, normalised, number, NORMALISED) && note(g, near, number, NEAR) &&
           note(g, runs, number, NGRAM);
}

/* Which golden sets the row that was just signed leaks from, each under the closest kind; 0 when memory ran out. */
int words_leak(Words *w, size_t number) {
    for (Golden *g = w->golden; g; g = g->next)
        if (!leak(w, g, number)) return 0;
    return 1;
}
