/* Byte-level byte-pair encoding, exactly as the `tokenizers` package does it, for text that is assembled from a row's
 * turns and the fragments of a chat template; counts, ids, and which tokens an answer covers.
 *
 * A Model is read-only and may be shared by threads; a State (memory of pieces already merged, scratch space) belongs
 * to one. The text handed in must be valid UTF-8. */
#define _GNU_SOURCE /* memmem */
#include "pretokens.h"

#define NONE UINT32_MAX
#define KEPT_BYTES 256  /* longer pieces are merged anew each time */
#define SHORT_WORD 40   /* symbols up to which scanning for the best pair beats a heap */

typedef struct {
    uint64_t pair; /* left << 32 | right; UINT64_MAX is empty */
    uint32_t rank, made;
} Merge;

typedef struct {
    const uint8_t *text;
    size_t len;
    uint32_t id;
} Word;

typedef struct {
    Pattern pattern;
    const uint8_t *nfc; /* combining class, 255 for what normalisation might change; NULL when nothing is normalised */
    int split_digits, ignore_merges;
    uint32_t byte_id[256];
    Merge *merges;
    uint64_t merge_mask;
    Merge *first_pairs; /* 256 x 256, by bytes */
    uint32_t *token_bytes; /* by id */
    size_t tokens;
    Word *whole;           /* hash table of the vocabulary, for ignore_merges */
    uint64_t whole_mask;
    Word *added[2]; /* added tokens, longest first within a first byte; [1] are matched after the others */
    int added_first[2][257];
    int added_count[2];
    uint8_t *blob;
} Model;

typedef struct {
    uint64_t a, b; /* up to 16 bytes themselves, else hash and place in `bytes` */
    uint32_t value; /* the id, or the place in `ids` when there are several */
    uint16_t count, len;
} Kept;

typedef struct {
    uint8_t *data;
    size_t len, room;
} Text;

typedef struct {
    uint32_t *ids;
    size_t len, room;
} Ids;

typedef struct {
    uint64_t from, to;
    uint32_t id;
} Match;

typedef struct {
    const Model *model;
    Kept *kept;
    uint64_t kept_mask;
    size_t kept_count;
    uint32_t *ids;
    size_t ids_len, ids_room;
    uint8_t *bytes;
    size_t bytes_len, bytes_room;
    uint32_t *sym, *rank, *made, *next, *prev; /* of the word being merged */
    uint64_t *heap;
    size_t word_room;
    Text text[3];
    Ids out[3];
    Match *matches;
    size_t match_room;
    int failed; /* memory ran out */
} State;

static int grow(void **p, size_t *room, size_t need, size_t size) {
    if (need <= *room) return 1;
    size_t wanted = *room * 2 > need ? *room * 2 : need + 64;
    void *more = realloc(*p, wanted * size);
    if (!more) return 0;
    *p = more;
    *room = wanted;
    return 1;
}

/* --- the model ------------------------------------------------------------------------------------------------- */

static inline const Merge *merge_of(const Model *m, uint32_t left, uint32_t right) {
    uint64_t pair = (uint64_t)left << 32 | right, at = mix64(pair) & m->merge_mask;
    while (m->merges[at].pair != UINT64_MAX) {
        if (m->merges[at].pair == pair) return &m->merges[at];
        at = (at + 1) & m->merge_mask;
    }
    return NULL;
}

static uint64_t table_size(size_t entries) {
    uint64_t size = 64;
    while (size < entries * 2 + 2) size *= 2;
    return size;
}

EXPORT void bpe_model_free(Model *m) {
    if (!m) return;
    free(m->merges), free(m->first_pairs), free(m->token_bytes), free(m->whole), free(m->added[0]), free(m->added[1]);
    free(m->blob), free(m);
}

static int by_first_then_longest(const void *a, const void *b) {
    const Word *x = a, *y = b;
    if (x->text[0] != y->text[0]) return x->text[0] < y->text[0] ? -1 : 1;
    return x->len == y->len ? 0 : x->len > y->len ? -1 : 1;
}

