set(dir ${CMAKE_CURRENT_LIST_DIR}/upstream)
dialplane_unit_test(upstream_status SOURCES ${dir}/status_test.c LINK dialplane_gateway_upstream)

# The gateway against services that we did not write: python-grpcio.
add_test(NAME unit/upstream_gateway
  COMMAND /usr/bin/python3 -m pytest -q -x -p no:cacheprovider --rootdir ${dir} --confcutdir ${dir} ${dir})
set_tests_properties(unit/upstream_gateway PROPERTIES TIMEOUT 600 LABELS unit
  ENVIRONMENT "DIALPLANE_AUTH=off;GATEWAY=$<TARGET_FILE:dialplane-gateway>;PROTOSET=${CMAKE_BINARY_DIR}/proto/dialplane.protoset;PYTHONDONTWRITEBYTECODE=1")
