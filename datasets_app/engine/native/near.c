/* Near duplicates: MinHash bands propose, the words themselves decide.
 *
 * A row is signed with 128 minima of its word 3-grams, each under a multiply-add permutation of 32 bits. That is the
 * classic form: with vectors of 16 or 8 lanes it costs about 4 ns a shingle, and unlike one permutation with
 * densification it loses nothing on short rows. Rows that agree in one of 21 bands of 6 minima are candidates; an
 * estimate from 64 bytes drops most of the false ones, and the exact Jaccard index over the words, read back from a
 * file, settles the rest.
 *
 * Rows are judged in their order. Each is held against leaders only, that is rows that were not found near to an
 * earlier one. So every row that is dropped has a row that stays and is at least that similar, chains of small
 * differences do not swallow unlike rows, and a bucket of a thousand copies costs a thousand steps.
 */
#include "words_state.h"

#include <errno.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "sse4.1", "default")))
#else
#define CLONES
#endif

#define NONE 0xffffffffu
#define BUCKET_LEADERS 16 /* that one row is held against in one band */
#define CANDIDATES 128
#define CHECKED 8

static uint32_t factor[HASHES], offset[HASHES];

__attribute__((constructor)) static void prepare(void) {
    for (uint64_t k = 0; k < HASHES; k++) {
        factor[k] = (uint32_t)mix64(2 * k + 0x4c7574686965720aULL) | 1;
        offset[k] = (uint32_t)mix64(2 * k + 0x4c7574686965720bULL);
    }
}

CLONES void words_minima(uint32_t *minima, const uint32_t *shingle, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t x = shingle[i];
        for (int k = 0; k < HASHES; k++) {
            uint32_t v = x * factor[k] + offset[k];
            minima[k] = v < minima[k] ? v : minima[k];
        }
    }
}

void words_keys(const uint32_t *minima, uint32_t *keys, uint8_t *signature) {
    for (int b = 0; b < BANDS; b++) {
        uint64_t h = (uint64_t)b + 1;
        for (int k = 0; k < WIDTH; k += 2) {
            const uint32_t *m = minima + b * WIDTH + k;
            h = chain(h, (uint64_t)m[0] << 32 | m[1]);
        }
        keys[b] = (uint32_t)(h >> 32);
    }
    for (int k = 0; k < SIGNATURE; k++) signature[k] = (uint8_t)(minima[k] * 0x9e3779b1u >> 24);
}

int words_alike(const uint8_t *a, const uint8_t *b) {
    int equal = 0;
    for (int k = 0; k < SIGNATURE; k++) equal += a[k] == b[k];
    return equal;
}

/* ---- words read back ---- */

void words_read_free(Read *r) {
    free(r->word);
    free(r->shingle);
}

