# Writes OUT: the files under DIRECTORY as struct embedded_file NAME[] and NAME_count, sorted by path.
file(GLOB_RECURSE files RELATIVE ${DIRECTORY} ${DIRECTORY}/*)
list(SORT files)
set(arrays "")
set(table "")
set(number 0)
foreach(file ${files})
  file(READ ${DIRECTORY}/${file} hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "static const unsigned char file_${number}[] = {${bytes}0};\n")
  string(APPEND table "    {\"/${file}\", file_${number}, ${size}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by embed.cmake: do not edit. */
#include \"gateway/pages/pages.h\"

${arrays}
const struct embedded_file ${NAME}[] = {
${table}    {0, 0, 0},
};
const size_t ${NAME}_count = ${number};
")
