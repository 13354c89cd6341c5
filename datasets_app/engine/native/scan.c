/* What may be a secret, personal data, a hidden sign or damage: candidates only, for rules in Python to prove.
 *
 * Each segment gets the bits of domain.sensitive_rules.Trigger, and UNSEEN where domain.characters should look. Whatever
 * the rules find must have set its bit here; more bits than that cost time, fewer would cost findings.
 */
#include "common.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    KEY = 1, PRIVATE_KEY = 2, PASSWORD = 4, URL_PASSWORD = 8, EMAIL = 16, IBAN = 32, CARD = 64, LETTERED = 128,
    LONG_NUMBER = 256, GROUPED = 512, PHONE = 1024, IP = 2048, ENTROPY = 4096, UNSEEN = 1 << 16
};
enum { RUN = 13, TOKEN = 20 };
typedef struct { const uint8_t *start, *end; uint32_t bits; } Segment;
typedef struct { uint64_t digit, at, colon, dash, high, token; } Masks;
/* What one block hands to the next: whether it ended in a digit, in how many signs of a token, where the last run ends. */
typedef struct { uint64_t digit; int tail; const uint8_t *run_end; } Carry;

static inline int is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }
static inline int is_upper(uint8_t c) { return (uint8_t)(c - 'A') < 26; }
static inline int is_lower(uint8_t c) { return (uint8_t)(c - 'a') < 26; }
static inline int is_letter(uint8_t c) { return is_lower(c | 0x20); }
static inline int is_word(uint8_t c) { return is_digit(c) || is_letter(c) || c == '_'; }
static inline int is_token(uint8_t c) { return is_word(c) || c == '+' || c == '/' || c == '=' || c == '-'; }
static inline uint8_t at(const Segment *s, const uint8_t *p) { return p >= s->start && p < s->end ? *p : 0; }

static inline void masks_of(const uint8_t *p, Masks *m) {
    memset(m, 0, sizeof *m);
#ifdef __SSE2__
    for (int k = 0; k < 4; k++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * k));
        __m128i d = _mm_sub_epi8(v, _mm_set1_epi8('0'));
        __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(9)), d);
        __m128i equals = _mm_cmpeq_epi8(v, _mm_set1_epi8('=')), dash = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));
        __m128i sign = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(':')), equals);
        __m128i l = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
        __m128i token = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(l, _mm_set1_epi8(25)), l), _mm_or_si128(digit, equals));
        token = _mm_or_si128(token, _mm_or_si128(dash, _mm_cmpeq_epi8(v, _mm_set1_epi8('_'))));
        token = _mm_or_si128(token, _mm_cmpeq_epi8(v, _mm_set1_epi8('/')));
        token = _mm_or_si128(token, _mm_cmpeq_epi8(v, _mm_set1_epi8('+')));
        m->token |= (uint64_t)(uint32_t)_mm_movemask_epi8(token) << (16 * k);
        m->digit |= (uint64_t)(uint32_t)_mm_movemask_epi8(digit) << (16 * k);
        m->at |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('@'))) << (16 * k);
        m->colon |= (uint64_t)(uint32_t)_mm_movemask_epi8(sign) << (16 * k);
        m->dash |= (uint64_t)(uint32_t)_mm_movemask_epi8(dash) << (16 * k);
        m->high |= (uint64_t)(uint32_t)_mm_movemask_epi8(v) << (16 * k);
    }
#else
    for (int k = 0; k < 64; k++) {
        uint64_t bit = 1ULL << k;
        if (is_token(p[k])) m->token |= bit;
        if (p[k] == '=') m->colon |= bit;
        if (is_digit(p[k])) m->digit |= bit;
        else if (p[k] == '@') m->at |= bit;
        else if (p[k] == ':') m->colon |= bit;
        else if (p[k] == '-') m->dash |= bit;
        else if (p[k] >= 0x80) m->high |= bit;
    }
#endif
}

static inline int digits_at(const Segment *s, const uint8_t *p, int n) {
    for (int k = 0; k < n; k++)
        if (!is_digit(at(s, p + k))) return 0;
    return 1;
}

static int luhn(const uint8_t *digits, int n) {
    int sum = 0;
    for (int k = 0; k < n; k++) {
        int d = digits[n - 1 - k] - '0';
        sum += k & 1 ? (d > 4 ? 2 * d - 9 : 2 * d) : d;
    }
    return sum % 10 == 0;
}

