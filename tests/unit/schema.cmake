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

foreach(part load check)
  dialplane_unit_test(schema_${part} SOURCES schema/${part}_test.c schema/support.c LINK dialplane_schema)
  target_compile_definitions(test_schema_${part} PRIVATE RULES_SET="${rules_set}")
  add_dependencies(test_schema_${part} schema_rules_set)
endforeach()
