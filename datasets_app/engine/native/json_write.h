/* Rows as they are written: segments of text, the stored form of turns, tags and tools, and the canonical form. */
#ifndef LUTHIER_JSON_WRITE_H
#define LUTHIER_JSON_WRITE_H

#include "json_echo.h"

enum { CHAT, SHAREGPT, PROMPT_COMPLETION, ALPACA, TEXT };
enum { MORE, FULL, OTHER, NO_MEMORY };

#define MOST_UNKNOWN 32

/* What a turn carries besides, in the order in which it is stored; canonical forms have it in that of the alphabet. */
enum { K_NAME, K_CALL_ID, K_THINKING, K_REASONING, KEPT };
static const char *const kept_names[KEPT] = {"name", "tool_call_id", "thinking", "reasoning_content"};

typedef struct {
    Span content, kept[KEPT]; /* s is NULL for what is not there */
    int role, weight;         /* -1: no weight */
    int seen;                 /* a bit for each kept name, and one for the calls */
    Echoed calls;             /* n is 0 without any */
} Turn;

/* Top-level fields that some plain shape reads. */
enum { F_TURNS, F_SYSTEM, F_PROMPT, F_COMPLETION, F_INSTRUCTION, F_INPUT, F_OUTPUT, F_TEXT, F_LABEL, F_CATEGORY, F_ID,
       F_TAGS, F_TOOLS, FIELDS };

typedef struct {
    Span text[FIELDS]; /* of scalars: as they are to be stored */
    int seen[FIELDS];  /* 1 there but null, 2 a value */
    int64_t n_turns, n_tags;
    Echoed tools;
    Span unknown[MOST_UNKNOWN];
    int n_unknown;
} Record;

/* ---- columns ------------------------------------------------------------------------------------------------ */

static int column_ready(Column *c, int64_t bytes) {
    return reserve(&c->data, bytes + 1) && reserve(&c->offsets, 16) && reserve(&c->valid, 1);
}

static void column_end(Column *c, int valid) {
    PUSH(&c->offsets, int64_t, c->data.n);
    PUSH(&c->valid, uint8_t, (uint8_t)valid);
    c->nulls += !valid;
}

static void column_reset(Column *c) {
    c->data.n = c->valid.n = c->nulls = 0;
    c->offsets.n = 0;
    PUSH(&c->offsets, int64_t, 0);
}

/* ---- writing a row ------------------------------------------------------------------------------------------ */

/* A field of a turn in the canonical form. */
static void put_canon(Kernel *k, const char *name, const uint8_t *value, int64_t n) {
    Buffer *c = &k->canon;
    PUT(c, "\"");
    put(c, name, (int64_t)strlen(name));
    PUT(c, "\":");
    put(c, value, n);
    PUT(c, ",");
}

/* A text of a turn behind its name; returns where its spelling with the quotes begins. */
static int64_t put_kept(Buffer *m, const char *name, const Span *text) {
    PUT(m, ",\"");
    put(m, name, (int64_t)strlen(name));
    PUT(m, "\":");
    int64_t from = m->n;
    PUT(m, "\"");
    m->n = j_spelled(m->p + m->n, text) - m->p;
    PUT(m, "\"");
    return from;
}

static void put_part(Kernel *k, const Span *text, int role, int part, int flags) {
    int64_t from = k->text.n;
    k->text.n = j_plain(k->text.p + from, text) - k->text.p;
    put_segment(k, from, role, part, flags);
}

