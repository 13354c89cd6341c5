/* Values of JSON as they are stored (in their order, in the one spelling) and as they are hashed (keys in the order of
 * the alphabet): the arguments of tool calls and the schemas of tools. What the interpreter would spell in another way
 * than it stands (fractions, -0), or sorts by another spelling (keys that need escapes), is not taken: the row goes to
 * the readers in Python. */
#ifndef LUTHIER_JSON_ECHO_H
#define LUTHIER_JSON_ECHO_H

#include "json_kernel.h"

/* Two forms of one value, equally long, in k->echoed and k->sorted. */
typedef struct {
    int64_t at, sorted_at, n;
} Echoed;

typedef struct {
    int64_t key, key_end, end; /* in what is sorted: of the key with its quotes, of the value behind the colon */
} Member;

/* ---- in their order ------------------------------------------------------------------------------------------ */

static int echo(Scan *j, Buffer *o);

/* A text in its one spelling, with the quotes. */
static void put_text(Buffer *o, const Span *text) {
    PUT(o, "\"");
    o->n = j_spelled(o->p + o->n, text) - o->p;
    PUT(o, "\"");
}

static int echo_object(Scan *j, Buffer *o) {
    int64_t from = j->n_keys;
    int more = 1;
    Span key;
    if (!j_deeper(j)) return 0;
    if (j_empty(j, '}')) return PUT(o, "{}"), 1;
    PUT(o, "{");
    while (more == 1) {
        int64_t at = o->n;
        if (!j_member(j, &key) || key.flags & S_NUL || !j_key(j, from, &key)) return 0;
        put_text(o, &key);
        if (key.flags & S_ESCAPED && memchr(o->p + at, '\\', (size_t)(o->n - at))) return 0; /* sorted by what it means */
        PUT(o, ":");
        if (!echo(j, o)) return 0;
        more = j_next(j, '}');
        PUT(o, ",");
    }
    o->p[o->n - 1] = '}';
    return more && j_keys_done(j, from);
}

static int echo_list(Scan *j, Buffer *o) {
    int more = 1;
    if (!j_deeper(j)) return 0;
    if (j_empty(j, ']')) return PUT(o, "[]"), 1;
    PUT(o, "[");
    while (more == 1) {
        if (!echo(j, o)) return 0;
        more = j_next(j, ']');
        PUT(o, ",");
    }
    o->p[o->n - 1] = ']';
    return more;
}

static int echo_plain(Scan *j, Buffer *o) {
    const uint8_t *s = j->p;
    int whole = 1, number = *s == '-' || (*s >= '0' && *s <= '9');
    if (number ? !j_number(j, &whole) : !(j_word(j, "true", 4) || j_word(j, "false", 5) || j_word(j, "null", 4))) return 0;
    if (!whole || (j->p - s == 2 && s[0] == '-' && s[1] == '0')) return 0;
    put(o, s, j->p - s);
    return 1;
}

/* The value at j->p, checked on the way; there has to be room for as many bytes as are left of the text. */
static int echo(Scan *j, Buffer *o) {
    Span text;
    if (j->p >= j->end) return 0;
    switch (*j->p) {
    case '"':
        if (!j_string(j, &text) || text.flags & S_NUL) return 0;
        put_text(o, &text);
        return 1;
    case '{': return echo_object(j, o);
    case '[': return echo_list(j, o);
    default: return echo_plain(j, o);
    }
}

/* ---- in the order of the alphabet ------------------------------------------------------------------------------ */

/* Behind a string, of which p stands on the opening quote. */
static const uint8_t *behind_text(const uint8_t *p) {
    for (p++; *p != '"'; p++)
        if (*p == '\\') p++;
    return p + 1;
}

/* Behind a value that `echo` has written. */
static const uint8_t *behind(const uint8_t *p, const uint8_t *end) {
    for (int depth = 0; p < end;) {
        if (*p == '"') {
            p = behind_text(p);
            if (!depth) return p;
            continue;
        }
        if (!depth && (*p == ',' || *p == '}' || *p == ']')) return p;
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
        if (!depth && (p[-1] == '}' || p[-1] == ']')) return p;
    }
    return p;
}