static int put_merges(Model *m, const uint32_t *left, const uint32_t *right, const uint32_t *made, size_t n) {
    uint64_t size = table_size(n);
    m->merge_mask = size - 1;
    m->merges = malloc(size * sizeof(Merge));
    m->first_pairs = malloc(65536 * sizeof(Merge));
    if (!m->merges || !m->first_pairs) return 0;
    for (uint64_t i = 0; i < size; i++) m->merges[i].pair = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        uint64_t pair = (uint64_t)left[i] << 32 | right[i], at = mix64(pair) & m->merge_mask;
        while (m->merges[at].pair != UINT64_MAX && m->merges[at].pair != pair) at = (at + 1) & m->merge_mask;
        m->merges[at] = (Merge){pair, (uint32_t)i, made[i]}; /* of a pair named twice the last counts */
    }
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            const Merge *found = merge_of(m, m->byte_id[a], m->byte_id[b]);
            m->first_pairs[a << 8 | b] = found ? *found : (Merge){0, NONE, 0};
        }
    return 1;
}

static int put_whole(Model *m, const int64_t *starts, size_t n) {
    uint64_t size = table_size(n);
    m->whole_mask = size - 1;
    m->whole = calloc(size, sizeof(Word));
    if (!m->whole) return 0;
    for (size_t id = 0; id < n; id++) {
        size_t len = (size_t)(starts[id + 1] - starts[id]);
        if (!len) continue;
        const uint8_t *text = m->blob + starts[id];
        uint64_t at = hash_bytes(text, len, 0) & m->whole_mask;
        while (m->whole[at].text) at = (at + 1) & m->whole_mask;
        m->whole[at] = (Word){text, len, (uint32_t)id};
    }
    return 1;
}

static int put_added(Model *m, int phase, const uint8_t *flags, const int64_t *starts, const uint32_t *ids, size_t n) {
    Word *list = malloc((n + 1) * sizeof(Word));
    int count = 0;
    if (!list) return 0;
    for (size_t i = 0; i < n; i++)
        if (flags[i] == phase && starts[i + 1] > starts[i])
            list[count++] = (Word){m->blob + starts[i], (size_t)(starts[i + 1] - starts[i]), ids[i]};
    qsort(list, count, sizeof(Word), by_first_then_longest);
    int at = 0;
    for (int c = 0; c < 256; c++) {
        m->added_first[phase][c] = at;
        while (at < count && list[at].text[0] == c) at++;
    }
    m->added_first[phase][256] = at;
    m->added[phase] = list;
    m->added_count[phase] = count;
    return 1;
}

/* `blob` holds the tokens' bytes (token i at token_start[i], empty for ids that are not made of bytes), then the added
 * tokens' (added_start points into the same blob). The tables `classes` and `nfc` must outlive the model. */
EXPORT Model *bpe_model_new(const uint8_t *classes, const uint8_t *nfc, int style, int digits_max, int split_digits,
                            int ignore_merges, const uint32_t *byte_id, const uint32_t *left, const uint32_t *right,
                            const uint32_t *made, size_t merges, const uint8_t *blob, size_t blob_len,
                            const int64_t *token_start, size_t tokens, const int64_t *added_start,
                            const uint32_t *added_id, const uint8_t *added_late, size_t added) {
    Model *m = calloc(1, sizeof(Model));
    if (!m) return NULL;
    m->pattern = (Pattern){classes, style, digits_max};
    m->nfc = nfc;
    m->split_digits = split_digits;
    m->ignore_merges = ignore_merges;
    m->tokens = tokens;
    memcpy(m->byte_id, byte_id, sizeof m->byte_id);
    m->blob = malloc(blob_len + 64);
    m->token_bytes = calloc(tokens + 1, sizeof(uint32_t));
    int fine = m->blob && m->token_bytes;
    if (fine) {
        memcpy(m->blob, blob, blob_len);
        for (size_t i = 0; i < tokens; i++) m->token_bytes[i] = (uint32_t)(token_start[i + 1] - token_start[i]);
        fine = put_merges(m, left, right, made, merges) && put_whole(m, token_start, ignore_merges ? tokens : 0) &&
               put_added(m, 0, added_late, added_start, added_id, added) &&
               put_added(m, 1, added_late, added_start, added_id, added);
    }
    for (size_t i = 0; fine && i < added; i++)
        if (added_id[i] < tokens) m->token_bytes[added_id[i]] = (uint32_t)(added_start[i + 1] - added_start[i]);
    if (fine) return m;
    bpe_model_free(m);
    return NULL;
}