/* Words a..b of a row from the spill file. */
int words_read(const Words *w, Read *r, int64_t row, size_t from, size_t n) {
    if (n + 1 > r->room) {
        size_t room = n + n / 2 + 64;
        uint32_t *word = realloc(r->word, room * sizeof *word);
        if (word) r->word = word;
        uint32_t *shingle = realloc(r->shingle, room * sizeof *shingle);
        if (shingle) r->shingle = shingle;
        if (!word || !shingle) return ENOMEM;
        r->room = room;
    }
    size_t want = n * sizeof *r->word, done = 0;
    off_t at = (off_t)((w->row[row].spill + from) * sizeof *r->word);
    while (done < want) {
        ssize_t got = pread(w->spill.fd, (uint8_t *)r->word + done, want - done, at + (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return errno ? errno : EIO;
        done += (size_t)got;
    }
    r->n = n;
    r->shingles = shingles(r->word, n, r->shingle);
    return 0;
}

static int read_row(const Words *w, Read *r, int64_t row, int prompt) {
    return words_read(w, r, row, 0, prompt ? w->row[row].prompt_words : w->row[row].words);
}

/* ---- the exact index ---- */

void words_sets_free(Sets *s) {
    free(s->key);
    free(s->epoch);
    free(s->side);
}

static int sets_room(Sets *s, size_t n) {
    if (s->key && 2 * n <= s->mask) return 1;
    size_t slots = 1024;
    while (slots < 3 * n) slots *= 2;
    words_sets_free(s);
    *s = (Sets){malloc(slots * sizeof(uint32_t)), calloc(slots, sizeof(uint32_t)), malloc(slots), slots - 1, 0};
    return s->key && s->epoch && s->side;
}

static int in_table(const Table *t, uint32_t shingle) {
    return t && t->key && t->key[table_slot(t, (uint64_t)shingle | 1ULL << 32)] != 0;
}

/* Jaccard index of the values of a and b that are not in `without`; -1 when none are left. */
double words_likeness(Sets *s, const uint32_t *a, size_t na, const uint32_t *b, size_t nb, const Table *without) {
    if (!sets_room(s, na + nb)) return -1;
    uint32_t now = ++s->now;
    size_t both = 0, either = 0;
    for (int side = 1; side <= 2; side++) {
        const uint32_t *values = side == 1 ? a : b;
        size_t n = side == 1 ? na : nb;
        for (size_t i = 0; i < n; i++) {
            if (without && in_table(without, values[i])) continue;
            size_t at = values[i] & s->mask;
            while (s->epoch[at] == now && s->key[at] != values[i]) at = (at + 1) & s->mask;
            if (s->epoch[at] != now) {
                s->epoch[at] = now;
                s->key[at] = values[i];
                s->side[at] = (uint8_t)side;
                either++;
            } else if (s->side[at] == 1 && side == 2) {
                s->side[at] = 3;
                both++;
            }
        }
    }
    return either ? (double)both / (double)either : -1;
}

/* Jaccard index of the shingles of two sequences of words, for tests and for golden rows. */
EXPORT double words_jaccard(const uint32_t *a, int64_t na, const uint32_t *b, int64_t nb) {
    Sets s = {0};
    uint32_t *x = malloc(((size_t)na + 1) * sizeof *x), *y = malloc(((size_t)nb + 1) * sizeof *y);
    double j = -1;
    if (x && y) j = words_likeness(&s, x, shingles(a, (size_t)na, x), y, shingles(b, (size_t)nb, y), NULL);
    free(x);
    free(y);
    words_sets_free(&s);
    return j;
}

/* ---- what most rows share ---- */

/* Shingles (or with n = 1 words) that stand in at least `share` of up to `sample` rows spread over the set. */
static int common(const Words *w, int prompt, int n, size_t sample, double share, Table *out) {
    size_t step = w->rows > sample ? w->rows / sample : 1, looked = 0;
    Table seen;
    Read r = {0};
    int failed = table_make(&seen, 1 << 16) ? 0 : ENOMEM;
    for (size_t row = 0; row < w->rows && looked < 4000 && !failed; row += step) {
        looked++;
        failed = read_row(w, &r, (int64_t)row, prompt);
        size_t many = n == 1 ? r.n : r.shingles;
        for (size_t i = 0; i < many && i < 20000 && !failed; i++) {
            uint64_t key = (uint64_t)(n == 1 ? r.word[i] : r.shingle[i]) | 1ULL << 32;
            size_t at = table_slot(&seen, key);
            if (!seen.key[at]) {
                seen.key[at] = key;
                seen.used++;
            }
            /* rows in the upper half of the value, the last of them in the lower */
            if (!seen.value[at] || (seen.value[at] & 0xffff) != looked)
                seen.value[at] = ((seen.value[at] >> 16) + 1) << 16 | (uint32_t)looked;
            if (seen.used * 2 > seen.mask && !table_grow(&seen)) failed = ENOMEM;
        }
    }
    if (!failed && !table_make(out, 1 << 10)) failed = ENOMEM;
    double least = share * (double)looked < 3 ? 3 : share * (double)looked;
    for (size_t i = 0; i <= seen.mask && !failed; i++) {
        if (!seen.key[i] || (double)(seen.value[i] >> 16) < least) continue;
        size_t at = table_slot(out, seen.key[i]);
        out->key[at] = seen.key[i];
        out->value[at] = seen.value[i] >> 16;
        out->used++;
        if (out->used * 2 > out->mask && !table_grow(out)) failed = ENOMEM;
    }
    words_read_free(&r);
    table_free(&seen);
    return failed;
}

/* Shingles in at least `share` of the rows of a sample of 2,000, as a handle for words_match. */
EXPORT Table *words_common(const Words *w, int prompt, int n, double share) {
    Table *t = calloc(1, sizeof *t);
    if (t && common(w, prompt, n, 2000, share, t)) {
        table_free(t);
        free(t);
        return NULL;
    }
    return t;
}

EXPORT void words_common_free(Table *t) {
    if (t) table_free(t);
    free(t);
}

/* ---- the search for leaders ---- */

static void sort_pairs(uint64_t *pair, uint64_t *spare, size_t n) {
    for (int shift = 32; shift < 64; shift += 11) {
        uint32_t count[2048] = {0};
        for (size_t i = 0; i < n; i++) count[pair[i] >> shift & 2047]++;
        uint32_t at = 0;
        for (int d = 0; d < 2048; d++) {
            uint32_t c = count[d];
            count[d] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++) spare[count[pair[i] >> shift & 2047]++] = pair[i];
        uint64_t *t = pair;
        pair = spare;
        spare = t;
    }
}

/* Replace each key by the row before with the same key in this band; three passes end in the spare array. */
static int link_rows(Words *w, int which, const uint8_t *skip) {
    uint64_t *pair = malloc((w->rows + 1) * sizeof *pair), *spare = malloc((w->rows + 1) * sizeof *spare);
    uint32_t *keys = w->keys[which];
    for (int b = 0; b < BANDS && pair && spare; b++) {
        size_t n = 0;
        for (size_t row = 0; row < w->rows; row++) {
            size_t words = which ? w->row[row].prompt_words : w->row[row].words;
            if (words && !skip[row]) pair[n++] = (uint64_t)keys[row * BANDS + (size_t)b] << 32 | row;
            keys[row * BANDS + (size_t)b] = NONE;
        }
        sort_pairs(pair, spare, n);
        for (size_t i = 1; i < n; i++)
            if (spare[i] >> 32 == spare[i - 1] >> 32)
                keys[(size_t)(uint32_t)spare[i] * BANDS + (size_t)b] = (uint32_t)spare[i - 1];
    }
    int ok = pair && spare;
    free(pair);
    free(spare);
    return ok;
}

typedef struct {
    Words *w;
    int which;
    const Table *without;
    const int64_t *leader;
    uint32_t *seen; /* row + 1 that looked at this leader last */
    Sets sets;
    Read one, other;
    uint32_t candidate[CANDIDATES];
    int64_t capped;
} Search;

static size_t candidates(Search *s, size_t row) {
    uint32_t *before = s->w->keys[s->which];
    size_t n = 0;
    int capped = 0;
    for (size_t b = 0; b < BANDS; b++) {
        uint32_t at = before[row * BANDS + b];
        /* A row that was found near to another hands on to the leader before it. */
        if (at != NONE && s->leader[at] >= 0) at = before[row * BANDS + b] = before[(size_t)at * BANDS + b];
        for (int hop = 0; at != NONE; at = before[(size_t)at * BANDS + b], hop++) {
            if (hop == BUCKET_LEADERS || n == CANDIDATES) {
                capped = 1;
                break;
            }
            if (s->seen[at] == row + 1) continue;
            s->seen[at] = (uint32_t)row + 1;
            s->candidate[n++] = at;
        }
    }
    s->capped += capped;
    return n;
}

/* The nearest leader of a row with a Jaccard index of at least `least`, or -1. */
static int nearest(Search *s, size_t row, double least, int64_t *leader, float *index) {
    Words *w = s->w;
    size_t n = candidates(s, row), kept = 0;
    uint32_t best[CHECKED];
    int score[CHECKED];
    const uint8_t *signature = w->signatures[s->which];
    for (size_t i = 0; i < n; i++) {
        int equal = words_alike(signature + row * SIGNATURE, signature + (size_t)s->candidate[i] * SIGNATURE);
        if (equal < LOOKS_NEAR) continue;
        size_t at = kept < CHECKED ? kept++ : CHECKED;
        while (at > 0 && score[at - 1] < equal) {
            if (at < CHECKED) {
                score[at] = score[at - 1];
                best[at] = best[at - 1];
            }
            at--;
        }
        if (at < CHECKED) {
            score[at] = equal;
            best[at] = s->candidate[i];
        }
    }
    for (size_t i = 0; i < kept; i++) {
        int failed = i ? 0 : read_row(w, &s->one, (int64_t)row, s->which);
        if (!failed) failed = read_row(w, &s->other, best[i], s->which);
        if (failed) return failed;
        const Read *a = &s->one, *b = &s->other;
        double j = words_likeness(&s->sets, a->shingle, a->shingles, b->shingle, b->shingles, NULL);
        if (j < least || j <= *index) continue;
        if (s->without && s->without->used) {
            double rest = words_likeness(&s->sets, a->shingle, a->shingles, b->shingle, b->shingles, s->without);
            if (rest < least) continue;
        }
        *index = (float)j;
        *leader = best[i];
    }
    return 0;
}

/* For every row that is not skipped: its leader, or -1, and their Jaccard index. `which` 0 compares whole rows, 1
 * prompts; shingles in `without` must agree on top of that, not carry the likeness. Uses up the keys. 0, or an errno. */
EXPORT int words_match(Words *w, int which, const uint8_t *skip, const Table *without, double least, int64_t *leader,
                       float *index, int64_t *capped) {
    for (size_t i = 0; i < w->rows; i++) {
        leader[i] = -1;
        index[i] = 0;
    }
    *capped = 0;
    if (!w->rows) return 0;
    Search s = {.w = w, .which = which, .without = without, .leader = leader};
    s.seen = calloc(w->rows, sizeof *s.seen);
    int failed = s.seen && link_rows(w, which, skip) ? 0 : ENOMEM;
    for (size_t row = 0; row < w->rows && !failed; row++)
        if (!skip[row]) failed = nearest(&s, row, least, leader + row, index + row);
    *capped = s.capped;
    free(s.seen);
    words_sets_free(&s.sets);
    words_read_free(&s.one);
    words_read_free(&s.other);
    return failed;
}

/* ---- answers that do not agree ---- */

static uint64_t digits_of(const Read *r) {
    uint64_t sum = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->word[i] & 1) sum += mix64(r->word[i]);
    return sum;
}

/* Short answers disagree when their words differ, longer ones when they share less than half of their 3-grams
 * or, under one and the same prompt, name other numbers. */
static int disagree(Words *w, Sets *sets, Read *a, Read *b, int64_t i, int64_t j, int *failed) {
    const RowInfo *x = w->row + i, *y = w->row + j;
    if (!x->answer || !y->answer || x->answer == y->answer) return 0;
    *failed = words_read(w, a, i, x->answer_at, x->answer_words);
    if (!*failed) *failed = words_read(w, b, j, y->answer_at, y->answer_words);
    if (*failed) return 0;
    if (a->n <= 6 || b->n <= 6) return 1;
    if (x->context == y->context && digits_of(a) != digits_of(b)) return 1;
    return words_likeness(sets, a->shingle, a->shingles, b->shingle, b->shingles, NULL) < 0.5;
}

/* conflict[k] becomes 1 where rows one[k] and other[k] ask the same under the same system turn, with the same numbers,
 * and the answers disagree. 0, or an errno. */
EXPORT int words_conflicts(Words *w, const int64_t *one, const int64_t *other, int64_t n, uint8_t *conflict) {
    Read a = {0}, b = {0};
    Sets sets = {0};
    int failed = 0;
    for (int64_t k = 0; k < n && !failed; k++) {
        int64_t i = one[k], j = other[k];
        conflict[k] = 0;
        if (w->row[i].system != w->row[j].system) continue;
        if (w->row[i].context != w->row[j].context) {
            failed = read_row(w, &a, i, 1);
            if (!failed) failed = read_row(w, &b, j, 1);
            if (failed || digits_of(&a) != digits_of(&b)) continue;
        }
        conflict[k] = (uint8_t)disagree(w, &sets, &a, &b, i, j, &failed);
    }
    words_read_free(&a);
    words_read_free(&b);
    words_sets_free(&sets);
    return failed;
}
