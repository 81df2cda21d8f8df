# A .proto with every rule there is, as a descriptor set of its own.
set(rules_set ${CMAKE_CURRENT_BINARY_DIR}/schema_rules.protoset)
add_custom_command(
  OUTPUT ${rules_set}
  COMMAND protoc --include_imports --include_source_info --descriptor_set_out=${rules_set}
          -I ${CMAKE_CURRENT_SOURCE_DIR}/schema -I ${CMAKE_SOURCE_DIR}/proto
          -I /usr/share/gocode/src/github.com/gogo/googleapis -I /usr/include rules.proto
  DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/schema/rules.proto ${CMAKE_SOURCE_DIR}/proto/dialplane/options.proto
  VERBATIM)
add_custom_target(schema_rules_set DEPENDS ${rules_set})

dialplane_unit_test(schema_load SOURCES schema/load_test.c schema/support.c LINK dialplane_schema)
dialplane_unit_test(schema_load_errors SOURCES schema/load_errors_test.c schema/support.c LINK dialplane_schema)
dialplane_unit_test(schema_check_rules SOURCES schema/check_rules_test.c schema/check_support.c schema/support.c LINK dialplane_schema)
dialplane_unit_test(schema_check_walk SOURCES schema/check_walk_test.c schema/check_support.c schema/support.c LINK dialplane_schema)
dialplane_unit_test(schema_join SOURCES schema/join_test.c schema/check_support.c schema/support.c LINK dialplane_schema)
foreach(part load load_errors check_rules check_walk join)
  target_compile_definitions(test_schema_${part} PRIVATE RULES_SET="${rules_set}")
  add_dependencies(test_schema_${part} schema_rules_set)
endforeach()
