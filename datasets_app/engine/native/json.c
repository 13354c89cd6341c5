/* Rows out of JSON without an object of the interpreter for each: lines of JSONL into the arrays of a batch, and the
 * stored form of a version into its segments. A line that is not of the plain shape of its format, or not JSON at all,
 * is handed back: the readers in Python are the reference for it, and name what is wrong. */
#include "json_write.h"

/* ---- reading a line ----------------------------------------------------------------------------------------- */

/* A known name, its length, and what it stands for. */
typedef struct {
    const char *name;
    int64_t n;
    int what, formats;
} Word;

#define W(name, what) {name, sizeof(name) - 1, what, 0}
#define F(name, what, formats) {name, sizeof(name) - 1, what, formats}

static int role_of(const Span *s, int format) {
    static const Word chat[] = {W("user", USER),      W("assistant", ASSISTANT),   W("system", SYSTEM),
                                W("tool", TOOL),      W("developer", SYSTEM),      W("function", TOOL)};
    static const Word sharegpt[] = {W("human", USER),    W("gpt", ASSISTANT),     W("user", USER),
                                    W("assistant", ASSISTANT), W("system", SYSTEM), W("chatgpt", ASSISTANT),
                                    W("observation", TOOL), W("tool", TOOL)};
    const Word *known = format == CHAT ? chat : sharegpt;
    size_t n = format == CHAT ? sizeof chat / sizeof *chat : sizeof sharegpt / sizeof *sharegpt;
    for (size_t i = 0; i < n; i++)
        if (known[i].n == s->n && !memcmp(s->s, known[i].name, (size_t)s->n)) return known[i].what;
    return -1;
}

static inline int null_here(Scan *j) { return j->p < j->end && *j->p == 'n' && j_word(j, "null", 4); }

static inline int text_here(Scan *j, Span *out) {
    return j->p < j->end && *j->p == '"' && j_string(j, out) && !(out->flags & S_NUL);
}

static int read_weight(Scan *j, Turn *turn) {
    if (turn->weight != -2) return 0;
    if (null_here(j)) turn->weight = -1;
    else if (j->p < j->end && (*j->p == '0' || *j->p == '1')) turn->weight = *j->p++ - '0';
    else return 0; /* a 1.0 or 10 shows itself behind it: no comma follows */
    return 1;
}

/* One field of a chat turn besides role and content. */
static int read_chat_field(Kernel *k, const Span *key, Turn *turn) {
    if (is(key, "weight")) return read_weight(&k->scan, turn);
    int n = 0;
    while (n < KEPT && !is(key, kept_names[n])) n++;
    if ((n == KEPT && !is(key, "tool_calls")) || turn->seen >> n & 1) return 0;
    turn->seen |= 1 << n;
    if (null_here(&k->scan)) return 1; /* as good as nothing */
    return n == KEPT ? read_calls(k, &turn->calls) : text_here(&k->scan, &turn->kept[n]);
}

/* One turn {role, content[, weight, …]} or {from, value}; anything else makes the row another's. */
static int read_turn(Kernel *k, Turn *turn) {
    static const Span nothing = {(const uint8_t *)"", 0, 0};
    Scan *j = &k->scan;
    const char *role_key = k->format == CHAT ? "role" : "from", *text_key = k->format == CHAT ? "content" : "value";
    int more = 1, has_text = 0;
    Span key, role = {NULL, 0, 0};
    memset(turn, 0, sizeof *turn);
    turn->weight = -2;
    if (j->p >= j->end || *j->p != '{' || !j_deeper(j) || j_empty(j, '}')) return 0;
    while (more == 1) {
        if (!j_member(j, &key)) return 0;
        if (is(&key, text_key)) {
            if (has_text++ || !(null_here(j) || text_here(j, &turn->content))) return 0;
        } else if (is(&key, role_key)) {
            if (role.s || !text_here(j, &role)) return 0;
        } else if (k->format != CHAT || !read_chat_field(k, &key, turn)) {
            return 0;
        }
        more = j_next(j, '}');
    }
    if (!more || !role.s || (!turn->content.s && !turn->calls.n)) return 0;
    if (!turn->content.s) turn->content = nothing; /* a call may stand by itself */
    turn->role = role_of(&role, k->format);
    if (turn->weight == -2) turn->weight = -1;
    return turn->role >= 0 && (turn->weight < 0 || turn->role == ASSISTANT);
}

