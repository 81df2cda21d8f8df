# The tests of services/runtime/rpc have a small service of their own, so that they do not move with the contract.
set(rpc_dir ${CMAKE_CURRENT_LIST_DIR}/rpc)
set(rpc_out ${CMAKE_CURRENT_BINARY_DIR}/rpc_echo)
file(MAKE_DIRECTORY ${rpc_out})
set(rpc_proto_paths -I ${rpc_dir} -I ${CMAKE_SOURCE_DIR}/proto -I ${GRPC_PROTO} -I ${WELL_KNOWN})
add_custom_command(
  OUTPUT ${rpc_out}/echo.pb-c.c ${rpc_out}/echo.pb-c.h ${rpc_out}/echo.protoset
  COMMAND protoc --plugin=protoc-gen-c=${CMAKE_SOURCE_DIR}/proto/protoc-gen-c-optional --c_out=${rpc_out} --include_imports
          --descriptor_set_out=${rpc_out}/echo.protoset ${rpc_proto_paths} echo.proto
  DEPENDS ${rpc_dir}/echo.proto ${CMAKE_SOURCE_DIR}/proto/dialplane/options.proto ${CMAKE_SOURCE_DIR}/proto/protoc-gen-c-optional
  VERBATIM)
add_library(rpc_echo STATIC ${rpc_out}/echo.pb-c.c ${rpc_dir}/load_echo.c)
target_include_directories(rpc_echo SYSTEM PUBLIC ${rpc_out})
target_compile_definitions(rpc_echo PRIVATE ECHO_PROTOSET="${rpc_out}/echo.protoset")
target_link_libraries(rpc_echo PUBLIC dialplane_proto dialplane_schema)

dialplane_unit_test(rpc SOURCES ${rpc_dir}/test_rpc.c ${rpc_dir}/test_details.c ${rpc_dir}/test_defaults.c ${rpc_dir}/test_table.c
                    LINK dialplane_rpc rpc_echo)

add_executable(echo_server ${rpc_dir}/echo_server.c)
target_link_libraries(echo_server PRIVATE dialplane_flags dialplane_app dialplane_rpc rpc_echo)
add_test(NAME unit/rpc_server COMMAND /usr/bin/python3 -m pytest -q -x -p no:cacheprovider ${rpc_dir}/test_server.py)
set_tests_properties(unit/rpc_server PROPERTIES TIMEOUT 300 LABELS unit
  ENVIRONMENT "ECHO_SERVER=$<TARGET_FILE:echo_server>;ECHO_PROTOSET=${rpc_out}/echo.protoset")