/* Groups of digits of these lengths with at most one blank or hyphen between them, and the check by Luhn. */
static int card_of(const Segment *s, const uint8_t *p, const int *groups, int n) {
    uint8_t digits[16];
    int found = 0;
    for (int g = 0; g < n; g++) {
        if (g && (at(s, p) == ' ' || at(s, p) == '-')) p++;
        if (!digits_at(s, p, groups[g])) return 0;
        memcpy(digits + found, p, groups[g]);
        found += groups[g];
        p += groups[g];
    }
    return luhn(digits, found);
}

static int is_card(const Segment *s, const uint8_t *p) {
    static const int fours[] = {4, 4, 4, 4}, express[] = {4, 6, 5};
    if (*p >= '2' && *p <= '6' && card_of(s, p, fours, 4)) return 1;
    return *p == '3' && (at(s, p + 1) == '4' || at(s, p + 1) == '7') && card_of(s, p, express, 3);
}

static int is_nir(const Segment *s, const uint8_t *p) {
    static const int groups[] = {1, 2, 2, 2, 3, 3, 2};
    for (int g = 0; g < 7; g++) {
        if (g && at(s, p) == ' ') p++;
        int corsica = g == 3 && at(s, p) == '2' && (at(s, p + 1) == 'A' || at(s, p + 1) == 'B');
        if (!corsica && !digits_at(s, p, groups[g])) return 0;
        p += groups[g];
    }
    return 1;
}

static int is_lettered(const Segment *s, const uint8_t *p, int run) {
    uint8_t before = at(s, p - 1), next = at(s, p + run), after = at(s, p + run + 1);
    int closed = is_upper(next) || (next == '-' && is_upper(after));
    if (run == 8) return closed;
    if (run == 7) return closed && ((uint8_t)(before - 'X') < 3 || (before == '-' && (uint8_t)(at(s, p - 2) - 'X') < 3));
    int opened = is_upper(before) || (before == ' ' && is_upper(at(s, p - 2)));
    if (!opened || (run != 2 && run != 6)) return 0;
    return run == 6 || (next == ' ' && digits_at(s, p + 3, 2)) || (is_upper(next) && is_digit(after));
}

static int grouped_digits(const Segment *s, const uint8_t *p) {
    int digits = 0;
    for (int k = 0; k < 24; k++) {
        uint8_t c = at(s, p + k);
        if (is_digit(c)) digits++;
        else if (!(c == '-' || c == '.' || c == ' ') || !is_digit(at(s, p + k + 1))) break;
    }
    return digits;
}

static int is_named_phone(const Segment *s, const uint8_t *p) {
    static const char ends[][4] = {"tel", "fon", "one", "ono", "ile", "bil", "ndy", "fax", "app"};
    const uint8_t *q = p - 1;
    int skipped = 0;
    while (skipped < 4 && q >= s->start && (*q == ' ' || *q == ':' || *q == '.' || *q == '#' || *q == '(')) q--, skipped++;
    if (!skipped || q - 2 < s->start) return 0;
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
        if ((q[-2] | 0x20) == ends[k][0] && (q[-1] | 0x20) == ends[k][1] && (q[0] | 0x20) == ends[k][2]) return 1;
    return 0;
}

static int is_phone(const Segment *s, const uint8_t *p, int run) {
    if (at(s, p - 1) == '+') return 1;
    if (run == 3 && *p >= '2') {
        const uint8_t *q = p + 3;
        if (at(s, q) == '-' || at(s, q) == '.') q++;
        else if (at(s, q) == ')') q += at(s, q + 1) == ' ' ? 2 : 1;
        else return is_named_phone(s, p);
        if (digits_at(s, q, 3) && (at(s, q + 3) == '-' || at(s, q + 3) == '.') && digits_at(s, q + 4, 4)) return 1;
    }
    return is_named_phone(s, p);
}

static int is_ip(const Segment *s, const uint8_t *p) {
    for (int octet = 0; octet < 4; octet++) {
        int n = 0;
        while (n < 4 && is_digit(at(s, p + n))) n++;
        if (n == 0 || n == 4) return 0;
        p += n;
        if (octet < 3 && at(s, p++) != '.') return 0;
    }
    return 1;
}