static int key_above(const uint8_t *text, const Member *a, const Member *b) {
    int64_t n = a->key_end - a->key, m = b->key_end - b->key;
    int order = memcmp(text + a->key + 1, text + b->key + 1, (size_t)((n < m ? n : m) - 2));
    return order ? order > 0 : n > m;
}

/* The order of the members from `first` on, which are few: the arguments of a call. */
static void sort_members(Member *all, int64_t n, const uint8_t *text) {
    for (int64_t gap = n / 2; gap; gap /= 2)
        for (int64_t i = gap; i < n; i++) {
            Member one = all[i];
            int64_t at = i;
            for (; at >= gap && key_above(text, &all[at - gap], &one); at -= gap) all[at] = all[at - gap];
            all[at] = one;
        }
}

static int put_sorted(Kernel *k, int64_t from, int64_t to);

static int put_sorted_object(Kernel *k, int64_t from, int64_t to) {
    const uint8_t *text = k->echoed.p;
    int64_t first = k->members.n;
    for (int64_t at = from + 1; at < to - 1; at++) { /* over the comma */
        if (!reserve(&k->members, (int64_t)sizeof(Member))) return 0;
        Member *one = (Member *)(k->members.p + k->members.n);
        one->key = at;
        one->key_end = behind_text(text + at) - text;
        at = one->end = behind(text + one->key_end + 1, text + to) - text;
        k->members.n += (int64_t)sizeof(Member);
    }
    int64_t n = (k->members.n - first) / (int64_t)sizeof(Member);
    sort_members((Member *)(k->members.p + first), n, text);
    PUT(&k->sorted, "{");
    for (int64_t i = 0; i < n; i++) {
        Member one = ((Member *)(k->members.p + first))[i];
        if (i) PUT(&k->sorted, ",");
        put(&k->sorted, text + one.key, one.key_end + 1 - one.key);
        if (!put_sorted(k, one.key_end + 1, one.end)) return 0;
    }
    PUT(&k->sorted, "}");
    k->members.n = first;
    return 1;
}

static int put_sorted_list(Kernel *k, int64_t from, int64_t to) {
    PUT(&k->sorted, "[");
    for (int64_t at = from + 1; at < to - 1;) {
        int64_t end = behind(k->echoed.p + at, k->echoed.p + to) - k->echoed.p;
        if (at > from + 1) PUT(&k->sorted, ",");
        if (!put_sorted(k, at, end)) return 0;
        at = end + 1;
    }
    PUT(&k->sorted, "]");
    return 1;
}

/* The value k->echoed[from:to] behind k->sorted; there has to be room for it. */
static int put_sorted(Kernel *k, int64_t from, int64_t to) {
    const uint8_t *text = k->echoed.p;
    if (text[from] == '{') return put_sorted_object(k, from, to);
    if (text[from] == '[') return put_sorted_list(k, from, to);
    put(&k->sorted, text + from, to - from);
    return 1;
}

/* The sorted form of what has been echoed since out->at. */
static int sorted_too(Kernel *k, Echoed *out) {
    out->n = k->echoed.n - out->at;
    out->sorted_at = k->sorted.n;
    k->members.n = 0;
    return reserve(&k->sorted, out->n) && put_sorted(k, out->at, k->echoed.n);
}

/* ---- calls and tools ------------------------------------------------------------------------------------------- */

/* The arguments of a call: an object, or the text of one; nothing stands for an empty one. */
static int read_arguments(Kernel *k) {
    Scan *j = &k->scan, *inner = &k->inner;
    Span text;
    if (j->p < j->end && *j->p == '{') return echo(j, &k->echoed);
    if (j_word(j, "null", 4)) return PUT(&k->echoed, "{}"), 1;
    if (j->p >= j->end || *j->p != '"' || !j_string(j, &text) || text.flags & S_NUL) return 0;
    if (!text.n) return PUT(&k->echoed, "{}"), 1;
    k->plain.n = 0;
    if (!reserve(&k->plain, text.n)) return 0;
    j_open(inner, k->plain.p, j_plain(k->plain.p, &text) - k->plain.p);
    j_space(inner);
    if (inner->p >= inner->end || *inner->p != '{' || !echo(inner, &k->echoed)) return 0;
    j_space(inner);
    return inner->p == inner->end;
}

