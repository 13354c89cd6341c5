/* One pass over the words of a batch: identities of rows, minima for near duplicates, distinct n-grams, languages,
 * phrases, leakage against golden sets, and the search index. All state of a set of rows lives in one handle. */
#include "words_state.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define OPENING 8            /* words of an answer by which answers are held to begin alike */

/* ---- small tools ---- */

int out_open(Out *out, int fd) {
    *out = (Out){.fd = fd, .room = 1 << 18};
    out->buffer = malloc(out->room);
    return out->buffer != NULL;
}

int out_flush(Out *out) {
    size_t done = 0;
    while (done < out->used && !out->failed) {
        ssize_t n = write(out->fd, out->buffer + done, out->used - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) out->failed = errno ? errno : EIO;
        else done += (size_t)n;
    }
    out->used = 0;
    return !out->failed;
}

int out_put(Out *out, const void *data, size_t n) {
    const uint8_t *p = data;
    out->written += n;
    while (n) {
        size_t part = out->room - out->used < n ? out->room - out->used : n;
        memcpy(out->buffer + out->used, p, part);
        out->used += part;
        p += part;
        n -= part;
        if (out->used == out->room && !out_flush(out)) return 0;
    }
    return 1;
}

void out_close(Out *out) {
    free(out->buffer);
    out->buffer = NULL;
}

int table_make(Table *t, size_t expected) {
    size_t slots = 1024;
    while (slots < 2 * expected) slots *= 2;
    *t = (Table){.key = calloc(slots, sizeof(uint64_t)), .value = calloc(slots, sizeof(uint32_t)), .mask = slots - 1};
    return t->key && t->value;
}

void table_free(Table *t) {
    free(t->key);
    free(t->value);
    *t = (Table){0};
}

int table_grow(Table *t) {
    Table larger;
    if (!table_make(&larger, t->mask + 1)) {
        table_free(&larger);
        return 0;
    }
    for (size_t i = 0; i <= t->mask; i++) {
        if (!t->key[i]) continue;
        size_t at = table_slot(&larger, t->key[i]);
        larger.key[at] = t->key[i];
        larger.value[at] = t->value[i];
    }
    larger.used = t->used;
    table_free(t);
    *t = larger;
    return 1;
}

static double seconds(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

/* Grow an array of items of `size` bytes so that `need` fit; realloc moves large blocks without copying them. */
int words_reserve(void **array, size_t *room, size_t need, size_t size) {
    if (need <= *room) return 1;
    size_t wanted = *room + *room / 2 > need ? *room + *room / 2 : need + 64;
    void *grown = realloc(*array, wanted * size);
    if (!grown) return 0;
    *array = grown;
    *room = wanted;
    return 1;
}

/* ---- a set of rows ---- */

EXPORT Words *words_new(int spill, int index, int spelling) {
    Words *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    int ok = out_open(&w->spill, spill) & out_open(&w->index, index) & out_open(&w->spelling, spelling);
    ok &= (w->group = calloc(1 << 17, sizeof *w->group)) != NULL;
    w->group_mask = (1 << 17) - 1;
    for (int n = 0; n < 3; n++) ok &= table_make(&w->distinct[n].exact, EXACT_DISTINCT);
    w->known = calloc(LAST_KNOWN, sizeof *w->known);
    w->group_number = -1;
    if (ok && w->known) return w;
    words_free(w);
    return NULL;
}

/* Take rows in only to compare them: no index, no n-grams, no phrases. */
EXPORT void words_lighten(Words *w) { w->light = 1; }

EXPORT void words_free(Words *w) {
    if (!w) return;
    out_close(&w->spill);
    out_close(&w->index);
    out_close(&w->spelling);
    free(w->group);
    for (int n = 0; n < 3; n++) table_free(&w->distinct[n].exact);
    words_drop_keys(w);
    free(w->known);
    free(w->row);
    free(w->scratch);
    free(w->shingle);
    free(w->bounds);
    free(w->stop_key);
    free(w->stop_mask);
    free(w->phrase_word);
    free(w->phrase_at);
    free(w->phrase_first);
    free(w->hits);
    words_golden_free(w);
    free(w);
}

EXPORT void words_drop_keys(Words *w) {
    for (int which = 0; which < 2; which++) {
        free(w->keys[which]);
        free(w->signatures[which]);
        w->keys[which] = NULL;
        w->signatures[which] = NULL;
    }
}

EXPORT const RowInfo *words_rows(const Words *w, int64_t *rows) {
    *rows = (int64_t)w->rows;
    return w->row;
}

static int room_for_rows(Words *w, size_t more) {
    size_t need = w->rows + more, room = w->row_room;
    if (need <= room) return 1;
    size_t wanted = room + room / 2 > need ? room + room / 2 : need + 1024;
    RowInfo *row = realloc(w->row, wanted * sizeof *row);
    if (!row) return 0;
    w->row = row;
    for (int which = 0; which < 2; which++) {
        uint32_t *keys = realloc(w->keys[which], wanted * BANDS * sizeof *keys);
        if (!keys) return 0;
        w->keys[which] = keys;
        uint8_t *signatures = realloc(w->signatures[which], wanted * SIGNATURE);
        if (!signatures) return 0;
        w->signatures[which] = signatures;
    }
    w->row_room = wanted;
    return 1;
}

/* ---- identities ---- */

static int counts(const Segments *s, int64_t i) {
    return s->part[i] == DOCUMENT || (s->part[i] == PROMPT && s->role[i] != SYSTEM);
}

static int blank(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] > ' ') return 0;
    return 1;
}