static int read_turns(Kernel *k, Record *r) {
    Scan *j = &k->scan;
    int more = 1;
    if (j->p >= j->end || *j->p != '[' || !j_deeper(j) || j_empty(j, ']')) return 0;
    while (more == 1) {
        if (!reserve(&k->turns, (int64_t)sizeof(Turn))) return 0;
        if (!read_turn(k, (Turn *)(k->turns.p + k->turns.n))) return 0;
        k->turns.n += (int64_t)sizeof(Turn);
        r->n_turns++;
        more = j_next(j, ']');
    }
    return more;
}

/* A label or an id: a text, or a number or a truth value as Python writes it. */
static int read_scalar(Scan *j, Span *out) {
    static const uint8_t yes[] = "True", no[] = "False";
    const uint8_t *s = j->p;
    int whole = 0;
    if (s >= j->end) return 0;
    if (*s == '"') return text_here(j, out);
    out->flags = 0;
    if (j_word(j, "true", 4)) return out->s = yes, out->n = 4, 1;
    if (j_word(j, "false", 5)) return out->s = no, out->n = 5, 1;
    if ((*s != '-' && (*s < '0' || *s > '9')) || !j_number(j, &whole) || !whole) return 0;
    out->s = s;
    out->n = j->p - s;
    return !(out->n == 2 && s[0] == '-' && s[1] == '0');
}

/* A list of texts, or an empty one, which is none. */
static int read_tags(Kernel *k, Record *r) {
    Scan *j = &k->scan;
    int more = 1;
    if (j->p >= j->end || *j->p != '[' || !j_deeper(j)) return 0;
    if (j_empty(j, ']')) return 1;
    while (more == 1) {
        if (!reserve(&k->tags, (int64_t)sizeof(Span))) return 0;
        if (!text_here(j, (Span *)(k->tags.p + k->tags.n))) return 0;
        k->tags.n += (int64_t)sizeof(Span);
        r->n_tags++;
        more = j_next(j, ']');
    }
    return more;
}

static int field_of(const Kernel *k, const Span *key) {
    static const Word fields[] = {
        F("messages", F_TURNS, 1 << CHAT),
        F("conversations", F_TURNS, 1 << SHAREGPT),
        F("system", F_SYSTEM, 1 << SHAREGPT | 1 << ALPACA),
        F("prompt", F_PROMPT, 1 << PROMPT_COMPLETION),
        F("completion", F_COMPLETION, 1 << PROMPT_COMPLETION),
        F("instruction", F_INSTRUCTION, 1 << ALPACA),
        F("input", F_INPUT, 1 << ALPACA),
        F("output", F_OUTPUT, 1 << ALPACA),
        F("text", F_TEXT, 1 << TEXT),
        F("label", F_LABEL, 31),
        F("category", F_CATEGORY, 31),
        F("id", F_ID, 31),
        F("tags", F_TAGS, 31),
        F("tools", F_TOOLS, 31)};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].n == key->n && fields[i].formats >> k->format & 1 && !memcmp(fields[i].name, key->s, (size_t)key->n))
            return fields[i].what;
    return -1;
}

static int is_special(const Kernel *k, const Span *key) {
    for (int64_t i = 0; i < k->special.n; i += 1 + k->special.p[i])
        if (key->n == k->special.p[i] && !memcmp(k->special.p + i + 1, key->s, (size_t)key->n)) return 1;
    return 0;
}

static int read_unknown(Kernel *k, Record *r, const Span *key) {
    if ((key->flags & S_ESCAPED) || key->n >= LONGEST_NAME || r->n_unknown == MOST_UNKNOWN || is_special(k, key)) return 0;
    for (int i = 0; i < r->n_unknown; i++)
        if (r->unknown[i].n == key->n && !memcmp(r->unknown[i].s, key->s, (size_t)key->n)) return 0;
    r->unknown[r->n_unknown++] = *key;
    return j_value(&k->scan);
}

