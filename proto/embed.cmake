# Writes OUT: dialplane_descriptor_set[] with the bytes of IN.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Made by embed.cmake: do not edit. */
#include <stddef.h>
extern const unsigned char dialplane_descriptor_set[];
extern const size_t dialplane_descriptor_set_size;
const unsigned char dialplane_descriptor_set[] = {${bytes}};
const size_t dialplane_descriptor_set_size = sizeof(dialplane_descriptor_set);
")
