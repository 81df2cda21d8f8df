# How every target of the tree is built: one set of warnings, one function for a layer, one for a unit test, one for embedded SQL.

find_package(PkgConfig REQUIRED)

add_library(dialplane_flags INTERFACE)
target_compile_options(dialplane_flags INTERFACE
  -g -fstack-protector-strong
  $<$<CONFIG:RelWithDebInfo>:-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>
  $<$<CONFIG:Debug>:-O1>
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
                          -Wmissing-prototypes -Wvla -Wformat=2>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
target_compile_definitions(dialplane_flags INTERFACE _GNU_SOURCE)
target_link_options(dialplane_flags INTERFACE -Wl,-z,relro,-z,now)
if(DIALPLANE_WERROR)
  target_compile_options(dialplane_flags INTERFACE -Werror)
endif()
if(DIALPLANE_SANITIZE STREQUAL "address")
  target_compile_options(dialplane_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(dialplane_flags INTERFACE -fsanitize=address,undefined)
elseif(DIALPLANE_SANITIZE STREQUAL "thread")
  target_compile_options(dialplane_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(dialplane_flags INTERFACE -fsanitize=thread)
endif()
if(DIALPLANE_FUZZ)
  target_compile_options(dialplane_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
  target_link_options(dialplane_flags INTERFACE -fsanitize=address,undefined)
endif()

# dialplane_layer(NAME SOURCES … LINK …): a static library `dialplane_NAME`. LINK names only layers that stand above it in the README's
# layout (and packages), so that an arrow that points the wrong way does not link.
function(dialplane_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(dialplane_${name} STATIC ${ARG_SOURCES})
  target_include_directories(dialplane_${name} PUBLIC ${CMAKE_SOURCE_DIR}/services/runtime)
  target_link_libraries(dialplane_${name} PRIVATE dialplane_flags PUBLIC ${ARG_LINK})
endfunction()

# dialplane_executable(NAME SOURCES … LINK …)
function(dialplane_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name} PRIVATE dialplane_flags ${ARG_LINK})
endfunction()

# dialplane_unit_test(NAME SOURCES … LINK …): a cmocka program, run by ctest as unit/NAME.
function(dialplane_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE dialplane_flags ${ARG_LINK} cmocka)
  add_test(NAME unit/${name} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests)
  set_tests_properties(unit/${name} PROPERTIES TIMEOUT 120 LABELS unit)
endfunction()

# dialplane_fuzz_target(NAME SOURCES … LINK …): a libFuzzer program with its corpus in tests/fuzz/corpus/NAME; only with DIALPLANE_FUZZ.
add_custom_target(fuzz_targets)
function(dialplane_fuzz_target name)
  if(NOT DIALPLANE_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE dialplane_flags ${ARG_LINK})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets fuzz_${name})
endfunction()

# dialplane_add_sql(TARGET DIRECTORY): every DIRECTORY/*.sql becomes `const struct pg_statement sql_<file>` in "<TARGET>_sql.h".
function(dialplane_add_sql target directory)
  file(GLOB files CONFIGURE_DEPENDS ${directory}/*.sql)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}_sql)
  add_custom_command(
    OUTPUT ${out}.c ${out}.h
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DHEADER=${target}_sql.h "-DFILES=${files}"
            -P ${CMAKE_SOURCE_DIR}/services/runtime/pg/embed_sql.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/services/runtime/pg/embed_sql.cmake
    VERBATIM)
  add_library(${target}_sql STATIC ${out}.c ${out}.h)
  target_include_directories(${target}_sql PUBLIC ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_SOURCE_DIR}/services/runtime)
endfunction()