/* {name, arguments} of a call, in this order whatever order it is in. */
static int read_function(Kernel *k) {
    Scan *j = &k->scan;
    int more = 1, named = 0, argued = 0;
    int64_t from = k->echoed.n, arguments = 0, size = 0;
    Span key, name;
    if (j->p >= j->end || *j->p != '{' || !j_deeper(j) || j_empty(j, '}')) return 0;
    while (more == 1) {
        if (!j_member(j, &key)) return 0;
        if (is(&key, "name")) {
            if (named++ || j->p >= j->end || *j->p != '"' || !j_string(j, &name) || !name.n || name.flags & S_NUL) return 0;
        } else if (is(&key, "arguments")) {
            if (argued++ || !read_arguments(k)) return 0;
        } else {
            return 0;
        }
        more = j_next(j, '}');
    }
    if (!more || !named) return 0;
    if (!argued) PUT(&k->echoed, "{}");
    /* What was echoed are the arguments: they make room for what stands before them. */
    size = k->echoed.n - from;
    if (!reserve(&k->echoed, name.n + 64)) return 0;
    arguments = from + name.n + 32;
    memmove(k->echoed.p + arguments, k->echoed.p + from, (size_t)size);
    k->echoed.n = from;
    PUT(&k->echoed, "{\"name\":");
    put_text(&k->echoed, &name);
    PUT(&k->echoed, ",\"arguments\":");
    memmove(k->echoed.p + k->echoed.n, k->echoed.p + arguments, (size_t)size);
    k->echoed.n += size;
    PUT(&k->echoed, "}");
    return 1;
}

/* {id, type, function}: the type is always that of a function. */
static int read_call(Kernel *k) {
    Scan *j = &k->scan;
    Buffer *o = &k->echoed;
    Span key, id = {NULL, 0, 0};
    int more = 1, called = 0, typed = 0;
    if (j->p >= j->end || *j->p != '{' || !j_deeper(j) || j_empty(j, '}')) return 0;
    PUT(o, "{\"type\":\"function\",\"function\":");
    while (more == 1) {
        if (!j_member(j, &key)) return 0;
        if (is(&key, "function")) {
            if (called++ || !read_function(k)) return 0;
        } else if (is(&key, "id")) {
            if (id.s || j->p >= j->end || *j->p != '"' || !j_string(j, &id) || id.flags & S_NUL) return 0;
        } else if (is(&key, "type")) {
            if (typed++ || !j_value(j)) return 0;
        } else {
            return 0;
        }
        more = j_next(j, '}');
    }
    if (!more || !called) return 0;
    if (id.s) {
        if (!reserve(o, id.n + 64)) return 0;
        PUT(o, ",\"id\":");
        put_text(o, &id);
    }
    PUT(o, "}");
    return 1;
}

/* Room for a value of what is left of the line, and for what is written around it. */
static int echo_ready(Kernel *k) { return reserve(&k->echoed, k->scan.end - k->scan.p + 256); }

/* The calls of a turn; an empty list is for Python, which asks for a content then. */
static int read_calls(Kernel *k, Echoed *out) {
    Scan *j = &k->scan;
    int more = 1;
    if (j->p >= j->end || *j->p != '[' || !j_deeper(j) || j_empty(j, ']')) return 0;
    out->at = k->echoed.n;
    if (!echo_ready(k)) return 0;
    PUT(&k->echoed, "[");
    while (more == 1) {
        if (!echo_ready(k) || !read_call(k)) return 0;
        more = j_next(j, ']');
        PUT(&k->echoed, ",");
    }
    k->echoed.p[k->echoed.n - 1] = ']';
    return more && sorted_too(k, out);
}

/* The schemas of tools: a list of objects, or an empty one, which is none. */
static int read_tools(Kernel *k, Echoed *out) {
    Scan *j = &k->scan;
    int more = 1;
    if (j->p >= j->end || *j->p != '[' || !j_deeper(j)) return 0;
    if (j_empty(j, ']')) return 1;
    out->at = k->echoed.n;
    if (!echo_ready(k)) return 0;
    PUT(&k->echoed, "[");
    while (more == 1) {
        if (j->p >= j->end || *j->p != '{' || !echo_ready(k) || !echo(j, &k->echoed)) return 0;
        more = j_next(j, ']');
        PUT(&k->echoed, ",");
    }
    k->echoed.p[k->echoed.n - 1] = ']';
    return more && sorted_too(k, out);
}

#endif