static int is_iban(const Segment *s, const uint8_t *p, int run) {
    if (run < 2 || !is_upper(at(s, p - 1)) || !is_upper(at(s, p - 2)) || is_word(at(s, p - 3))) return 0;
    const uint8_t *q = p + 2;
    for (int k = 0; k < 8; k++, q++) {
        if (at(s, q) == ' ') q++;
        if (!is_digit(at(s, q)) && !is_upper(at(s, q))) return 0;
    }
    return 1;
}

static uint32_t number(const Segment *s, const uint8_t *p) {
    int run = 1;
    while (run < 20 && is_digit(at(s, p + run))) run++;
    uint8_t next = at(s, p + run);
    uint32_t bits = 0;
    if (is_card(s, p)) bits |= CARD;
    if (is_lettered(s, p, run)) bits |= LETTERED;
    if (run == 11 || run == 18 || (run == 17 && (next | 0x20) == 'x')) bits |= LONG_NUMBER;
    if ((*p == '1' || *p == '2') && is_nir(s, p)) bits |= LONG_NUMBER;
    if (run == 2 && next == ' ' && digits_at(s, p + 3, 3) && at(s, p + 6) == ' ' && digits_at(s, p + 7, 3)) bits |= LONG_NUMBER;
    if ((run == 2 || run == 3) && (next == '-' || next == '.') && grouped_digits(s, p) >= 9) bits |= GROUPED;
    if (is_phone(s, p, run)) bits |= PHONE;
    if (run < 4 && next == '.' && is_ip(s, p)) bits |= IP;
    if (is_iban(s, p, run)) bits |= IBAN;
    return bits;
}

/* The word of a password before : or =, with at most one blank and one quote between them. */
static int names_password(const Segment *s, const uint8_t *p) {
    static const char *const words[] = {"password", "passwd", "passwort", "passphrase", "pwd", "apikey", "secretkey",
                                        "accesskey", "clientsecret", "accesstoken", "authtoken", "refreshtoken"};
    const uint8_t *q = p - 1;
    if (q >= s->start && (*q == ' ' || *q == '\t')) q--;
    if (q >= s->start && (*q == '"' || *q == '\'')) q--;
    char back[16];
    int n = 0;
    for (; n < 15 && q >= s->start; q--) {
        if (*q == '_' || *q == '-') continue;
        if (!is_letter(*q)) break;
        back[n++] = (char)(*q | 0x20);
    }
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        int length = (int)strlen(words[w]), k = 0;
        if (length > n) continue;
        while (k < length && back[k] == words[w][length - 1 - k]) k++;
        if (k == length) return 1;
    }
    return 0;
}

static uint32_t address(const Segment *s, const uint8_t *p) {
    uint8_t before = at(s, p - 1), next = at(s, p + 1);
    uint32_t bits = 0;
    if ((is_word(before) || before == '.' || before == '%' || before == '+' || before == '-') &&
        (is_digit(next) || is_letter(next) || next == '-'))
        bits |= EMAIL;
    for (const uint8_t *q = p - 1; q - 2 >= s->start && p - q < 600 && *q != ' ' && (uint8_t)(*q - 9) > 4; q--)
        if (*q == '/' && q[-1] == '/' && q[-2] == ':') return bits | URL_PASSWORD;
    return bits;
}

static int begins_key(const uint8_t *p, const uint8_t *end) {
    static const char *const heads[] = {"AKIA", "ASIA", "gh", "glpat-", "xox", "sk_", "rk_", "pk_", "sk-", "AIza",
                                        "hf_", "npm_", "pypi-", "shp", "dop_v1_", "doo_v1_", "dor_v1_", "eyJ"};
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) {
        size_t n = strlen(heads[k]);
        if ((size_t)(end - p) >= n && *p == (uint8_t)heads[k][0] && !memcmp(p, heads[k], n)) return 1;
    }
    return 0;
}

