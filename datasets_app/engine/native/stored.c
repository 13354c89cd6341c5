/* The stored form of rows back into segments and canonical forms: turns as native/json.c and batch.py write them. */
#include "json_kernel.h"

enum { T_CONTENT, T_NAME, T_REASONING, T_ROLE, T_THINKING, T_CALL_ID, T_CALLS, T_WEIGHT, T_FIELDS };

/* In the order of the canonical form. */
static const char *const turn_fields[T_FIELDS] = {
    "content", "name", "reasoning_content", "role", "thinking", "tool_call_id", "tool_calls", "weight"};

typedef struct {
    Span value[T_FIELDS];
    int seen[T_FIELDS]; /* 0 no, 1 a text, 2 another value as it stands */
    int strange;        /* has fields besides: its canonical form is Python's to write */
} StoredTurn;

static int read_stored_turn(Scan *j, StoredTurn *t) {
    int more = 1;
    Span key;
    memset(t, 0, sizeof *t);
    if (j->p >= j->end || *j->p != '{' || !j_deeper(j) || j_empty(j, '}')) return 0;
    while (more == 1) {
        int field = 0;
        if (!j_member(j, &key)) return 0;
        while (field < T_FIELDS && !is(&key, turn_fields[field])) field++;
        if (field == T_FIELDS || t->seen[field]) {
            t->strange = 1;
            if (!j_value(j)) return 0;
        } else if (j->p < j->end && *j->p == '"' && field != T_CALLS && field != T_WEIGHT) {
            if (!j_string(j, &t->value[field])) return 0;
            t->seen[field] = 1;
        } else {
            const uint8_t *s = j->p;
            if (!j_value(j)) return 0;
            t->value[field] = (Span){s, j->p - s, 0};
            t->seen[field] = 2;
        }
        more = j_next(j, '}');
    }
    if (t->seen[T_CALLS] || t->seen[T_CONTENT] == 2 || t->seen[T_WEIGHT] == 1) t->strange = 1;
    return more && t->seen[T_ROLE] == 1 && t->seen[T_CONTENT] == 1;
}

static int stored_role(const Span *s) {
    for (int role = 0; role < 4; role++)
        if (is(s, role_names[role])) return role;
    return -1;
}

static void put_stored_canon(Buffer *c, const StoredTurn *t) {
    int first = 1;
    PUT(c, "{");
    for (int f = 0; f < T_FIELDS; f++) {
        if (!t->seen[f]) continue;
        put(c, first ? "\"" : ",\"", first ? 1 : 2);
        put(c, turn_fields[f], (int64_t)strlen(turn_fields[f]));
        PUT(c, "\":");
        if (t->seen[f] == 1) {
            PUT(c, "\"");
            c->n = j_spelled(c->p + c->n, &t->value[f]) - c->p;
            PUT(c, "\"");
        } else {
            put(c, t->value[f].s, t->value[f].n);
        }
        first = 0;
    }
    PUT(c, "}");
}

static void put_stored_part(Kernel *k, const Span *s, int role, int part, int flags) {
    int64_t from = k->text.n;
    if (flags & CALL) put(&k->text, s->s, s->n);
    else k->text.n = j_plain(k->text.p + from, s) - k->text.p;
    put_segment(k, from, role, part, flags);
}

static int put_stored_turn(Kernel *k, const StoredTurn *t, int part) {
    int role = stored_role(&t->value[T_ROLE]);
    const Span *weight = &t->value[T_WEIGHT], *calls = &t->value[T_CALLS];
    int zero = t->seen[T_WEIGHT] && weight->n && (weight->s[0] == '0' || weight->s[0] == 'n' || weight->s[0] == 'f');
    int trained = role == ASSISTANT && !zero ? TRAINED : 0;
    int called = t->seen[T_CALLS] && calls->n > 2 && calls->s[0] == '[';
    const int thoughts[] = {T_THINKING, T_REASONING};
    if (role < 0) return 0;
    for (int i = 0; i < 2; i++)
        if (t->seen[thoughts[i]] == 1 && t->value[thoughts[i]].n)
            put_stored_part(k, &t->value[thoughts[i]], role, part, trained | THINKING);
    put_stored_part(k, &t->value[T_CONTENT], role, part, trained | (called ? 0 : ENDS_TURN));
    if (called) put_stored_part(k, calls, role, part, trained | CALL | ENDS_TURN);
    return 1;
}