static int read_field(Kernel *k, Record *r, const Span *key) {
    Scan *j = &k->scan;
    int field = key->flags & S_ESCAPED ? -1 : field_of(k, key);
    if (field < 0) return read_unknown(k, r, key);
    if (r->seen[field]) return 0;
    r->seen[field] = 1;
    if (null_here(j)) return field != F_TURNS;
    r->seen[field] = 2;
    switch (field) {
    case F_TURNS: return read_turns(k, r);
    case F_TAGS: return read_tags(k, r);
    case F_LABEL: case F_CATEGORY: case F_ID: return read_scalar(j, &r->text[field]);
    case F_TOOLS: return read_tools(k, &r->tools);
    default: return text_here(j, &r->text[field]);
    }
}

static int complete(const Kernel *k, const Record *r) {
    switch (k->format) {
    case CHAT: case SHAREGPT:
        return r->n_turns && ((const Turn *)(k->turns.p))[r->n_turns - 1].role == ASSISTANT;
    case PROMPT_COMPLETION: return r->seen[F_PROMPT] == 2 && r->seen[F_COMPLETION] == 2;
    case ALPACA: return r->seen[F_INSTRUCTION] == 2 && r->seen[F_OUTPUT] == 2;
    default: return r->seen[F_TEXT] == 2;
    }
}

static int read_record(Kernel *k, Record *r, const uint8_t *line, int64_t n) {
    Scan *j = &k->scan;
    Span key;
    int more = 1;
    memset(r->seen, 0, sizeof r->seen);
    r->n_turns = r->n_tags = 0;
    r->n_unknown = 0;
    r->tools.n = 0;
    k->turns.n = k->tags.n = k->echoed.n = k->sorted.n = 0;
    j_open(j, line, n);
    j->utf8 = is_utf8(line, n);
    j_space(j);
    if (j->p >= j->end || *j->p != '{' || !j_deeper(j) || j_empty(j, '}')) return 0;
    while (more == 1) {
        if (!j_member(j, &key) || !read_field(k, r, &key)) return 0;
        more = j_next(j, '}');
    }
    j_space(j);
    return more && j->p == j->end && complete(k, r);
}

/* Count the fields nobody reads; 0 when there are too many different ones to keep. */
static int count_unknown(Kernel *k, const Record *r) {
    int at[MOST_UNKNOWN];
    for (int i = 0; i < r->n_unknown; i++) {
        const Span *key = &r->unknown[i];
        int n = 0;
        while (n < k->n_names && (k->names[n].n != key->n || memcmp(k->names[n].name, key->s, (size_t)key->n))) n++;
        if (n == MOST_NAMES) return 0;
        if (n == k->n_names) {
            memcpy(k->names[n].name, key->s, (size_t)key->n);
            k->names[n].n = key->n;
            k->names[n].count = 0;
            k->n_names++;
        }
        at[i] = n;
    }
    for (int i = 0; i < r->n_unknown; i++) k->names[at[i]].count++;
    return 1;
}

/* ---- what Python calls -------------------------------------------------------------------------------------- */

EXPORT void luthier_json_reset(Kernel *k) {
    Buffer *all[] = {&k->text, &k->start, &k->end, &k->row, &k->role, &k->part, &k->flags, &k->row_seg, &k->line, &k->digest,
                     &k->canon, &k->canon_end};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) all[i]->n = 0;
    for (int c = 0; c < COLUMNS; c++) column_reset(&k->columns[c]);
    k->rows = k->segments = k->hashed = 0;
    PUSH(&k->row_seg, int64_t, 0);
}

EXPORT void luthier_json_free(Kernel *k) {
    Buffer *all[] = {&k->text, &k->start, &k->end, &k->row, &k->role, &k->part, &k->flags, &k->row_seg, &k->line,
                     &k->digest, &k->canon, &k->canon_end, &k->turns, &k->tags, &k->special,
                     &k->echoed, &k->sorted, &k->plain, &k->members};
    if (!k) return;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->p);
    for (int c = 0; c < COLUMNS; c++) {
        free(k->columns[c].data.p);
        free(k->columns[c].offsets.p);
        free(k->columns[c].valid.p);
    }
    free(k->scan.keys);
    free(k->inner.keys);
    free(k);
}

