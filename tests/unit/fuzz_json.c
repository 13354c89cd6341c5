/* Mutated lines through the JSON kernels, each in memory of exactly its size so that a byte read too far is noticed.
 * fuzz_json SEED ROUNDS < lines; prints how many lines were plain, special, valid and broken. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *luthier_json_new(int format, const uint8_t *special, int64_t size, int64_t lines);
void luthier_json_free(void *kernel);
void luthier_json_reset(void *kernel);
int64_t luthier_json_digest(void *kernel);
void luthier_json_give(void *kernel, int column);
void luthier_json_drop(void *given);
void luthier_json_view(void *kernel, int64_t *out);
int64_t luthier_json_feed(void *kernel, const uint8_t *data, int64_t at, int64_t size, int last, int64_t rows,
                          int64_t bytes, int64_t longest, int64_t *stop);
int luthier_json_row(void *kernel, const uint8_t *data, int64_t at, int64_t end, int64_t line);
int64_t luthier_json_sign(const uint8_t *data, int64_t at, int64_t size, int64_t level, int64_t *state);
int luthier_json_check(const uint8_t *data, int64_t size, int64_t *out);
int64_t luthier_json_stored(void *kernel, int kind, int64_t rows, const uint8_t *const *data,
                            const int64_t *const *offsets, const uint8_t *const *there, const int64_t *lines,
                            uint8_t *python);

static uint64_t state;

static uint64_t next(void) { /* xorshift */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint8_t *exact(const uint8_t *p, int64_t n) {
    uint8_t *copy = malloc((size_t)(n ? n : 1));
    memcpy(copy, p, (size_t)n);
    return copy;
}

int main(int argc, char **argv) {
    static uint8_t all[1 << 20], text[1 << 16];
    static const char *const pieces[] = {"\\ud83d", "\\ude00", "\\u0000", "\\u001f", "\\/", "\"", "\\", "{", "}", "[", "]",
                                         ",", ":", "1e309", "-", "\xc3", "\xe2\x82", "\xf0\x9f\x99\x82", "\n", "null",
                                         "\"role\":", "\"content\":\"", "\x01", "99999999999999999999", "NaN",
                                         "\"tool_calls\":[", "\"arguments\":\"{", "\"name\":", "\\\"", "{\"a\":"};
    int64_t starts[256], n_lines = 0, size, counts[4] = {0}, out[200];
    if (argc < 3) return 2;
    state = strtoull(argv[1], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
    size = (int64_t)fread(all, 1, sizeof all, stdin);
    for (int64_t i = 0; i < size && n_lines < 255; i++)
        if (!i || all[i - 1] == '\n') starts[n_lines++] = i;
    starts[n_lines] = size;
    for (long round = strtol(argv[2], NULL, 10); round > 0; round--) {
        int64_t line = (int64_t)(next() % (uint64_t)n_lines), n = starts[line + 1] - starts[line], stop[4];
        memcpy(text, all + starts[line], (size_t)n);
        for (uint64_t edits = next() % 4; edits && n > 8 && n < 60000; edits--) {
            int64_t at = (int64_t)(next() % (uint64_t)n);
            const char *piece = pieces[next() % (sizeof pieces / sizeof *pieces)];
            int64_t long_ = (int64_t)strlen(piece), cut = (int64_t)(next() % 6);
            if (next() % 3 == 0) {
                text[at] = (uint8_t)next();
                continue;
            }
            if (cut > n - at) cut = n - at;
            memmove(text + at + long_, text + at + cut, (size_t)(n - at - cut));
            memcpy(text + at, piece, (size_t)long_);
            n += long_ - cut;
        }
        uint8_t *data = exact(text, n);
        counts[luthier_json_check(data, n, out) ? 3 : 2]++;
        void *kernel = luthier_json_new((int)(next() % 5), (const uint8_t *)"\x05" "extra", 6, 0);
        int64_t at = 0, first = (int64_t)(next() % (uint64_t)(n + 1));
        uint8_t *begin = exact(data, first); /* a chunk that ends anywhere */
        do at = luthier_json_feed(kernel, begin, at, first, 0, 3, 4000, 50000, stop), counts[stop[0] == 2]++;
        while (stop[0] == 2 && at < first);
        int64_t left = n - at;
        uint8_t *rest = exact(data + at, left);
        for (at = 0; at < left;) {
            at = luthier_json_feed(kernel, rest, at, left, 1, 3, 4000, 50000, stop);
            counts[stop[0] == 2]++;
            luthier_json_digest(kernel);
            luthier_json_view(kernel, out);
            int given = (int)(next() % 12) - 1; /* the text, a column, or nothing */
            if (given < 10) {
                luthier_json_give(kernel, given);
                luthier_json_drop((void *)(intptr_t)out[given < 0 ? 2 : 22 + 5 * given]);
            }
            luthier_json_reset(kernel);
        }
        int64_t walk[2] = {0, 0}, level = (int64_t)(next() % 2);
        for (int64_t sign = 0; sign < n; sign++) {
            sign = luthier_json_sign(data, sign, n, level, walk);
            if (walk[0] < 0) walk[0] = 0;
        }
        luthier_json_row(kernel, data, 0, n, 1);
        luthier_json_digest(kernel);
        luthier_json_reset(kernel);
        const uint8_t *columns[5] = {data, data, NULL, NULL, data}, yes = 1, *there[5] = {&yes, &yes, NULL, NULL, &yes};
        int64_t offsets[2] = {0, n}, lines[1] = {1};
        const int64_t *places[5] = {offsets, offsets, NULL, NULL, offsets};
        uint8_t python;
        luthier_json_stored(kernel, (int)(next() % 3), 1, columns, places, there, lines, &python);
        luthier_json_digest(kernel);
        luthier_json_free(kernel);
        free(begin);
        free(rest);
        free(data);
    }
    printf("%ld %ld %ld %ld\n", (long)counts[0], (long)counts[1], (long)counts[2], (long)counts[3]);
    return 0;
}