/* A stored list of turns: segments and canonical form. The last turn is of the part `last`, the others of `before`. */
static int put_stored_list(Kernel *k, const uint8_t *data, int64_t n, int before, int last, int *strange) {
    Scan *j = &k->scan;
    StoredTurn turn;
    int more = 1;
    j_open(j, data, n);
    j_space(j);
    if (j->p >= j->end || *j->p != '[' || !j_deeper(j)) return 0;
    PUT(&k->canon, "[");
    if (j_empty(j, ']')) more = 2;
    for (int64_t i = 0; more == 1; i++) {
        if (!segments_ready(k, 8) || !read_stored_turn(j, &turn)) return 0;
        more = j_next(j, ']');
        *strange |= turn.strange;
        if (!more || !put_stored_turn(k, &turn, more == 2 ? last : before)) return 0;
        if (i) PUT(&k->canon, ",");
        put_stored_canon(&k->canon, &turn);
    }
    PUT(&k->canon, "]");
    return 1;
}

/* Columns in the order messages, chosen, rejected, tools, text; `there` tells for each row whether it has a value. */
enum { MESSAGES, CHOSEN, REJECTED_ONES, TOOLS, DOCUMENTS, PARTS };
enum { SFT, PREFERENCE, PLAIN_TEXT };

static int put_stored(Kernel *k, int kind, const Span *value) {
    static const char *const heads[] = {"[\"sft\",", "[\"preference\",", "[\"text\","};
    int64_t size = 0, begun = k->canon.n;
    int strange = value[TOOLS].s != NULL;
    for (int c = 0; c < PARTS; c++) size += value[c].n;
    /* A document is spelled anew, six bytes for one at the worst; turns are spelled already. */
    if (!reserve(&k->text, size + PADDING) || !reserve(&k->canon, size + 5 * value[DOCUMENTS].n + 128)) return 0;
    put(&k->canon, heads[kind], (int64_t)strlen(heads[kind]));
    for (int c = MESSAGES; c <= REJECTED_ONES; c++) {
        int part = c == MESSAGES ? PROMPT : c == CHOSEN ? ANSWER : REJECTED;
        int last = c == MESSAGES && kind == SFT ? ANSWER : part;
        if (!value[c].s) PUT(&k->canon, "null");
        else if (!put_stored_list(k, value[c].s, value[c].n, part, last, &strange)) return 0;
        PUT(&k->canon, ",");
    }
    PUT(&k->canon, "null,");
    if (kind == PLAIN_TEXT) {
        int64_t from = k->text.n;
        if (!segments_ready(k, 1)) return 0;
        put(&k->text, value[DOCUMENTS].s ? value[DOCUMENTS].s : (const uint8_t *)"", value[DOCUMENTS].n);
        put_segment(k, from, USER, DOCUMENT, TRAINED | ENDS_TURN);
    }
    if (value[DOCUMENTS].s) k->canon.n = j_quoted(k->canon.p + k->canon.n, value[DOCUMENTS].s, value[DOCUMENTS].n) - k->canon.p;
    else PUT(&k->canon, "null");
    PUT(&k->canon, "]");
    if (strange) k->canon.n = begun;
    return strange ? 2 : 1;
}

/* Rows of one kind as they are stored. python[i] is set for rows whose digest Python has to make. Returns how many rows
 * went well: fewer than `rows` when one is not of the stored form, or memory is short. */
EXPORT int64_t luthier_json_stored(Kernel *k, int kind, int64_t rows, const uint8_t *const *data,
                                   const int64_t *const *offsets, const uint8_t *const *there, const int64_t *lines,
                                   uint8_t *python) {
    for (int64_t i = 0; i < rows; i++) {
        Span value[PARTS];
        for (int c = 0; c < PARTS; c++) {
            value[c] = (Span){NULL, 0, 0};
            if (there[c] && there[c][i]) value[c] = (Span){data[c] + offsets[c][i], offsets[c][i + 1] - offsets[c][i], 0};
        }
        if (!reserve(&k->row_seg, 8) || !reserve(&k->line, 8) || !reserve(&k->digest, 32) || !reserve(&k->canon_end, 8))
            return i;
        int done = put_stored(k, kind, value);
        if (!done) return i;
        python[i] = done == 2;
        memset(k->digest.p + 32 * k->rows, 0, 32);
        row_end(k, lines[i]);
    }
    return rows;
}