static uint32_t token(const uint8_t *p, const uint8_t *end) {
    uint32_t bits = 0;
    int digits = 0, turns = 0, last = -1;
    for (const uint8_t *q = p; q < end; q++)
        if ((q == p || !is_word(q[-1])) && begins_key(q, end)) bits |= KEY;
    while (p < end && (*p == '_' || !is_word(*p))) p++;
    while (end > p && (end[-1] == '_' || !is_word(end[-1]))) end--;
    for (const uint8_t *q = p; q < end; q++) {
        int kind = is_digit(*q) ? 0 : is_upper(*q) ? 1 : is_lower(*q) ? 2 : 3;
        digits += kind == 0;
        turns += kind != last;
        last = kind;
    }
    long length = end - p;
    if (length >= TOKEN && digits >= 3 && turns * 5 >= length) bits |= ENTROPY;
    return bits;
}

/* The run of a token around p, unless it was looked at already. */
static void run_at(Segment *s, Carry *c, const uint8_t *p) {
    if (p < c->run_end) return;
    const uint8_t *from = p, *to = p + 1;
    while (from > s->start && is_token(from[-1])) from--;
    while (to < s->end && is_token(*to)) to++;
    c->run_end = to;
    s->bits |= token(from, to);
}

/* Runs of thirteen signs of a token or more, inside the block or over its beginning. */
static void runs(Segment *s, Carry *c, const uint8_t *p, uint64_t token) {
    int head = token == ~0ULL ? 64 : __builtin_ctzll(~token);
    if (head && c->tail + head >= RUN) run_at(s, c, p);
    uint64_t w = token & token >> 1;
    w &= w >> 2;
    w &= w >> 4;
    w &= w >> 5;
    while (UNLIKELY(w)) {
        const uint8_t *q = p + __builtin_ctzll(w);
        run_at(s, c, q);
        int64_t done = c->run_end - p;
        w = done >= 64 ? 0 : w & ~0ULL << done;
    }
    c->tail = token == ~0ULL ? RUN : __builtin_clzll(~token);
}

/* How many bytes a sign takes that a continuation byte looks like in Latin-1 or Windows-1252; 0 if it is none. */
static inline int mistaken(const Segment *s, const uint8_t *p) {
    uint8_t c = at(s, p);
    return c == 0xC2 || c == 0xC5 || c == 0xC6 || c == 0xCB ? 2 : c == 0xE2 ? 3 : 0;
}

static int wrong_latin(const Segment *s, const uint8_t *p) {
    uint8_t b = p[1];
    int first = mistaken(s, p + 2);
    if (!first || b < 0x82 || b > 0xB0) return 0;
    return b < 0xA2 || mistaken(s, p + 2 + first);
}

static int wrong_cyrillic(const Segment *s, const uint8_t *p) {
    if (p[1] != 0xA0 && p[1] != 0xA1) return 0;
    uint8_t c = at(s, p + 2), d = at(s, p + 3);
    return (c == 0xD0 && d < 0x90) || (c == 0xD1 && d >= 0x90) || c == 0xD2 || c == 0xC2 || c == 0xE2;
}

static inline int emoji(const Segment *s, const uint8_t *p) {
    if (at(s, p) == 0xF0) return at(s, p + 1) == 0x9F && at(s, p + 2) < 0xB0;
    return at(s, p) == 0xE2 && at(s, p + 1) >= 0x87 && at(s, p + 1) <= 0xAF;
}

static inline const uint8_t *sign_before(const Segment *s, const uint8_t *p) {
    do p--;
    while (p > s->start && (*p & 0xC0) == 0x80);
    return p;
}

static int unseen_joiner(const Segment *s, const uint8_t *p) {
    const uint8_t *q = sign_before(s, p);
    uint8_t c = at(s, q), d = at(s, q + 1), next = at(s, p + 3), after = at(s, p + 4);
    if (p[2] == 0x8B) return !(c == 0xE0 && d >= 0xB8 && d <= 0xBB && next == 0xE0 && after >= 0xB8 && after <= 0xBB);
    if ((c >= 0xD8 && c <= 0xDD) || (c == 0xE0 && d >= 0xA0 && d <= 0xB7)) return 0;
    if (p[2] == 0x8C) return 1;
    return !((emoji(s, q) || (c == 0xEF && d == 0xB8 && at(s, q + 2) == 0x8F)) && emoji(s, p + 3));
}