/* --- the state ------------------------------------------------------------------------------------------------- */

EXPORT void bpe_state_free(State *s) {
    if (!s) return;
    free(s->kept), free(s->ids), free(s->bytes), free(s->sym), free(s->rank), free(s->made), free(s->next);
    free(s->prev), free(s->heap), free(s->matches);
    for (int i = 0; i < 3; i++) free(s->text[i].data), free(s->out[i].ids);
    free(s);
}

/* `slots` (a power of two) bounds the memory: about 24 bytes each, and as much again for longer pieces. */
EXPORT State *bpe_state_new(const Model *m, size_t slots) {
    State *s = calloc(1, sizeof(State));
    if (!s) return NULL;
    s->model = m;
    s->kept_mask = slots - 1;
    s->kept = calloc(slots, sizeof(Kept));
    s->ids_room = slots > KEPT_BYTES ? slots : KEPT_BYTES; /* any one piece fits */
    s->bytes_room = s->ids_room * 8;
    s->ids = malloc(s->ids_room * sizeof(uint32_t));
    s->bytes = malloc(s->bytes_room);
    if (s->kept && s->ids && s->bytes) return s;
    bpe_state_free(s);
    return NULL;
}

static void forget(State *s) {
    memset(s->kept, 0, (s->kept_mask + 1) * sizeof(Kept));
    s->kept_count = s->ids_len = s->bytes_len = 0;
}

/* --- merging one piece ----------------------------------------------------------------------------------------- */

static int word_room(State *s, size_t n) {
    size_t room = s->word_room;
    if (n <= room) return 1;
    size_t wanted = n * 2;
    uint32_t **arrays[] = {&s->sym, &s->rank, &s->made, &s->next, &s->prev};
    for (int i = 0; i < 5; i++) {
        void *more = realloc(*arrays[i], wanted * sizeof(uint32_t));
        if (!more) return 0;
        *arrays[i] = more;
    }
    void *more = realloc(s->heap, wanted * 3 * sizeof(uint64_t));
    if (!more) return 0;
    s->heap = more;
    s->word_room = wanted;
    return 1;
}

/* The pair that starts at `at` anew, after one of its sides has changed. */
static inline void look_again(State *s, uint32_t at) {
    uint32_t right = s->next[at];
    const Merge *found = right == NONE ? NULL : merge_of(s->model, s->sym[at], s->sym[right]);
    s->rank[at] = found ? found->rank : NONE;
    s->made[at] = found ? found->made : 0;
}

static inline void join(State *s, uint32_t at) {
    uint32_t gone = s->next[at], after = s->next[gone];
    s->sym[at] = s->made[at];
    s->rank[gone] = NONE;
    s->next[at] = after;
    if (after != NONE) s->prev[after] = at;
    look_again(s, at);
    if (s->prev[at] != NONE) look_again(s, s->prev[at]);
}

static void merge_short(State *s, uint32_t n) {
    for (;;) {
        uint32_t best = NONE, where = 0;
        for (uint32_t i = 0; i < n; i++)
            if (s->rank[i] < best) best = s->rank[i], where = i;
        if (best == NONE) return;
        join(s, where);
    }
}

static void heap_down(uint64_t *h, size_t n, size_t i) {
    uint64_t item = h[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && h[child + 1] < h[child]) child++;
        if (item <= h[child]) break;
        h[i] = h[child];
    }
    h[i] = item;
}