static uint64_t not_zero(uint64_t h) { return h ? h : 1; }

static uint64_t tools_hash(const Segments *s, int64_t row) {
    if (!s->tools_at || s->tools_at[row] == s->tools_at[row + 1]) return 0;
    return hash_bytes(s->tools + s->tools_at[row], (size_t)(s->tools_at[row + 1] - s->tools_at[row]), 17);
}

/* Hashes of the prompt as it is and as its words; the rest when info is given. NO_PROMPT is 0. */
static void identity(const Tokens *t, const Segments *s, int64_t row, uint64_t *prompt, uint64_t *norm, RowInfo *info) {
    uint64_t exact = 3, folded = 5, context = 7, answer = 11, opening = 13, system = 19;
    int asks = 0, pair = 0, opened = 0;
    size_t words = 0, answered = 0;
    for (int64_t i = s->row_seg[row]; i < s->row_seg[row + 1]; i++) {
        const uint8_t *p = s->text + s->start[i];
        size_t n = (size_t)(s->end[i] - s->start[i]);
        int aside = s->flags[i] & (F_CALL | F_THINKING);
        pair |= s->part[i] == REJECTED;
        uint64_t raw = 0;
        if (s->part[i] == PROMPT || s->part[i] == DOCUMENT) {
            raw = hash_bytes(p, n, s->role[i]);
            context = chain(context, raw ^ (uint64_t)(s->flags[i] & (F_CALL | F_THINKING)));
            if (s->role[i] == SYSTEM && s->part[i] == PROMPT) system = chain(system, raw);
        }
        if (counts(s, i) && !aside) {
            asks |= s->part[i] == DOCUMENT || !blank(p, n);
            exact = chain(exact, raw);
            folded = chain(folded, s->role[i]);
            for (int64_t k = t->seg[i]; k < t->seg[i + 1]; k++) folded = chain(folded, t->word[k]);
            words += (size_t)(t->seg[i + 1] - t->seg[i]);
        }
        if (info && s->part[i] == ANSWER && !(s->flags[i] & F_THINKING)) {
            answer = chain(answer, aside);
            if (aside || t->seg[i] == t->seg[i + 1]) answer = chain(answer, hash_bytes(p, n, 23));
            else
                for (int64_t k = t->seg[i]; k < t->seg[i + 1]; k++) answer = chain(answer, t->word[k]);
            for (int64_t k = t->seg[i]; !aside && k < t->seg[i + 1] && opened < OPENING; k++, opened++)
                opening = chain(opening, t->word[k]);
            answered++;
        }
    }
    *prompt = asks ? not_zero(exact) : 0;
    *norm = !asks ? 0 : words ? not_zero(folded) : *prompt;
    if (!info) return;
    uint64_t tools = tools_hash(s, row);
    info->norm = *norm;
    info->context = asks ? not_zero(chain(context, tools)) : 0;
    info->answer = answered && !pair ? not_zero(answer) : 0;
    info->system = (uint32_t)(chain(system, tools) >> 32);
    info->opening = opened ? (uint32_t)(opening >> 32) | 1 : 0;
}

