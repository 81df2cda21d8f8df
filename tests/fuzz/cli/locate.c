/* Any path in any text gives a place in it. The input: a path, a line break, the text. */
#include "locate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t length = line ? (size_t)(line - data) : 0, rest = line ? size - length - 1 : 0;
    char *path = malloc(length + 1), *text = malloc(rest ? rest : 1); /* of exactly that size */
    if (line && path && text) {
        memcpy(path, data, length);
        path[length] = '\0';
        memcpy(text, line + 1, rest);
        struct place place = json_locate((struct str){text, rest}, path);
        if (place.start > rest || place.end > rest || place.end < place.start || !place.line ||
            !place.column)
            abort();
    }
    free(path);
    free(text);
    return 0;
}
