/* A set of words with how often each was seen. */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdio.h>

struct word {
	char *text;
	size_t count;
};

struct words {
	struct word *slots; /* open addressing; a free slot has no text */
	size_t size;        /* of slots, a power of two */
	size_t used;
	size_t total;       /* words seen, repeated ones included */
};

/* Each of these ends the program when memory runs out. */
void words_add(struct words *words, const char *text);
void words_read(struct words *words, FILE *file);

/* Packs the words, the most frequent first and equals by name. Nothing may be added any more. */
void words_sort(struct words *words);

void words_free(struct words *words);

#endif