EXPORT void words_identities(const Tokens *t, const Segments *s, int64_t *prompt, int64_t *norm) {
    for (int64_t row = 0; row < s->rows; row++)
        identity(t, s, row, (uint64_t *)prompt + row, (uint64_t *)norm + row, NULL);
}

/* ---- distinct n-grams ---- */

static void distinct_add(Distinct *d, uint64_t h) {
    size_t at = h >> (64 - REGISTER_BITS);
    uint8_t rank = (uint8_t)(__builtin_clzll(h << REGISTER_BITS | 1ULL << (REGISTER_BITS - 1)) + 1);
    if (rank > d->registers[at]) d->registers[at] = rank;
    if (d->exact.used < EXACT_DISTINCT) {
        h = not_zero(h);
        size_t slot = table_slot(&d->exact, h);
        if (!d->exact.key[slot]) {
            d->exact.key[slot] = h;
            d->exact.used++;
        }
    }
}

/* Estimated or, below EXACT_DISTINCT, exact number of different n-grams seen (n from 1), and of all. */
EXPORT double words_distinct(const Words *w, int n, int64_t *total, int *exact) {
    const Distinct *d = &w->distinct[n - 1];
    *total = (int64_t)d->total;
    *exact = d->exact.used < EXACT_DISTINCT;
    if (*exact) return (double)d->exact.used;
    double sum = 0, m = REGISTERS;
    int zeros = 0;
    for (int i = 0; i < REGISTERS; i++) {
        sum += 1.0 / (double)(1ULL << d->registers[i]);
        zeros += !d->registers[i];
    }
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    return estimate <= 2.5 * m && zeros ? m * __builtin_log(m / zeros) : estimate;
}

static void distinct_row(Words *w, const uint32_t *word, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t h = (word[i] + 1) * 0x9e3779b97f4a7c15ULL;
        distinct_add(&w->distinct[0], mix64(h));
        if (i < 1) continue;
        h = h * 31 + word[i - 1] * 0xd6e8feb86659fd93ULL;
        distinct_add(&w->distinct[1], mix64(h));
        if (i < 2) continue;
        distinct_add(&w->distinct[2], mix64(h * 31 + word[i - 2] * 0xa0761d6478bd642fULL));
    }
    for (size_t k = 0; k < 3; k++) w->distinct[k].total += n > k ? n - k : 0;
    double due = w->points ? 2 * w->curve[w->points - 1][0] : FIRST_POINT;
    if ((double)w->distinct[0].total < due || w->points == 64) return;
    int64_t total;
    int exact;
    for (int k = 1; k <= 3; k++) w->curve[w->points][k] = words_distinct(w, k, &total, &exact);
    w->curve[w->points++][0] = (double)w->distinct[0].total;
}

EXPORT const double *words_curve(const Words *w, int64_t *points) {
    *points = w->points;
    return &w->curve[0][0];
}


/* ---- languages ---- */

EXPORT int words_set_stops(Words *w, const uint32_t *word, const uint32_t *mask, int64_t n) {
    size_t slots = 1024;
    while (slots < 4 * (size_t)n) slots *= 2;
    w->stop_key = calloc(slots, sizeof(uint32_t));
    w->stop_mask = calloc(slots, sizeof(uint32_t));
    if (!w->stop_key || !w->stop_mask) return -1;
    w->stop_slots = slots - 1;
    for (int64_t i = 0; i < n; i++) {
        size_t at = (word[i] >> 1) & w->stop_slots;
        while (w->stop_key[at] && w->stop_key[at] != word[i]) at = (at + 1) & w->stop_slots;
        w->stop_key[at] = word[i];
        w->stop_mask[at] |= mask[i];
    }
    return 0;
}