/* `special`: names of fields that Python reads, each behind its length in one byte. `lines`: how many are read already. */
EXPORT Kernel *luthier_json_new(int format, const uint8_t *special, int64_t size, int64_t lines) {
    Kernel *k = calloc(1, sizeof *k);
    int ok = k && reserve(&k->row_seg, 8) && reserve(&k->special, size + 1) && reserve(&k->text, PADDING);
    for (int c = 0; ok && c < COLUMNS; c++) ok = reserve(&k->columns[c].offsets, 8);
    if (!ok) return luthier_json_free(k), NULL;
    put(&k->special, special, size);
    k->format = format;
    k->lines = lines;
    k->fast_hash = sha_has_instructions();
    luthier_json_reset(k);
    return k;
}

static int is_blank(const uint8_t *p, int64_t n) {
    while (n && (*p == ' ' || (*p >= 9 && *p <= 13))) p++, n--;
    return !n;
}

/* Lines from data[at] on into rows, until `rows` of them are there, `bytes` of text, a line that is not plain, or no
 * whole line is left. Returns where it stands; stop: {why, start, end of the line that is not plain, lines read}. */
EXPORT int64_t luthier_json_feed(Kernel *k, const uint8_t *data, int64_t at, int64_t size, int last, int64_t rows,
                                 int64_t bytes, int64_t longest, int64_t *stop) {
    Record r;
    stop[0] = MORE;
    stop[3] = k->lines;
    while (at < size) {
        if (k->rows >= rows || k->text.n >= bytes) return stop[0] = FULL, at;
        const uint8_t *end = memchr(data + at, '\n', (size_t)(size - at));
        if (!end && !last) return at;
        int64_t n = (end ? end - data : size) - at, next = at + n + (end != NULL);
        stop[3] = ++k->lines;
        if (!is_blank(data + at, n)) {
            if (n > longest || !read_record(k, &r, data + at, n) || !count_unknown(k, &r)) {
                stop[0] = k->scan.code == J_MEMORY ? NO_MEMORY : OTHER;
                stop[1] = at;
                stop[2] = at + n;
                return next;
            }
            if (!put_row(k, &r, k->lines, n)) return stop[0] = NO_MEMORY, at;
        }
        at = next;
    }
    return at;
}

/* One row by itself, which may run over several lines. 1 when it is taken, 0 when it is for Python, -1 without memory. */
EXPORT int luthier_json_row(Kernel *k, const uint8_t *data, int64_t at, int64_t end, int64_t line) {
    Record r;
    if (!read_record(k, &r, data + at, end - at) || !count_unknown(k, &r)) return k->scan.code == J_MEMORY ? -1 : 0;
    return put_row(k, &r, line, end - at) ? 1 : -1;
}

/* The next sign in a document at which one of its elements begins or ends, strings and what is nested passed over:
 * returns its place, or `size`. level: 1 for the elements of the outermost list, 0 for values that follow one another.
 * state: {depth, inside a string}; a sign is followed in it before it is returned. */
EXPORT int64_t luthier_json_sign(const uint8_t *data, int64_t at, int64_t size, int64_t level, int64_t *state) {
    int64_t depth = state[0];
    const uint8_t *p = data + at, *end = data + size;
    if (state[1]) goto inside;
    for (; p < end; p++) {
        switch (*p) {
        case '"':
            p++;
        inside:
            while (p < end && *p != '"') {
                const uint8_t *next = j_special(p, end);
                if (next >= end) p = end;
                else if (*next == '"') p = next;
                else if (*next == '\\') p = next + 2; /* may point one byte behind the end: the reader goes on there */
                else p = next + 1;
            }
            if (p >= end) {
                state[0] = depth;
                state[1] = 1;
                return p - data;
            }
            state[1] = 0;
            break;
        case '{': case '[':
            if (++depth == level && level == 1) return state[0] = depth, p - data;
            break;
        case '}': case ']':
            if (--depth <= 0) return state[0] = depth, p - data;
            break;
        case ',':
            if (depth == 1 && level == 1) return state[0] = depth, p - data;
            break;
        }
    }
    state[0] = depth;
    return p - data;
}

/* A line was passed over. */
EXPORT void luthier_json_skip(Kernel *k) { k->lines++; }

