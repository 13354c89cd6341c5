/* The search index: from words of groups, as they were written, to groups of words. */
#include "words_state.h"

#include <errno.h>
#include <unistd.h>

#define PARTS 32
#define PREFIX_SEED 0x5bd1e995u

static void pass(const uint32_t *from, uint32_t *to, size_t n, int shift) {
    uint32_t count[2048] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) count[from[i] >> shift & 2047]++;
    for (int d = 0; d < 2048; d++) {
        uint32_t c = count[d];
        count[d] = at;
        at += c;
    }
    for (size_t i = 0; i < n; i++) to[count[from[i] >> shift & 2047]++] = from[i];
}

/* Ascending; `spare` has room for n as well. */
void words_sort(uint32_t *values, uint32_t *spare, size_t n) {
    pass(values, spare, n, 0);
    pass(spare, values, n, 11);
    pass(values, spare, n, 22);
    memcpy(values, spare, n * sizeof *values);
}

/* ---- words as they come ---- */

static inline size_t group_slot(const uint32_t *set, size_t mask, uint32_t word) {
    size_t at = (word >> 1) & mask;
    while (set[at] && set[at] != word) at = (at + 1) & mask;
    return at;
}

static int group_grow(Words *w) {
    size_t mask = 2 * w->group_mask + 1;
    uint32_t *larger = calloc(mask + 1, sizeof *larger);
    if (!larger) return 0;
    for (size_t i = 0; i <= w->group_mask; i++)
        if (w->group[i]) larger[group_slot(larger, mask, w->group[i])] = w->group[i];
    free(w->group);
    w->group = larger;
    w->group_mask = mask;
    return 1;
}

/* Write the words of the group that ends here, ascending. */
int words_close_group(Words *w) {
    if (w->group_number < 0) return 1;
    size_t need = w->groups + 1;
    if (!words_reserve((void **)&w->bounds, &w->bounds_room, need * 2, sizeof *w->bounds)) return 0;
    size_t n = 0;
    uint32_t *sorted = malloc(2 * (w->group_used + 1) * sizeof *sorted);
    if (!sorted) return 0;
    for (size_t i = 0; i <= w->group_mask; i++)
        if (w->group[i]) sorted[n++] = w->group[i];
    words_sort(sorted, sorted + n, n);
    w->bounds[2 * w->groups] = w->index.written / sizeof *sorted;
    w->bounds[2 * w->groups + 1] = n;
    w->groups++;
    int ok = out_put(&w->index, sorted, n * sizeof *sorted);
    free(sorted);
    memset(w->group, 0, (w->group_mask + 1) * sizeof *w->group);
    w->group_used = 0;
    return ok;
}

/* A word of the open group: its first appearance in the group brings its beginning along, and its spelling. */
static int index_word(Words *w, uint32_t word, const uint8_t *text, size_t left) {
    size_t at = group_slot(w->group, w->group_mask, word);
    if (LIKELY(w->group[at] != 0)) return 1;
    w->group[at] = word;
    w->group_used++;
    uint32_t *known = w->known + (word >> 1) % LAST_KNOWN;
    __builtin_prefetch(known);
    uint8_t folded[LONGEST_WORD + 96]; /* what lies behind the letters is masked away */
    size_t seen, n = words_fold(text, left, PREFIX, folded, &seen);
    uint32_t beginning = words_beginning(words_hash_folded(folded, n));
    at = group_slot(w->group, w->group_mask, beginning);
    if (!w->group[at]) {
        w->group[at] = beginning;
        w->group_used++;
    }
    if (*known != word) {
        *known = word;
        n = words_fold(text, left < 256 ? left : 256, 0, folded, &seen);
        uint8_t head[5];
        memcpy(head, &word, 4);
        head[4] = (uint8_t)(n > 60 ? 60 : n);
        if (!out_put(&w->spelling, head, 5) || !out_put(&w->spelling, folded, head[4])) return 0;
    }
    return w->group_used * 2 <= w->group_mask || group_grow(w);
}

int words_index_row(Words *w, const Tokens *t, const Segments *s, int64_t row, int64_t number) {
    int64_t group = number / GROUP_ROWS;
    if (group != w->group_number) {
        if (!words_close_group(w)) return 0;
        w->group_number = group;
    }
    for (int64_t i = s->row_seg[row]; i < s->row_seg[row + 1]; i++)
        for (int64_t k = t->seg[i]; k < t->seg[i + 1]; k++) {
            size_t left = (size_t)s->end[i] - t->start[k];
            if (!index_word(w, t->word[k], s->text + t->start[k], left)) return 0;
        }
    return 1;
}

uint32_t words_beginning(uint32_t word) { return word * PREFIX_SEED | 1; }

/* ---- groups of words ---- */

EXPORT int64_t words_index_size(const Words *w) { return (int64_t)(w->index.written / sizeof(uint32_t)); }

static int read_at(int fd, void *to, size_t n, uint64_t at) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (uint8_t *)to + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return errno ? errno : EIO;
        done += (size_t)got;
    }
    return 0;
}