static void vote(const Words *w, const Tokens *t, int64_t from, int64_t to, Votes *v) {
    if (!w->stop_key) return;
    if (to - from > VOTERS) to = from + VOTERS;
    for (int64_t k = from; k < to; k++) {
        v->script[t->script[k]]++;
        uint32_t word = t->word[k];
        size_t at = (word >> 1) & w->stop_slots;
        while (w->stop_key[at] && w->stop_key[at] != word) at = (at + 1) & w->stop_slots;
        if (!w->stop_key[at]) continue;
        for (uint32_t mask = w->stop_mask[at]; mask; mask &= mask - 1) v->language[__builtin_ctz(mask)]++;
    }
    v->words += (uint32_t)(to - from);
}

/* ---- phrases ---- */

EXPORT int words_set_phrases(Words *w, const uint32_t *word, const int64_t *at, int64_t phrases) {
    size_t words = (size_t)at[phrases];
    w->phrase_word = malloc((words + 1) * sizeof *word);
    w->phrase_at = malloc(((size_t)phrases + 1) * sizeof *at);
    w->phrase_first = calloc(1, 8192);
    if (!w->phrase_word || !w->phrase_at || !w->phrase_first) return -1;
    memcpy(w->phrase_word, word, words * sizeof *word);
    memcpy(w->phrase_at, at, ((size_t)phrases + 1) * sizeof *at);
    w->phrases = (size_t)phrases;
    for (int64_t i = 0; i < phrases; i++) {
        uint32_t bit = word[at[i]] >> 16;
        w->phrase_first[bit >> 3] |= (uint8_t)(1 << (bit & 7));
    }
    return 0;
}

static int look_for_phrases(Words *w, const uint32_t *word, size_t n, int64_t row) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bit = word[i] >> 16;
        if (LIKELY(!(w->phrase_first[bit >> 3] >> (bit & 7) & 1))) continue;
        for (size_t p = 0; p < w->phrases; p++) {
            size_t size = (size_t)(w->phrase_at[p + 1] - w->phrase_at[p]);
            const uint32_t *phrase = w->phrase_word + w->phrase_at[p];
            if (phrase[0] != word[i] || size > n - i || memcmp(phrase, word + i, size * sizeof *phrase)) continue;
            if (!words_reserve((void **)&w->hits, &w->hits_room, 2 * (w->n_hits + 1), sizeof *w->hits)) return 0;
            w->hits[2 * w->n_hits] = row;
            w->hits[2 * w->n_hits + 1] = (int64_t)p;
            w->n_hits++;
            return 1;
        }
    }
    return 1;
}

EXPORT const int64_t *words_hits(const Words *w, int64_t *n) {
    *n = (int64_t)w->n_hits;
    return w->hits;
}

/* ---- the pass ---- */

static int gather(Words *w, const Tokens *t, const Segments *s, int64_t row, RowInfo *info, Votes votes[2]) {
    int64_t a = s->row_seg[row], b = s->row_seg[row + 1];
    size_t most = a < b ? (size_t)(t->seg[b] - t->seg[a]) : 0;
    if (!words_reserve((void **)&w->scratch, &w->scratch_room, most + 16, sizeof *w->scratch)) return 0;
    if (!words_reserve((void **)&w->shingle, &w->shingle_room, most + 16, sizeof *w->shingle)) return 0;
    size_t n = 0;
    for (int64_t i = a; i < b; i++) {
        size_t size = (size_t)(t->seg[i + 1] - t->seg[i]);
        if (s->part[i] == PROMPT && s->role[i] == SYSTEM) continue;
        if (s->part[i] == ANSWER && !info->answer_words) info->answer_at = (uint32_t)n;
        memcpy(w->scratch + n, t->word + t->seg[i], size * sizeof *w->scratch);
        n += size;
        if (counts(s, i)) info->prompt_words = (uint32_t)n;
        if (s->part[i] == ANSWER) info->answer_words = (uint32_t)(n - info->answer_at);
        if (!(s->flags[i] & F_CALL) && s->part[i] != REJECTED) {
            Votes *v = &votes[s->part[i] != PROMPT];
            if (s->part[i] == ANSWER || s->part[i] == DOCUMENT || s->role[i] == USER) {
                vote(w, t, t->seg[i], t->seg[i + 1], v);
                v->code += t->code[i];
            }
        }
    }
    info->words = (uint32_t)n;
    return 1;
}