static void heap_put(uint64_t *h, size_t *n, uint64_t item) {
    size_t i = (*n)++;
    for (; i && h[(i - 1) / 2] > item; i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = item;
}

/* Each join puts at most two new pairs on the heap, so it holds at most 3n items. */
static void merge_long(State *s, uint32_t n) {
    size_t waiting = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s->rank[i] != NONE) s->heap[waiting++] = (uint64_t)s->rank[i] << 32 | i;
    for (size_t i = waiting / 2; i-- > 0;) heap_down(s->heap, waiting, i);
    while (waiting) {
        uint64_t top = s->heap[0];
        uint32_t at = (uint32_t)top;
        s->heap[0] = s->heap[--waiting];
        if (waiting) heap_down(s->heap, waiting, 0);
        if (s->rank[at] != (uint32_t)(top >> 32)) continue; /* that pair is gone */
        join(s, at);
        if (s->rank[at] != NONE) heap_put(s->heap, &waiting, (uint64_t)s->rank[at] << 32 | at);
        uint32_t left = s->prev[at];
        if (left != NONE && s->rank[left] != NONE)
            heap_put(s->heap, &waiting, (uint64_t)s->rank[left] << 32 | left);
    }
}

static const Word *whole_word(const Model *m, const uint8_t *p, size_t n) {
    uint64_t at = hash_bytes(p, n, 0) & m->whole_mask;
    for (; m->whole[at].text; at = (at + 1) & m->whole_mask)
        if (m->whole[at].len == n && !memcmp(m->whole[at].text, p, n)) return &m->whole[at];
    return NULL;
}

/* Ids of one piece into `to` (room for n); their number. */
static size_t merged(State *s, const uint8_t *p, size_t n, uint32_t *to) {
    const Model *m = s->model;
    if (m->ignore_merges) {
        const Word *found = whole_word(m, p, n);
        if (found) {
            to[0] = found->id;
            return 1;
        }
    }
    if (n == 1) {
        to[0] = m->byte_id[p[0]];
        return 1;
    }
    if (n >= UINT32_MAX / 4 || !word_room(s, n)) {
        s->failed = 1;
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        const Merge *pair = i + 1 < n ? &m->first_pairs[p[i] << 8 | p[i + 1]] : NULL;
        s->sym[i] = m->byte_id[p[i]];
        s->rank[i] = pair ? pair->rank : NONE;
        s->made[i] = pair ? pair->made : 0;
        s->prev[i] = i ? i - 1 : NONE;
        s->next[i] = i + 1 < n ? i + 1 : NONE;
    }
    if (n <= SHORT_WORD)
        merge_short(s, (uint32_t)n);
    else
        merge_long(s, (uint32_t)n);
    size_t count = 0;
    for (uint32_t i = 0; i != NONE; i = s->next[i]) to[count++] = s->sym[i];
    return count;
}

static const uint8_t MASKS[33] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0};

/* Ids of one piece, remembered. `out` has room for n more. The text has 16 readable bytes after it. */
static inline void piece(State *s, const uint8_t *p, size_t n, Ids *out) {
    if (UNLIKELY(n > KEPT_BYTES)) {
        out->len += merged(s, p, n, out->ids + out->len);
        return;
    }
    uint64_t a, b, hash;
    if (LIKELY(n <= 16)) {
        uint64_t low, high;
        memcpy(&low, MASKS + 16 - (n < 8 ? n : 8), 8);
        memcpy(&high, MASKS + 16 - (n > 8 ? n - 8 : 0), 8);
        a = load64(p) & low;
        b = load64(p + 8) & high;
        hash = mix64(a ^ (b * 0x9e3779b97f4a7c15ULL) ^ n);
    } else {
        hash = a = hash_bytes(p, n, n);
        b = 0;
    }
    uint64_t at = hash & s->kept_mask;
    for (Kept *k = &s->kept[at]; k->count; at = (at + 1) & s->kept_mask, k = &s->kept[at]) {
        if (k->a != a || k->len != n) continue;
        if (n <= 16 ? k->b != b : memcmp(s->bytes + k->b, p, n)) continue;
        if (LIKELY(k->count == 1))
            out->ids[out->len++] = k->value;
        else {
            memcpy(out->ids + out->len, s->ids + k->value, k->count * sizeof(uint32_t));
            out->len += k->count;
        }
        return;
    }
    size_t count = merged(s, p, n, out->ids + out->len);
    if (!count) return;
    if (s->kept_count > s->kept_mask / 2 || s->ids_len + count > s->ids_room || s->bytes_len + n > s->bytes_room) {
        forget(s);
        at = hash & s->kept_mask;
    }
    Kept *k = &s->kept[at];
    *k = (Kept){a, b, out->ids[out->len], (uint16_t)count, (uint16_t)n};
    if (n > 16) {
        k->b = s->bytes_len;
        memcpy(s->bytes + s->bytes_len, p, n);
        s->bytes_len += n;
    }
    if (count > 1) {
        k->value = (uint32_t)s->ids_len;
        memcpy(s->ids + s->ids_len, out->ids + out->len, count * sizeof(uint32_t));
        s->ids_len += count;
    }
    s->kept_count++;
    out->len += count;
}

