# The tests of services/runtime/json have a message of their own with every kind of field, so that they do not move with the contract.
set(json_dir ${CMAKE_CURRENT_LIST_DIR}/json)
set(json_set ${CMAKE_CURRENT_BINARY_DIR}/everything.protoset)
add_custom_command(
  OUTPUT ${json_set}
  COMMAND protoc --include_imports --descriptor_set_out=${json_set} -I ${json_dir} -I ${CMAKE_SOURCE_DIR}/proto -I ${WELL_KNOWN}
          everything.proto
  DEPENDS ${json_dir}/everything.proto ${CMAKE_SOURCE_DIR}/proto/dialplane/options.proto
  VERBATIM)
add_custom_target(json_everything DEPENDS ${json_set})
add_library(json_fixture STATIC ${json_dir}/fixture.c ${json_dir}/generate.c)
add_dependencies(json_fixture json_everything)
target_compile_definitions(json_fixture PRIVATE EVERYTHING_PROTOSET="${json_set}")
target_link_libraries(json_fixture PRIVATE dialplane_flags PUBLIC dialplane_json)

dialplane_unit_test(json_text SOURCES ${json_dir}/text_test.c LINK dialplane_json)
dialplane_unit_test(json_print SOURCES ${json_dir}/print_test.c LINK json_fixture)
dialplane_unit_test(json_parse SOURCES ${json_dir}/parse_test.c LINK json_fixture)
dialplane_unit_test(json_errors SOURCES ${json_dir}/errors_test.c LINK json_fixture)
dialplane_unit_test(json_round_trip SOURCES ${json_dir}/round_trip_test.c LINK json_fixture dialplane_descriptors)
dialplane_unit_test(json_memory SOURCES ${json_dir}/memory_test.c LINK json_fixture)
target_link_options(test_json_memory PRIVATE -Wl,--wrap=malloc,--wrap=realloc)