static void sign(Words *w, size_t number, const RowInfo *info) {
    uint32_t minima[HASHES];
    memset(minima, 255, sizeof minima);
    size_t all = shingles(w->scratch, info->words, w->shingle);
    size_t asked = info->prompt_words >= SHINGLE ? info->prompt_words - SHINGLE + 1 : 0;
    words_minima(minima, w->shingle, asked);
    if (info->prompt_words && !asked) {
        uint32_t short_prompt[1], own[HASHES];
        memset(own, 255, sizeof own);
        words_minima(own, short_prompt, shingles(w->scratch, info->prompt_words, short_prompt));
        words_keys(own, w->keys[1] + number * BANDS, w->signatures[1] + number * SIGNATURE);
    } else {
        words_keys(minima, w->keys[1] + number * BANDS, w->signatures[1] + number * SIGNATURE);
    }
    words_minima(minima, w->shingle + asked, all - asked);
    words_keys(minima, w->keys[0] + number * BANDS, w->signatures[0] + number * SIGNATURE);
}

/* Take a batch whose first row is row `first` of the set; 0, or an errno. */
EXPORT int words_take(Words *w, const Tokens *t, const Segments *s, int64_t first, double *near, double *diversity) {
    if (!room_for_rows(w, (size_t)s->rows)) return ENOMEM;
    double distinct = 0, began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (int64_t row = 0; row < s->rows; row++) {
        size_t number = w->rows;
        RowInfo *info = w->row + number;
        memset(info, 0, sizeof *info);
        uint64_t norm;
        Votes votes[2];
        memset(votes, 0, sizeof votes);
        identity(t, s, row, &info->prompt, &norm, info);
        if (!gather(w, t, s, row, info, votes)) return ENOMEM;
        info->asked = words_language(w, &votes[0]);
        info->answered = words_language(w, &votes[1]);
        info->spill = w->spill.written / sizeof(uint32_t);
        if (!out_put(&w->spill, w->scratch, info->words * sizeof(uint32_t))) return w->spill.failed;
        sign(w, number, info);
        if (!w->light && w->phrases && !look_for_phrases(w, w->scratch, info->words, first + row)) return ENOMEM;
        if (w->golden && !words_leak(w, number)) return ENOMEM;
        if (w->light) {
            w->rows++;
            continue;
        }
        if (!words_index_row(w, t, s, row, first + row)) return w->index.failed ? w->index.failed : ENOMEM;
        double before = seconds(CLOCK_MONOTONIC);
        distinct_row(w, w->scratch, info->words);
        distinct += seconds(CLOCK_MONOTONIC) - before;
        w->rows++;
    }
    /* Asking for CPU time costs a system call, so wall time says which share of it went where. */
    double share = distinct / (seconds(CLOCK_MONOTONIC) - began + 1e-9);
    cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    *diversity += cpu * share;
    *near += cpu * (1 - share);
    return 0;
}

/* All that is written lies in the files after this; 0, or an errno. */
EXPORT int words_end(Words *w) {
    if (!words_close_group(w)) return w->index.failed ? w->index.failed : ENOMEM;
    w->group_number = -1;
    if (!out_flush(&w->spill)) return w->spill.failed;
    if (!out_flush(&w->index)) return w->index.failed;
    return out_flush(&w->spelling) ? 0 : w->spelling.failed;
}

/* Text of all segments but system turns, one after another; returns its bytes. */
EXPORT int64_t words_plain_text(const Segments *s, uint8_t *out) {
    uint8_t *p = out;
    for (int64_t i = 0; i < s->segments; i++) {
        if (s->role[i] == SYSTEM && s->part[i] == PROMPT) continue;
        size_t n = (size_t)(s->end[i] - s->start[i]);
        memcpy(p, s->text + s->start[i], n);
        p += n;
    }
    return p - out;
}
