set(skillbase_dir ${CMAKE_CURRENT_LIST_DIR}/skillbase)
dialplane_unit_test(skillbase_domain SOURCES ${skillbase_dir}/test_domain.c LINK skillbase_domain)
dialplane_unit_test(skillbase_secrets SOURCES ${skillbase_dir}/test_secrets.c LINK skillbase_domain)
dialplane_unit_test(skillbase_paging SOURCES ${skillbase_dir}/test_paging.c LINK dialplane_service)

# The whole service over gRPC, on a PostgreSQL of its own.
add_test(NAME unit/skillbase_service
  COMMAND ${CMAKE_CURRENT_LIST_DIR}/pg/with_postgres.sh
          /usr/bin/python3 -m pytest -q -x -p no:cacheprovider ${skillbase_dir})
set_tests_properties(unit/skillbase_service PROPERTIES TIMEOUT 300 LABELS unit
  ENVIRONMENT "DIALPLANE_AUTH=off;SKILLBASE_SERVER=$<TARGET_FILE:dialplane-skillbase>;PROTOSET=${CMAKE_BINARY_DIR}/proto/dialplane.protoset")