/* A turn with more than role, content and weight. */
static void put_rich_turn(Kernel *k, const Turn *turn, int part) {
    static const int by_alphabet[] = {K_NAME, K_REASONING, -1, K_THINKING, K_CALL_ID};
    Buffer *m = &k->columns[C_MESSAGES].data, *c = &k->canon;
    const char *role = role_names[turn->role];
    int trained = turn->role == ASSISTANT && turn->weight ? TRAINED : 0;
    int64_t at[KEPT], ends[KEPT];
    PUT(m, "{\"role\":\"");
    put(m, role, (int64_t)strlen(role));
    PUT(m, "\"");
    int64_t content = put_kept(m, "content", &turn->content), content_end = m->n;
    for (int i = 0; i < KEPT; i++) {
        if (!turn->kept[i].s) continue;
        at[i] = put_kept(m, kept_names[i], &turn->kept[i]);
        ends[i] = m->n;
    }
    PUT(c, "{");
    put_canon(k, "content", m->p + content, content_end - content);
    for (size_t i = 0; i < sizeof by_alphabet / sizeof *by_alphabet; i++) {
        int n = by_alphabet[i];
        if (n < 0) {
            PUT(c, "\"role\":\"");
            put(c, role, (int64_t)strlen(role));
            PUT(c, "\",");
        } else if (turn->kept[n].s) {
            put_canon(k, kept_names[n], m->p + at[n], ends[n] - at[n]);
        }
    }
    if (turn->calls.n) {
        PUT(m, ",\"tool_calls\":");
        put(m, k->echoed.p + turn->calls.at, turn->calls.n);
        put_canon(k, "tool_calls", k->sorted.p + turn->calls.sorted_at, turn->calls.n);
    }
    if (turn->weight >= 0) {
        put(m, turn->weight ? ",\"weight\":1" : ",\"weight\":0", 11);
        put_canon(k, "weight", (const uint8_t *)(turn->weight ? "1" : "0"), 1);
    }
    c->p[c->n - 1] = '}'; /* over the last comma */
    PUT(m, "}");
    const int thoughts[] = {K_THINKING, K_REASONING};
    for (int i = 0; i < 2; i++)
        if (turn->kept[thoughts[i]].n) put_part(k, &turn->kept[thoughts[i]], turn->role, part, trained | THINKING);
    put_part(k, &turn->content, turn->role, part, trained | (turn->calls.n ? 0 : ENDS_TURN));
    if (!turn->calls.n) return;
    int64_t from = k->text.n;
    put(&k->text, k->echoed.p + turn->calls.at, turn->calls.n);
    put_segment(k, from, turn->role, part, trained | CALL | ENDS_TURN);
}

static int is_rich(const Turn *turn) {
    int found = turn->calls.n > 0;
    for (int i = 0; i < KEPT; i++) found |= turn->kept[i].s != NULL;
    return found;
}

/* A turn whose content is one text, or two with a line break between. */
static void put_turn(Kernel *k, int role, int weight, const Span *one, const Span *two, int part, int first) {
    Buffer *m = &k->columns[C_MESSAGES].data, *c = &k->canon;
    const char *name = role_names[role];
    int64_t size = (int64_t)strlen(name), from = k->text.n;
    const Span *parts[] = {one, two};
    if (!first) m->p[m->n++] = ',', c->p[c->n++] = ',';
    PUT(m, "{\"role\":\"");
    put(m, name, size);
    PUT(m, "\",\"content\":\"");
    int64_t spelled = m->n;
    for (int i = 0; i < 2 && parts[i]; i++) {
        if (i) k->text.p[k->text.n++] = '\n', PUT(m, "\\n");
        k->text.n = j_plain(k->text.p + k->text.n, parts[i]) - k->text.p;
        m->n = j_spelled(m->p + m->n, parts[i]) - m->p;
    }
    PUT(c, "{\"content\":\"");
    put(c, m->p + spelled, m->n - spelled);
    PUT(c, "\",\"role\":\"");
    put(c, name, size);
    PUT(c, "\"");
    PUT(m, "\"");
    if (weight >= 0) {
        const char *text = weight ? ",\"weight\":1" : ",\"weight\":0";
        put(m, text, 11);
        put(c, text, 11);
    }
    PUT(c, "}");
    PUT(m, "}");
    put_segment(k, from, role, part, ENDS_TURN | (role == ASSISTANT && weight ? TRAINED : 0));
}

static void put_turns(Kernel *k, const Record *r) {
    const Turn *turns = (const Turn *)k->turns.p;
    int first = 1;
    if (r->seen[F_SYSTEM] == 2 && r->text[F_SYSTEM].n && turns[0].role != SYSTEM) {
        put_turn(k, SYSTEM, -1, &r->text[F_SYSTEM], NULL, PROMPT, 1);
        first = 0;
    }
    for (int64_t i = 0; i < r->n_turns; i++, first = 0) {
        int part = i == r->n_turns - 1 ? ANSWER : PROMPT;
        if (!is_rich(&turns[i])) {
            put_turn(k, turns[i].role, turns[i].weight, &turns[i].content, NULL, part, first);
            continue;
        }
        if (!first) {
            PUT(&k->columns[C_MESSAGES].data, ",");
            PUT(&k->canon, ",");
        }
        put_rich_turn(k, &turns[i], part);
    }
}

static void put_alpaca(Kernel *k, const Record *r) {
    const Span *asked = &r->text[F_INSTRUCTION], *input = r->seen[F_INPUT] == 2 ? &r->text[F_INPUT] : NULL;
    int system = r->seen[F_SYSTEM] == 2 && r->text[F_SYSTEM].n;
    if (input && !input->n) input = NULL;
    if (input && !asked->n) asked = input, input = NULL;
    if (system) put_turn(k, SYSTEM, -1, &r->text[F_SYSTEM], NULL, PROMPT, 1);
    put_turn(k, USER, -1, asked, input, PROMPT, !system);
    put_turn(k, ASSISTANT, -1, &r->text[F_OUTPUT], NULL, ANSWER, 0);
}

