/* One look at each row: how long it is, how its turns follow one another, how its answer ends.
 *
 * The bits are domain.quality.Trait; what needs a parser or a locale is left to Python by JSON_LIKE and MAYBE_STOPS.
 */
#include "common.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    EMPTY_ANSWER = 1, PLACEHOLDER = 2, CUT = 4, LONG_ANSWER = 16, NON_ALTERNATING = 64, SYSTEM_NOT_FIRST = 128,
    NO_USER = 256, EMPTY_TURN = 512, SAME_PAIR = 8192, UNTRAINED = 16384, HAS_ANSWER = 32768, NEGATIVE = 1 << 16,
    SHORT_PROMPT = 1 << 17, ODD_PROMPT = 1 << 18, JSON_LIKE = 1 << 19, MAYBE_STOPS = 1 << 20, SEVERAL = 1 << 21
};
enum { SYSTEM, USER, ASSISTANT, TOOL };
enum { PROMPT, ANSWER, REJECTED, DOCUMENT };
enum { TRAINED = 1, CALL = 2, THINKING = 4, ENDS_TURN = 8 };
enum { SFT, PREFERENCE, TEXT };
enum { WINDOW = 240, SHORT = 700, LONG_CHARS = 40, LONG_WORDS = 8, STOP_CHARS = 60, SHORT_CHARS = 12 };

typedef struct {
    const uint8_t *text;
    const int64_t *start, *end;
    const uint8_t *role, *part, *flags;
    const int64_t *row_seg;
    int64_t rows;
    int32_t kind;
    int32_t phrases; /* how many; folded, one after the other */
    const uint8_t *phrase_text;
    const int32_t *phrase_end;
} Input;

typedef struct {
    int32_t *traits, *turns;
    int64_t *prompt_chars, *answer_chars, *answer_start, *answer_end; /* the answer without the blanks around it */
    uint64_t *answer_hash, *system_hash;
    int64_t *system_seg; /* -1 for none */
    int64_t *roles;      /* turns by role, four counts */
} Output;

static int64_t count_chars(const uint8_t *p, int64_t n) {
    int64_t count = 0, k = 0;
#ifdef __SSE2__
    while (n - k >= 16) {
        __m128i sums = _mm_setzero_si128();
        int64_t stop = k + 16 * 255 < n ? k + 16 * 255 : n;
        for (; stop - k >= 16; k += 16)
            sums = _mm_sub_epi8(sums, _mm_cmpgt_epi8(_mm_loadu_si128((const __m128i *)(p + k)), _mm_set1_epi8(-65)));
        sums = _mm_sad_epu8(sums, _mm_setzero_si128());
        count += _mm_cvtsi128_si64(sums) + _mm_cvtsi128_si64(_mm_srli_si128(sums, 8));
    }
#endif
    for (; k < n; k++) count += (p[k] & 0xC0) != 0x80;
    return count;
}

/* Bytes of the blank at p, as Python's str.isspace has it; 0 for none. */
static int blank(const uint8_t *p, const uint8_t *end) {
    uint8_t c = *p;
    if (c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f)) return 1;
    if (c < 0xC2 || end - p < 2) return 0;
    if (c == 0xC2) return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;
    if (end - p < 3) return 0;
    if (c == 0xE1) return p[1] == 0x9A && p[2] == 0x80 ? 3 : 0;
    if (c == 0xE3) return p[1] == 0x80 && p[2] == 0x80 ? 3 : 0;
    if (c != 0xE2) return 0;
    if (p[1] == 0x80) return (p[2] <= 0x8A || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF) ? 3 : 0;
    return p[1] == 0x81 && p[2] == 0x9F ? 3 : 0;
}

static void strip(const uint8_t **from, const uint8_t **to) {
    const uint8_t *p = *from, *q = *to;
    for (int n; p < q && (n = blank(p, q)); ) p += n;
    while (q > p) {
        const uint8_t *last = q - 1;
        while (last > p && (*last & 0xC0) == 0x80) last--;
        if (blank(last, q) != q - last) break;
        q = last;
    }
    *from = p, *to = q;
}

static inline uint8_t folded(uint8_t c) { return (uint8_t)(c - 'A') < 26 ? c | 0x20 : c; }

static int is_one_of(const uint8_t *p, int64_t n, const char *const *words, int fold) {
    for (; *words; words++) {
        if ((int64_t)strlen(*words) != n) continue;
        int64_t k = 0;
        while (k < n && (fold ? folded(p[k]) : p[k]) == (uint8_t)(*words)[k]) k++;
        if (k == n) return 1;
    }
    return 0;
}

static const char *const PLACEHOLDERS[] = {"todo", "tbd", "tba", "fixme", "undefined", "nan", "[object object]",
    "lorem ipsum", "<answer>", "[answer]", "placeholder", "<insert answer here>", "[insert answer here]",
    "insert answer here", "your answer here", "[your answer here]", "answer goes here", NULL};
