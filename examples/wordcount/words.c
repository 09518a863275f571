#include "words.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
	if (!memory) {
		fputs("wordcount: out of memory\n", stderr);
		exit(2);
	}
	return memory;
}

/* FNV-1a */
static uint64_t hash(const char *text)
{
	uint64_t h = 14695981039346656037u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h;
}

/* The slot that holds the text, or the free one where it belongs. */
static struct word *find(const struct words *words, const char *text)
{
	size_t mask = words->size - 1;
	size_t i = hash(text) & mask;

	while (words->slots[i].text && strcmp(words->slots[i].text, text) != 0)
		i = (i + 1) & mask;
	return &words->slots[i];
}

static void grow(struct words *words)
{
	struct words old = *words;

	words->size = old.size ? 2 * old.size : 64;
	words->slots = must(calloc(words->size, sizeof *words->slots));
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i].text)
			*find(words, old.slots[i].text) = old.slots[i];
	free(old.slots);
}

void words_add(struct words *words, const char *text)
{
	struct word *word;

	if (4 * (words->used + 1) > 3 * words->size)
		grow(words);
	word = find(words, text);
	if (!word->text) {
		word->text = must(strdup(text));
		words->used++;
	}
	word->count++;
	words->total++;
}

/* A word is letters, digits and, inside it, apostrophes; bytes above ASCII count as letters. */
void words_read(struct words *words, FILE *file)
{
	size_t length = 0, room = 32;
	char *text = must(malloc(room));
	int c;

	do {
		c = getc(file);
		if (c != EOF && (isalnum(c) || c >= 0x80 || (c == '\'' && length))) {
			if (length + 1 == room)
				text = must(realloc(text, room *= 2));
			text[length++] = (char)tolower(c);
			continue;
		}
		while (length && text[length - 1] == '\'')
			length--;
		if (length) {
			text[length] = '\0';
			words_add(words, text);
			length = 0;
		}
	} while (c != EOF);
	free(text);
}

static int by_count(const void *left, const void *right)
{
	const struct word *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->text, b->text);
}

void words_sort(struct words *words)
{
	size_t kept = 0;

	for (size_t i = 0; i < words->size; i++)
		if (words->slots[i].text)
			words->slots[kept++] = words->slots[i];
	words->size = kept;
	if (kept)
		qsort(words->slots, kept, sizeof *words->slots, by_count);
}

void words_free(struct words *words)
{
	for (size_t i = 0; i < words->size; i++)
		free(words->slots[i].text);
	free(words->slots);
	*words = (struct words){0};
}
