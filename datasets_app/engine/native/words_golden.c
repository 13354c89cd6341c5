#include "words_state.h"
void words_golden_free(Words *w) { (void)w; }
int words_leak(Words *w, size_t number, uint64_t prompt, uint64_t norm, const RowInfo *info) { return 1; }