static int unseen_general(const Segment *s, const uint8_t *p) {
    uint8_t b = p[1], c = p[2];
    if (b == 0x80) return (c >= 0x8B && c <= 0x8D) ? unseen_joiner(s, p) : c == 0x8E || c == 0x8F || (c >= 0xAA && c <= 0xAE);
    if (b == 0x81) return c >= 0xA0 && c <= 0xA9;
    if (b == 0x88) return c == 0x9A && is_letter(at(s, p - 1));
    if (b != 0x94 || c != 0x9C) return 0;
    uint8_t next = at(s, p + 3), after = at(s, p + 4);
    return is_letter(at(s, p - 1)) || next == 0xC2 || next == 0xC3 || next == 0xC6 ||
           (next == 0xE2 && (after == 0x8C || after == 0x82));
}

static int unseen_special(const Segment *s, const uint8_t *p) {
    uint8_t b = p[1], c = p[2];
    if (b == 0xB8 && c == 0x8F) return !emoji(s, sign_before(s, p));
    return (b == 0xB8 && c < 0x90) || (b == 0xBB && c == 0xBF) || (b == 0xBF && c == 0xBD) || (b == 0xBE && c == 0xA0);
}

static int unseen(const Segment *s, const uint8_t *p) {
    switch (*p) {
    case 0xC2: return p[1] == 0xAD || (p[1] < 0xA0 && p[1] != 0x85);
    case 0xC3: return wrong_latin(s, p);
    case 0xCD: return p[1] == 0x8F;
    case 0xD0: return wrong_cyrillic(s, p);
    case 0xD8: return p[1] == 0x9C;
    case 0xE1: return (p[1] == 0xA0 && p[2] == 0x8E) || (p[1] == 0x85 && (p[2] == 0x9F || p[2] == 0xA0));
    case 0xE2: return unseen_general(s, p);
    case 0xE3: return p[1] == 0x85 && p[2] == 0xA4;
    case 0xEF: return unseen_special(s, p);
    case 0xF3: return p[1] == 0xA0;
    default: return 0;
    }
}

static int begins_private(const Segment *s, const uint8_t *p) {
    for (int k = 0; k < 5 && p < s->end && *p == '-'; k++) p++;
    return s->end - p >= 6 && !memcmp(p, "BEGIN ", 6);
}

static void block(Segment *s, const uint8_t *p, uint64_t valid, Carry *c) {
    Masks m;
    masks_of(p, &m);
    uint64_t digit = m.digit & valid;
    for (uint64_t w = digit & ~(digit << 1 | c->digit); w; w &= w - 1) s->bits |= number(s, p + __builtin_ctzll(w));
    c->digit = digit >> 63;
    runs(s, c, p, m.token & valid);
    for (uint64_t w = m.at & valid; w; w &= w - 1) s->bits |= address(s, p + __builtin_ctzll(w));
    if (!(s->bits & PASSWORD))
        for (uint64_t w = m.colon & valid; w; w &= w - 1)
            if (names_password(s, p + __builtin_ctzll(w))) s->bits |= PASSWORD;
    /* Of five hyphens in a row three stand in one block. */
    uint64_t dashes = m.dash & m.dash >> 1 & m.dash >> 2 & valid;
    for (; UNLIKELY(dashes); dashes &= dashes - 1)
        if (begins_private(s, p + __builtin_ctzll(dashes))) s->bits |= PRIVATE_KEY;
    if (!(s->bits & UNSEEN))
        for (uint64_t w = m.high & valid; w; w &= w - 1) {
            const uint8_t *q = p + __builtin_ctzll(w);
            if (*q >= 0xC2 && unseen(s, q)) {
                s->bits |= UNSEEN;
                break;
            }
        }
}

/* bits[n] of each segment; 64 bytes after the text may be read. Returns how many segments have any. */
EXPORT int64_t luthier_scan(const uint8_t *text, const int64_t *start, const int64_t *end, int64_t segments, uint32_t *bits) {
    int64_t flagged = 0;
    for (int64_t n = 0; n < segments; n++) {
        Segment s = {text + start[n], text + end[n], 0};
        Carry c = {0, 0, s.start};
        for (const uint8_t *p = s.start; p < s.end; p += 64) {
            int64_t left = s.end - p;
            block(&s, p, left >= 64 ? ~0ULL : (1ULL << left) - 1, &c);
        }
        bits[n] = s.bits;
        flagged += s.bits != 0;
    }
    return flagged;
}