/* A row that Python has read. meta: for each segment {bytes, role, part, flags}, then the bytes of each column or -1. */
EXPORT int luthier_json_append(Kernel *k, int64_t line, const uint8_t *digest, const int64_t *meta, int64_t segments,
                               const uint8_t *blob, int64_t size) {
    const int64_t *widths = meta + 4 * segments;
    if (!row_ready(k, size, segments, 0)) return 0;
    for (int c = 0; c < COLUMNS; c++)
        if (widths[c] > 0 && !reserve(&k->columns[c].data, widths[c])) return 0;
    for (int64_t i = 0; i < segments; i++, meta += 4) {
        int64_t from = k->text.n;
        put(&k->text, blob, meta[0]);
        blob += meta[0];
        put_segment(k, from, (int)meta[1], (int)meta[2], (int)meta[3]);
    }
    for (int c = 0; c < COLUMNS; c++) {
        if (widths[c] > 0) {
            put(&k->columns[c].data, blob, widths[c]);
            blob += widths[c];
        }
        column_end(&k->columns[c], widths[c] >= 0);
    }
    memcpy(k->digest.p + 32 * k->rows, digest, 32);
    row_end(k, line);
    return 1;
}

/* Fill in the digests; returns the nanoseconds of the CPU that all of them have taken. */
EXPORT int64_t luthier_json_digest(Kernel *k) {
    make_digests(k);
    return k->digesting;
}

/* Hand over the text (-1) or the values of a column: they are the caller's to free, and the next begin with as much. */
EXPORT void luthier_json_give(Kernel *k, int column) {
    Buffer *b = column < 0 ? &k->text : &k->columns[column].data;
    b->usual = b->n + b->n / 8 + PADDING;
    b->p = NULL;
    b->cap = 0;
}

EXPORT void luthier_json_drop(void *given) { free(given); }

/* Addresses and sizes of what was gathered, in the order native/json.py reads them. The text is padded with zeros. */
EXPORT void luthier_json_view(Kernel *k, int64_t *out) {
    const Buffer *all[] = {&k->text, &k->start, &k->end, &k->row, &k->role, &k->part, &k->flags, &k->row_seg, &k->line, &k->digest};
    if (k->text.p) memset(k->text.p + k->text.n, 0, PADDING);
    *out++ = k->rows;
    *out++ = k->segments;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *out++ = (int64_t)(intptr_t)all[i]->p;
        *out++ = all[i]->n;
    }
    for (int c = 0; c < COLUMNS; c++) {
        const Column *column = &k->columns[c];
        *out++ = (int64_t)(intptr_t)column->data.p;
        *out++ = column->data.n;
        *out++ = (int64_t)(intptr_t)column->offsets.p;
        *out++ = (int64_t)(intptr_t)column->valid.p;
        *out++ = column->nulls;
    }
}

/* The n-th field that no reader of the format knows: its name (64 bytes) and how many rows had it; 0 behind the last. */
EXPORT int64_t luthier_json_unknown(Kernel *k, int64_t n, uint8_t *name, int64_t *size) {
    if (n >= k->n_names) return 0;
    memcpy(name, k->names[n].name, (size_t)k->names[n].n);
    *size = k->names[n].n;
    return k->names[n].count;
}

/* One text: 0 when it is strict JSON, else the code of its first fault. out: {byte, hint, levels, then for each level
 * {start of the key, its bytes} or {-1, index}}: room for 3 + 2 * 64 numbers. */
EXPORT int luthier_json_check(const uint8_t *data, int64_t size, int64_t *out) {
    Scan j = {0};
    j_open(&j, data, size);
    j_text(&j);
    out[0] = j.at - data;
    out[1] = j.hint;
    out[2] = 0;
    for (int i = 1; i <= j.depth && j.code; i++) {
        if (!j.path[i].key && j.path[i].n < 0) break;
        out[3 + 2 * out[2]] = j.path[i].key ? j.path[i].key - data : -1;
        out[4 + 2 * out[2]++] = j.path[i].n;
    }
    free(j.keys);
    return j.code;
}

/* The digests of `count` byte strings that follow one another. */
EXPORT void luthier_sha256(const uint8_t *data, const int64_t *sizes, int64_t count, uint8_t *out, int fast) {
    int with = fast && sha_has_instructions();
    for (int64_t i = 0; i < count; data += sizes[i], i++) sha256(data, (size_t)sizes[i], out + 32 * i, with);
}
