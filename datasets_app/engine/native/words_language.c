/* The language of a text: its script, then votes of common words where a script serves several languages. */
#include "words_state.h"
#include "words_unicode.h"

/* As in domain/languages.py. */
enum { UNKNOWN, CODE, EN, DE, FR, ES, IT, PT, NL, PL, RU, UK, AR, ZH, JA, KO, HI, TR, TH, EL, HE, ANOTHER };

static const struct {
    uint8_t script, language;
} own[] = {
    {S_ARABIC, AR}, {S_HEBREW, HE},    {S_DEVANAGARI, HI}, {S_HANGUL, KO},     {S_THAI, TH},     {S_GREEK, EL},
    {S_LAO, ANOTHER}, {S_KHMER, ANOTHER}, {S_MYANMAR, ANOTHER}, {S_BENGALI, ANOTHER}, {S_TAMIL, ANOTHER},
    {S_TELUGU, ANOTHER}, {S_ARMENIAN, ANOTHER}, {S_GEORGIAN, ANOTHER}, {S_ETHIOPIC, ANOTHER}, {S_GUJARATI, ANOTHER},
    {S_KANNADA, ANOTHER}, {S_MALAYALAM, ANOTHER}, {S_GURMUKHI, ANOTHER}, {S_SINHALA, ANOTHER},
};

static uint8_t latin(const Votes *v) {
    static const uint8_t candidates[] = {EN, DE, FR, ES, IT, PT, NL, PL, TR};
    uint32_t best = 0, second = 0;
    uint8_t language = UNKNOWN;
    for (size_t i = 0; i < sizeof candidates; i++) {
        uint32_t votes = v->language[candidates[i]];
        if (votes > best) {
            second = best;
            best = votes;
            language = candidates[i];
        } else if (votes > second) {
            second = votes;
        }
    }
    /* One word in twelve, and a lead of a fifth: prose has one in three. */
    return best >= 2 && best * 12 >= v->words && best * 5 >= second * 6 ? language : UNKNOWN;
}

uint8_t words_language(const Words *w, const Votes *v) {
    if (!w->stop_key || v->words < 2) return UNKNOWN;
    if (v->code >= 6 && v->code * 3 > v->words) return CODE;
    /* Characters that are words of their own weigh half. */
    uint32_t east = (v->script[S_HAN] + v->script[S_KANA]) / 2, best = v->script[S_LATIN] / 2;
    uint8_t language = UNKNOWN;
    int is_latin = 1;
    if (east > best) {
        best = east;
        is_latin = 0;
        language = v->script[S_KANA] * 10 >= v->script[S_HAN] + v->script[S_KANA] ? JA : ZH;
    }
    if (v->script[S_CYRILLIC] > best) {
        best = v->script[S_CYRILLIC];
        is_latin = 0;
        uint32_t ru = v->language[RU], uk = v->language[UK];
        language = uk > ru ? UK : ru || v->words < 12 ? RU : ANOTHER;
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        uint32_t n = v->script[own[i].script];
        if (own[i].script >= S_THAI && own[i].script <= S_MYANMAR) n /= 2;
        if (n <= best) continue;
        best = n;
        is_latin = 0;
        language = own[i].language;
    }
    return is_latin ? latin(v) : language;
}