static const char *const DANGLING[] = {"the", "an", "and", "or", "because", "although", "whereas", "their", "its", "my",
    "your", "und", "oder", "weil", "dass", "sowie", "et", "ou", "parce", "les", "des", "porque", NULL};

static int is_placeholder(const uint8_t *p, int64_t n) {
    return (n <= 24 && is_one_of(p, n, PLACEHOLDERS, 1)) || (n >= 17 && n < 4000 && !memcmp(p, "Lorem ipsum dolor", 17));
}

static int odd_fences(const uint8_t *p, const uint8_t *end) {
    int count = 0;
    while ((p = memchr(p, '`', end - p)) != NULL) {
        if (end - p >= 3 && p[1] == '`' && p[2] == '`') count++, p += 3;
        else p++;
        if (p >= end) break;
    }
    return count & 1;
}

/* Words from the start, at most one more than are asked for; the last blank-separated word ends the text. */
static int words_of(const uint8_t *p, const uint8_t *end) {
    int words = 0;
    while (p < end && words <= LONG_WORDS) {
        int n;
        while (p < end && (n = blank(p, end))) p += n;
        if (p < end) words++;
        while (p < end && !blank(p, end)) p++;
    }
    return words;
}

static int32_t ending(const uint8_t *p, const uint8_t *end, int64_t chars) {
    if (odd_fences(p, end)) return CUT;
    uint8_t last = end[-1];
    int letter = (uint8_t)((last | 0x20) - 'a') < 26 || (uint8_t)(last - '0') < 10 || last >= 0x80;
    if (!letter && last != ',' && last != '(' && last != '[' && last != '{') return 0;
    int words = words_of(p, end);
    if (words >= 4) {
        if (!letter) return CUT;
        const uint8_t *q = end;
        while (q > p && end - q < 10 && !(q[-1] == ' ' || (q[-1] >= 9 && q[-1] <= 13)) ) q--;
        if (is_one_of(q, end - q, DANGLING, 0)) return CUT;
    }
    if (!letter) return 0;
    /* Full stops of Chinese and Japanese, and their wide brackets: no letters. */
    if (end - p >= 3 && end[-3] == 0xE3 && end[-2] == 0x80) return 0;
    if (end - p >= 3 && end[-3] == 0xEF && end[-2] == 0xBC && (end[-1] < 0x90 || end[-1] == 0x9F)) return 0;
    return words >= LONG_WORDS || chars >= STOP_CHARS ? MAYBE_STOPS : 0;
}

/* Phrases by the hash of their first four bytes, every byte with the bit of small letters set. */
static inline uint32_t head_of(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return (v | 0x20202020u) * 0x9e3779b1u >> 16;
}

static int holds_phrase(const Input *in, const uint8_t *heads, const uint8_t *p, const uint8_t *end) {
    for (; end - p >= 4; p++) {
        uint32_t h = head_of(p);
        if (LIKELY(!(heads[h >> 3] & 1 << (h & 7)))) continue;
        for (int k = 0; k < in->phrases; k++) {
            const uint8_t *phrase = in->phrase_text + (k ? in->phrase_end[k - 1] : 0);
            int64_t n = in->phrase_text + in->phrase_end[k] - phrase, m = 0;
            if (n > end - p) continue;
            while (m < n && folded(p[m]) == phrase[m]) m++;
            if (m == n) return 1;
        }
    }
    return 0;
}

static int32_t look_at_answer(const Input *in, Output *out, const uint8_t *heads, int64_t row, int64_t seg) {
    const uint8_t *p = in->text + in->start[seg], *end = in->text + in->end[seg];
    strip(&p, &end);
    out->answer_start[row] = p - in->text, out->answer_end[row] = end - in->text;
    if (p == end) return 0;
    int64_t n = end - p;
    out->answer_hash[row] = hash_bytes(p, n, 1);
    int32_t traits = HAS_ANSWER;
    if (in->kind == TEXT) return traits;
    int64_t chars = n <= 4 * STOP_CHARS ? count_chars(p, n) : STOP_CHARS;
    if (is_placeholder(p, n)) traits |= PLACEHOLDER;
    if (chars >= LONG_CHARS) traits |= LONG_ANSWER;
    traits |= *p == '{' || *p == '[' ? JSON_LIKE : ending(p, end, chars);
    if (in->phrases && holds_phrase(in, heads, p, n <= SHORT ? end : p + WINDOW)) traits |= NEGATIVE;
    return traits;
}

static int32_t look_at_prompt(const uint8_t *p, const uint8_t *end) {
    strip(&p, &end);
    int32_t traits = end - p <= 4 * SHORT_CHARS && count_chars(p, end - p) <= SHORT_CHARS ? SHORT_PROMPT : 0;
    for (; p < end; p++)
        if ((uint8_t)((*p | 0x20) - 'a') < 26 || *p >= 0x80) return traits;
    return traits | ODD_PROMPT;
}