/* --- a whole text ---------------------------------------------------------------------------------------------- */

/* Where the tokens of one text begin to depend on what comes after its first `ask` bytes. */
typedef struct {
    uint64_t ask;
    int found;
    uint64_t at;   /* byte at which to tokenise again */
    size_t tokens; /* tokens before it */
} Resume;

static inline void pass_piece(Resume *r, uint64_t start, uint64_t seen, size_t tokens) {
    if (r && !r->found && seen > r->ask) *r = (Resume){r->ask, 1, start, tokens};
}

/* Tokenise p[i, n), which holds no added token; `beyond` is the end of the added token behind it. */
static void plain(State *s, const uint8_t *p, size_t i, size_t n, uint64_t beyond, Ids *out, Resume *r) {
    const Pattern *q = &s->model->pattern;
    int split = s->model->split_digits, len;
    while (i < n) {
        size_t stop = n, seen;
        if (split) {
            for (stop = i; stop < n && !(class_at(q, p, stop, &len) & NUMBER);) stop += len;
            if (stop == i) { /* one digit, or a run of them, is a piece of its own */
                do {
                    class_at(q, p, stop, &len);
                    stop += len;
                } while (split == 2 && stop < n && (class_at(q, p, stop, &len) & NUMBER));
                pass_piece(r, i, stop + 4 >= n ? beyond : stop + 4, out->len);
                piece(s, p + i, stop - i, out);
                i = stop;
                continue;
            }
        }
        while (i < stop) {
            size_t end = next_piece(q, p, i, stop, &seen);
            pass_piece(r, i, seen >= n ? beyond : seen, out->len);
            piece(s, p + i, end - i, out);
            i = end;
        }
    }
}

/* Added tokens of one phase in p[i, n), leftmost and longest first, after those already in `matches`; -1: no memory. */
static int64_t find_added(State *s, int phase, const uint8_t *p, size_t i, size_t n, size_t count) {
    const Model *m = s->model;
    const int *first = m->added_first[phase];
    int only = -1, firsts = 0;
    for (int c = 0; c < 256; c++)
        if (first[c] != first[c + 1]) only = c, firsts++;
    while (i < n) {
        if (firsts == 1) {
            const uint8_t *hit = memchr(p + i, only, n - i);
            if (!hit) break;
            i = (size_t)(hit - p);
        }
        const Word *found = NULL;
        for (int k = first[p[i]]; k < first[p[i] + 1]; k++) {
            const Word *w = &m->added[phase][k];
            if (w->len <= n - i && !memcmp(w->text, p + i, w->len)) {
                found = w;
                break;
            }
        }
        if (!found) {
            i++;
            continue;
        }
        if (!grow((void **)&s->matches, &s->match_room, count + 1, sizeof(Match))) return -1;
        s->matches[count++] = (Match){i, i + found->len, found->id};
        i += found->len;
    }
    return (int64_t)count;
}

