/* wordcount [-n COUNT] [FILE…]: the most frequent words of the files, or of standard input. */
#include "words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(void)
{
	fputs("usage: wordcount [-n COUNT] [FILE...]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct words words = {0};
	unsigned long shown = 10;
	int option, status = 0;
	char *end;

	while ((option = getopt(argc, argv, "n:")) != -1) {
		if (option != 'n')
			return usage();
		shown = strtoul(optarg, &end, 10);
		if (end == optarg || *end || *optarg == '-')
			return usage();
	}

	if (optind == argc)
		words_read(&words, stdin);
	for (int i = optind; i < argc; i++) {
		FILE *file = fopen(argv[i], "r");

		if (!file) {
			fprintf(stderr, "wordcount: %s: %s\n", argv[i], strerror(errno));
			status = 1;
			continue;
		}
		words_read(&words, file);
		fclose(file);
	}

	words_sort(&words);
	for (size_t i = 0; i < words.size && i < shown; i++)
		printf("%7zu %s\n", words.slots[i].count, words.slots[i].text);
	printf("%7zu words, %zu different\n", words.total, words.used);
	words_free(&words);
	return fflush(stdout) == EOF ? 2 : status;
}