typedef struct {
    uint32_t *hashes;
    uint64_t *offsets;
    size_t n, room;
} Entries;

static int entry(Entries *e, uint32_t hash, uint64_t offset) {
    if (e->n + 1 > e->room) {
        size_t room = 2 * e->room + 65536;
        uint32_t *hashes = realloc(e->hashes, room * sizeof *hashes);
        if (hashes) e->hashes = hashes;
        uint64_t *offsets = realloc(e->offsets, room * sizeof *offsets);
        if (offsets) e->offsets = offsets;
        if (!hashes || !offsets) return 0;
        e->room = room;
    }
    e->hashes[e->n] = hash;
    e->offsets[e->n++] = offset;
    return 1;
}

static void sort_words(uint64_t *pair, uint64_t *spare, size_t n, int shift) {
    uint32_t count[2048] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) count[pair[i] >> shift & 2047]++;
    for (int d = 0; d < 2048; d++) {
        uint32_t c = count[d];
        count[d] = at;
        at += c;
    }
    for (size_t i = 0; i < n; i++) spare[count[pair[i] >> shift & 2047]++] = pair[i];
}

/* Where the words of each part begin in each group: cursors that move on from part to part. */
typedef struct {
    uint64_t *cursor;
    uint32_t *words;
    uint64_t *pair, *spare;
    size_t words_room, pair_room;
} Merge;

static int part_of_group(const Words *w, Merge *m, size_t g, uint64_t limit, size_t *pairs) {
    uint64_t begin = w->bounds[2 * g] + m->cursor[g], left = w->bounds[2 * g + 1] - m->cursor[g];
    for (;;) {
        size_t want = left < 4096 ? (size_t)left : 4096;
        if (!want) return 0;
        int failed = read_at(w->index.fd, m->words, want * sizeof(uint32_t), begin * sizeof(uint32_t));
        if (failed) return failed;
        if (*pairs + want > m->pair_room) {
            size_t room = 2 * m->pair_room + want;
            uint64_t *pair = realloc(m->pair, room * sizeof *pair);
            if (pair) m->pair = pair;
            uint64_t *spare = realloc(m->spare, room * sizeof *spare);
            if (spare) m->spare = spare;
            if (!pair || !spare) return ENOMEM;
            m->pair_room = room;
        }
        size_t i = 0;
        for (; i < want && m->words[i] < limit; i++) m->pair[(*pairs)++] = (uint64_t)m->words[i] << 32 | g;
        m->cursor[g] += i;
        begin += i;
        left -= i;
        if (i < want) return 0;
    }
}

/* Postings into `groups` (words_index_size of them, ascending within a word); hashes and offsets are made here, offsets
 * one longer than hashes, and freed with words_index_free. 0, or an errno. */
EXPORT int words_index_merge(const Words *w, uint16_t *groups, uint32_t **hashes, uint64_t **offsets, int64_t *n) {
    Entries e = {0};
    Merge m = {.cursor = calloc(w->groups + 1, sizeof(uint64_t)), .words = malloc(4096 * sizeof(uint32_t))};
    int failed = m.cursor && m.words ? 0 : ENOMEM;
    uint64_t posted = 0;
    for (uint64_t part = 1; part <= PARTS && !failed; part++) {
        size_t pairs = 0;
        for (size_t g = 0; g < w->groups && !failed; g++)
            failed = part_of_group(w, &m, g, part * (0x100000000ULL / PARTS), &pairs);
        if (failed || !pairs) continue;
        sort_words(m.pair, m.spare, pairs, 32);
        sort_words(m.spare, m.pair, pairs, 43);
        sort_words(m.pair, m.spare, pairs, 54);
        for (size_t i = 0; i < pairs && !failed; i++) {
            uint32_t hash = (uint32_t)(m.spare[i] >> 32);
            if ((!i || (uint32_t)(m.spare[i - 1] >> 32) != hash) && !entry(&e, hash, posted)) failed = ENOMEM;
            groups[posted++] = (uint16_t)m.spare[i];
        }
    }
    if (!failed && !entry(&e, 0, posted)) failed = ENOMEM;
    free(m.cursor);
    free(m.words);
    free(m.pair);
    free(m.spare);
    if (failed) {
        free(e.hashes);
        free(e.offsets);
        return failed;
    }
    *hashes = e.hashes;
    *offsets = e.offsets;
    *n = (int64_t)e.n - 1;
    return 0;
}

EXPORT void words_index_free(void *made) { free(made); }

/* What the beginning of a word is listed under, 0 for words of fewer letters; the bytes behind n must be readable. */
EXPORT uint32_t words_beginning_of(const uint8_t *text, int64_t n) {
    uint8_t folded[LONGEST_WORD + 96] = {0};
    size_t seen, size = words_fold(text, (size_t)n, PREFIX, folded, &seen);
    return seen < PREFIX ? 0 : words_beginning(words_hash_folded(folded, size));
}