static int by_place(const void *a, const void *b) {
    const Match *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static int64_t all_added(State *s, const uint8_t *p, size_t i, size_t n) {
    int64_t early = find_added(s, 0, p, i, n, 0), count = early;
    if (early < 0 || !s->model->added_count[1]) return early;
    for (int64_t k = 0; k <= early && count >= 0; k++) {
        size_t from = k ? s->matches[k - 1].to : i, to = k < early ? s->matches[k].from : n;
        count = find_added(s, 1, p, from, to, (size_t)count);
    }
    if (count > early) qsort(s->matches, (size_t)count, sizeof(Match), by_place);
    return count;
}

/* Append the ids of p[i, n) to `out`; 0 when memory runs out. */
static int tokenise(State *s, const uint8_t *p, size_t i, size_t n, Ids *out, Resume *r) {
    if (!grow((void **)&out->ids, &out->room, out->len + (n - i) + 1, sizeof(uint32_t))) return 0;
    int64_t count = s->model->added_count[0] + s->model->added_count[1] ? all_added(s, p, i, n) : 0;
    if (count < 0) return 0;
    for (int64_t k = 0; k <= count; k++) {
        int last = k == count;
        size_t to = last ? n : s->matches[k].from;
        /* what ends a stretch ends the shorter text too only if all of it is there */
        plain(s, p, i, to, last ? UINT64_MAX : s->matches[k].to, out, r);
        if (last) break;
        pass_piece(r, to, s->matches[k].to, out->len);
        out->ids[out->len++] = s->matches[k].id;
        i = s->matches[k].to;
    }
    return !s->failed;
}

/* 1 when normalisation to NFC certainly changes nothing. */
static int is_nfc(const Model *m, const uint8_t *p, size_t n) {
    int before = 0, len;
    for (size_t i = 0; i < n;) {
        if (LIKELY(p[i] < 0x80)) {
            if (i + 8 <= n && !(load64(p + i) & 0x8080808080808080ULL))
                i += 8;
            else
                i++;
            before = 0;
            continue;
        }
        uint8_t c = m->nfc[utf8_at(p + i, &len)];
        if (c == 255 || (c && c < before)) return 0;
        before = c;
        i += len;
    }
    return 1;
}

/* Token ids of one text and where each ends in bytes. The number of tokens; -1: it has to be normalised first,
 * -2: no memory. `ids` and `ends` need room for n. */
EXPORT int64_t bpe_encode(State *s, const uint8_t *text, size_t n, uint32_t *ids, int64_t *ends) {
    const Model *m = s->model;
    s->failed = 0;
    if (m->nfc && !is_nfc(m, text, n)) return -1;
    if (!grow((void **)&s->text[0].data, &s->text[0].room, n + 64, 1)) return -2;
    memcpy(s->text[0].data, text, n);
    memset(s->text[0].data + n, 0, 64);
    Ids *out = &s->out[0];
    out->len = 0;
    if (!tokenise(s, s->text[0].data, 0, n, out, NULL)) return -2;
    int64_t at = 0;
    for (size_t i = 0; i < out->len; i++) {
        ids[i] = out->ids[i];
        ends[i] = at += m->token_bytes[out->ids[i]];
    }
    return (int64_t)out->len;
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

enum { WHOLE = 0, COMPLETION = 1, MARKED = 2, PAIR = 3 };          /* what of a row is trained */
enum { FRAGMENT = -1, OPEN = -2, CLOSE = -3 };                     /* kinds of parts that are no turn */
enum { KEEP = 0, NEWLINES = 1, BLANKS = 2 };                       /* what a template strips from a turn's ends */
enum { DONE = 0, ODD = 1, NOT_NORMAL = 2, TOO_LARGE = 3, NO_ROOM = 4 }; /* how it went with a row */

typedef struct {
    int32_t kind; /* segment of the row, or FRAGMENT, OPEN, CLOSE */
    int32_t a, b; /* bytes of a fragment; what is stripped left and right of a segment */
} PartOf;

/* Everything about a batch of rows; see engine/bpe.py for the shapes. */
typedef struct {
    const uint8_t *text, *fragments;
    const int64_t *seg_start, *seg_end, *row_seg;
    const int32_t *row_plan; /* -1: leave the row alone */
    const int32_t *plan_mode;
    const int64_t *plan_seq; /* 3 sequences a plan: parts plan_seq[3p+k] .. plan_seq[3p+k+1] */
    const PartOf *parts;
    const uint8_t *odd; /* texts that make a template look at what a turn says, each with its length before it */
    int64_t odds, rows, eos, largest;
    uint8_t *status;
    int32_t *total, *start, *total2;
    int64_t *row_span; /* (rows + 1) */
    int32_t *spans;    /* pairs of tokens */
    int64_t span_room;
} Rows;

static int is_odd(const Rows *r, const uint8_t *p, size_t n) {
    const uint8_t *odd = r->odd;
    for (int64_t k = 0; k < r->odds; k++) {
        uint32_t len;
        memcpy(&len, odd, 4);
        if (memmem(p, n, odd + 4, len)) return 1;
        odd += 4 + len;
    }
    return 0;
}

static int stripped(const Pattern *q, const uint8_t *p, size_t i, int how, int *len) {
    if (how == NEWLINES) {
        *len = 1;
        return p[i] == '\n';
    }
    return class_at(q, p, i, len) & STRIPPED;
}

static void strip(const Pattern *q, const uint8_t *p, size_t *from, size_t *to, int left, int right) {
    int len;
    while (left && *from < *to && stripped(q, p, *from, left, &len)) *from += len;
    while (right && *to > *from) {
        size_t last = *to - 1;
        while (last > *from && (p[last] & 0xc0) == 0x80) last--;
        if (!stripped(q, p, last, right, &len)) break;
        *to = last;
    }
}

typedef struct {
    uint64_t *at; /* byte positions of marks, open and close in turn */
    size_t len, room;
} Marks;

static int put(const Rows *r, Text *t, const uint8_t *p, size_t n) {
    if (t->len + n > (size_t)r->largest) return TOO_LARGE;
    if (!grow((void **)&t->data, &t->room, t->len + n + 64, 1)) return NO_ROOM;
    memcpy(t->data + t->len, p, n);
    t->len += n;
    return DONE;
}

/* Put one sequence of a row together; DONE, or why not. */
static int assemble(const State *s, const Rows *r, int64_t row, int64_t sequence, Text *t, Marks *marks) {
    t->len = 0;
    for (int64_t k = r->plan_seq[sequence]; k < r->plan_seq[sequence + 1]; k++) {
        PartOf part = r->parts[k];
        int went = DONE;
        if (part.kind == FRAGMENT)
            went = put(r, t, r->fragments + part.a, (size_t)(part.b - part.a));
        else if (part.kind < 0) {
            if (!grow((void **)&marks->at, &marks->room, marks->len + 1, sizeof(uint64_t))) return NO_ROOM;
            marks->at[marks->len++] = t->len;
        } else {
            int64_t seg = r->row_seg[row] + part.kind;
            size_t from = (size_t)r->seg_start[seg], to = (size_t)r->seg_end[seg], a = from, b = to;
            strip(&s->model->pattern, r->text, &a, &b, BLANKS, BLANKS);
            if ((a == b && r->odds >= 0) || (r->odds > 0 && is_odd(r, r->text + from, to - from))) return ODD;
            strip(&s->model->pattern, r->text, &from, &to, part.a, part.b);
            went = put(r, t, r->text + from, to - from);
        }
        if (went) return went;
    }
    if (!grow((void **)&t->data, &t->room, t->len + 64, 1)) return NO_ROOM;
    memset(t->data + t->len, 0, 64);
    return s->model->nfc && !is_nfc(s->model, t->data, t->len) ? NOT_NORMAL : DONE;
}

static size_t common(const uint32_t *a, size_t n, const uint32_t *b, size_t m) {
    size_t i = 0;
    while (i < n && i < m && a[i] == b[i]) i++;
    return i;
}

/* Tokenise text[which] into out[which]; how many of its first tokens are those of the question, text[1]. */
static int answer_start(State *s, int which, size_t *start) {
    Text *t = &s->text[which], *ask = &s->text[1];
    Ids *out = &s->out[which], *asked = &s->out[1];
    Resume resume = {ask->len, 0, 0, 0};
    out->len = asked->len = 0;
    int prefix = ask->len <= t->len && !memcmp(ask->data, t->data, ask->len);
    if (!tokenise(s, t->data, 0, t->len, out, prefix ? &resume : NULL)) return NO_ROOM;
    if (prefix && !resume.found) resume.at = ask->len, resume.tokens = out->len;
    if (resume.at > ask->len) resume.at = ask->len;
    if (!tokenise(s, ask->data, prefix ? resume.at : 0, ask->len, asked, NULL)) return NO_ROOM;
    size_t from = prefix ? resume.tokens : 0;
    *start = from + common(out->ids + from, out->len - from, asked->ids, asked->len);
    return DONE;
}

/* Tokens that the marked stretches of bytes touch, each token once. */
static int marked_spans(State *s, Rows *r, const Marks *marks, int64_t *spans) {
    const Ids *out = &s->out[0];
    uint64_t from = 0;
    size_t token = 0, taken = 0;
    for (size_t k = 0; k + 1 < marks->len; k += 2) {
        uint64_t low = marks->at[k], high = marks->at[k + 1];
        if (low >= high) continue;
        while (token < out->len && from + s->model->token_bytes[out->ids[token]] <= low)
            from += s->model->token_bytes[out->ids[token++]];
        size_t first = token > taken ? token : taken;
        while (token < out->len && from < high) from += s->model->token_bytes[out->ids[token++]];
        if (token <= first) continue;
        if (*spans >= r->span_room) return NO_ROOM;
        r->spans[2 * *spans] = (int32_t)first;
        r->spans[2 * *spans + 1] = (int32_t)token;
        ++*spans;
        taken = token;
        if (token) from -= s->model->token_bytes[out->ids[--token]]; /* the next mark may stand in the same token */
    }
    return DONE;
}

static int one_row(State *s, Rows *r, int64_t row, Marks *marks, int64_t *spans) {
    int64_t plan = r->row_plan[row];
    int mode = r->plan_mode[plan], went = DONE;
    size_t start = 0, other = 0;
    marks->len = 0;
    for (int k = 0; k < 3 && !went; k++)
        if (k == 0 || (k == 1 && (mode == COMPLETION || mode == PAIR)) || (k == 2 && mode == PAIR))
            went = assemble(s, r, row, 3 * plan + k, &s->text[k], marks);
    if (went) return went;
    if (mode == WHOLE || mode == MARKED) {
        s->out[0].len = 0;
        if (!tokenise(s, s->text[0].data, 0, s->text[0].len, &s->out[0], NULL)) return NO_ROOM;
    } else
        went = answer_start(s, 0, &start);
    if (!went && mode == PAIR) went = answer_start(s, 2, &other);
    if (went) return went;
    const Ids *out = &s->out[0];
    size_t total = out->len;
    if (mode == WHOLE && r->eos >= 0 && (!total || out->ids[total - 1] != (uint32_t)r->eos)) total++;
    r->total[row] = (int32_t)total;
    r->start[row] = (int32_t)(mode == PAIR && other < start ? other : start);
    r->total2[row] = mode == PAIR ? (int32_t)s->out[2].len : 0;
    return mode == MARKED ? marked_spans(s, r, marks, spans) : DONE;
}

/* Count every row that has a plan; returns the number of spans written. A row that needs more care says so. */
EXPORT int64_t bpe_rows(State *s, Rows *r) {
    Marks marks = {0};
    int64_t spans = 0;
    for (int64_t row = 0; row < r->rows; row++) {
        r->row_span[row] = spans;
        if (r->row_plan[row] < 0) continue;
        s->failed = 0;
        int64_t before = spans;
        r->status[row] = (uint8_t)one_row(s, r, row, &marks, &spans);
        if (r->status[row] != DONE) spans = before;
    }
    r->row_span[r->rows] = spans;
    free(marks.at);
    return spans;
}