static int same_pair(const Input *in, int64_t from, int64_t to) {
    int64_t a = from, b = from;
    while (a < to && in->part[a] != ANSWER) a++;
    while (b < to && in->part[b] != REJECTED) b++;
    for (; a < to && in->part[a] == ANSWER; a++, b++) {
        int64_t n = in->end[a] - in->start[a];
        if (b >= to || in->role[a] != in->role[b] || in->flags[a] != in->flags[b] || in->end[b] - in->start[b] != n ||
            memcmp(in->text + in->start[a], in->text + in->start[b], n))
            return 0;
    }
    return b == to;
}

typedef struct { int last, spoken, turns, user, trained, answers; int64_t answer, asked; } Walk;

/* One segment of a conversation; returns the traits it shows. */
static int32_t step(const Input *in, Output *out, Walk *w, int64_t row, int64_t n, int64_t last_seg) {
    int role = in->role[n], flags = in->flags[n], part = in->part[n];
    int32_t traits = 0;
    w->trained |= flags & TRAINED;
    if (!(flags & (CALL | THINKING))) {
        const uint8_t *p = in->text + in->start[n], *end = in->text + in->end[n];
        int64_t chars = count_chars(p, end - p);
        if (part == ANSWER && role == ASSISTANT) {
            out->answer_chars[row] += chars + (w->answers > 0);
            w->answers++;
            w->answer = n;
        } else if (part == PROMPT || in->kind == SFT) out->prompt_chars[row] += chars;
        if (role == USER) w->asked = n;
        if ((flags & ENDS_TURN) && n != last_seg) {
            strip(&p, &end);
            if (p == end) traits |= EMPTY_TURN;
        }
    }
    if (!(flags & ENDS_TURN)) return traits;
    out->roles[role & 3]++;
    if (role == SYSTEM) {
        if (w->turns++) traits |= SYSTEM_NOT_FIRST;
        return traits;
    }
    w->turns++;
    if (w->spoken == 0 ? role == ASSISTANT : role == w->last && role != TOOL) traits |= NON_ALTERNATING;
    w->spoken++;
    w->last = role;
    w->user |= role == USER;
    return traits;
}

static int32_t conversation(const Input *in, Output *out, const uint8_t *heads, int64_t row) {
    int64_t from = in->row_seg[row], to = in->row_seg[row + 1], stop = to;
    while (stop > from && in->part[stop - 1] == REJECTED) stop--;
    Walk w = {-1, 0, 0, 0, 0, 0, -1, -1};
    int32_t traits = 0;
    for (int64_t n = from; n < stop; n++) traits |= step(in, out, &w, row, n, stop - 1);
    out->turns[row] = w.spoken;
    if (stop > from && in->role[from] == SYSTEM) {
        out->system_seg[row] = from;
        out->system_hash[row] = hash_bytes(in->text + in->start[from], in->end[from] - in->start[from], 1);
    }
    if (!w.user) traits |= NO_USER;
    if (in->kind == SFT && !w.trained) traits |= UNTRAINED;
    if (in->kind == PREFERENCE && same_pair(in, from, to)) traits |= SAME_PAIR;
    if (w.asked >= 0) traits |= look_at_prompt(in->text + in->start[w.asked], in->text + in->end[w.asked]);
    if (w.answer >= 0) traits |= look_at_answer(in, out, heads, row, w.answer);
    int calls = 0;
    for (int64_t n = from; n < stop; n++) calls |= in->part[n] == ANSWER && in->flags[n] & CALL;
    if (w.answers > 1) return traits | SEVERAL;
    return traits & HAS_ANSWER || calls ? traits : traits | EMPTY_ANSWER;
}

static int32_t document(const Input *in, Output *out, const uint8_t *heads, int64_t row) {
    int64_t seg = in->row_seg[row];
    out->turns[row] = 1;
    if (seg == in->row_seg[row + 1]) return EMPTY_ANSWER;
    out->answer_chars[row] = count_chars(in->text + in->start[seg], in->end[seg] - in->start[seg]);
    int32_t traits = look_at_answer(in, out, heads, row, seg) & ~HAS_ANSWER;
    return out->answer_start[row] == out->answer_end[row] ? traits | EMPTY_ANSWER : traits;
}

EXPORT void luthier_look(const Input *in, Output *out) {
    uint8_t heads[8192] = {0};
    for (int k = 0; k < in->phrases; k++) {
        uint32_t h = head_of(in->phrase_text + (k ? in->phrase_end[k - 1] : 0));
        heads[h >> 3] |= 1 << (h & 7);
    }
    for (int64_t row = 0; row < in->rows; row++) {
        out->prompt_chars[row] = out->answer_chars[row] = out->answer_start[row] = out->answer_end[row] = 0;
        out->answer_hash[row] = out->system_hash[row] = 0;
        out->system_seg[row] = -1;
        out->traits[row] = in->kind == TEXT ? document(in, out, heads, row) : conversation(in, out, heads, row);
    }
}