static void put_document(Kernel *k, const Record *r) {
    Column *text = &k->columns[C_TEXT];
    int64_t from = k->text.n;
    const Span *span = &r->text[F_TEXT];
    k->text.n = j_plain(k->text.p + from, span) - k->text.p;
    put(&text->data, k->text.p + from, k->text.n - from);
    k->canon.n = j_spelled(k->canon.p + k->canon.n, span) - k->canon.p;
    put_segment(k, from, USER, DOCUMENT, TRAINED | ENDS_TURN);
}

static void put_about(Kernel *k, const Record *r) {
    /* A label that is there, even as null, stands before a category. */
    int label = r->seen[F_LABEL] ? F_LABEL : F_CATEGORY;
    const int fields[] = {label, F_ID}, columns[] = {C_LABEL, C_ID};
    for (int i = 0; i < 2; i++) {
        Column *c = &k->columns[columns[i]];
        const Span *s = &r->text[fields[i]];
        int there = r->seen[fields[i]] == 2 && s->n;
        if (there) c->data.n = j_plain(c->data.p + c->data.n, s) - c->data.p;
        column_end(c, there);
    }
    Column *tags = &k->columns[C_TAGS];
    const Span *all = (const Span *)k->tags.p;
    for (int64_t i = 0; i < r->n_tags; i++) {
        put(&tags->data, i ? ",\"" : "[\"", 2);
        tags->data.n = j_spelled(tags->data.p + tags->data.n, &all[i]) - tags->data.p;
        PUT(&tags->data, "\"");
    }
    if (r->n_tags) PUT(&tags->data, "]");
    column_end(tags, r->n_tags > 0);
}

/* Room for all of one row, so that the writing itself asks no more. */
static int row_ready(Kernel *k, int64_t size, int64_t turns, int64_t tags) {
    int ok = reserve(&k->text, size + 2 + PADDING) && segments_ready(k, 4 * turns) && reserve(&k->canon_end, 8);
    ok = ok && reserve(&k->row_seg, 8) && reserve(&k->line, 8) && reserve(&k->digest, 32);
    for (int c = 0; ok && c < COLUMNS; c++) {
        int wide = c == C_MESSAGES || c == C_LABEL || c == C_TAGS || c == C_ID || (c == C_TEXT && k->format == TEXT);
        ok = column_ready(&k->columns[c], (wide ? size : 0) + (c == C_MESSAGES ? 160 * turns + 8 : 0) + 4 * tags + 8);
    }
    return ok && reserve(&k->canon, size + 160 * turns + 64);
}

static void put_tools(Kernel *k, const Record *r) {
    if (!r->tools.n) {
        PUT(&k->canon, "null");
        return;
    }
    put(&k->columns[C_TOOLS].data, k->echoed.p + r->tools.at, r->tools.n);
    put(&k->canon, k->sorted.p + r->tools.sorted_at, r->tools.n);
}

static int put_row(Kernel *k, const Record *r, int64_t line, int64_t size) {
    /* What stands for the calls and tools may be longer than what it was read from. */
    if (!row_ready(k, size + k->echoed.n, r->n_turns + 3, r->n_tags)) return 0;
    Column *messages = &k->columns[C_MESSAGES], *tools = &k->columns[C_TOOLS];
    if (!reserve(&tools->data, r->tools.n)) return 0;
    if (k->format == TEXT) {
        PUT(&k->canon, "[\"text\",[],null,null,");
        put_tools(k, r);
        PUT(&k->canon, ",\"");
        put_document(k, r);
        PUT(&k->canon, "\"]");
        PUT(&messages->data, "[]");
    } else {
        PUT(&k->canon, "[\"sft\",[");
        PUT(&messages->data, "[");
        if (k->format == ALPACA) {
            put_alpaca(k, r);
        } else if (k->format == PROMPT_COMPLETION) {
            put_turn(k, USER, -1, &r->text[F_PROMPT], NULL, PROMPT, 1);
            put_turn(k, ASSISTANT, -1, &r->text[F_COMPLETION], NULL, ANSWER, 0);
        } else {
            put_turns(k, r);
        }
        PUT(&k->canon, "],null,null,");
        put_tools(k, r);
        PUT(&k->canon, ",null]");
        PUT(&messages->data, "]");
    }
    put_about(k, r);
    column_end(messages, 1);
    column_end(&k->columns[C_TEXT], k->format == TEXT);
    column_end(tools, r->tools.n > 0);
    const int none[] = {C_CHOSEN, C_REJECTED, C_EXTRAS, C_PROVENANCE};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) column_end(&k->columns[none[i]], 0);
    row_end(k, line);
    return 1;
}

#endif
