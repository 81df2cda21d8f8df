dialplane_executable(bench_json
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/json/main.c ${CMAKE_CURRENT_SOURCE_DIR}/json/reference_print.c
          ${CMAKE_CURRENT_SOURCE_DIR}/json/reference_parse.c
  LINK dialplane_json dialplane_proto dialplane_descriptors protobuf-c jansson)
