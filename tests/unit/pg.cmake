# dialplane_database_test(NAME SOURCES … LINK …): a cmocka program that runs with a PostgreSQL of its own (pg/with_postgres.sh).
function(dialplane_database_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE dialplane_flags ${ARG_LINK} cmocka)
  add_test(NAME unit/${name}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/pg/with_postgres.sh $<TARGET_FILE:test_${name}>
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/tests)
  set_tests_properties(unit/${name} PROPERTIES TIMEOUT 180 SKIP_RETURN_CODE 77 LABELS "unit;database")
endfunction()

if(TARGET dialplane_pg)
  dialplane_unit_test(pg_params SOURCES pg/params_test.c LINK dialplane_pg)
  dialplane_database_test(pg_queries SOURCES pg/queries_test.c pg/fixture.c LINK dialplane_pg)
  dialplane_database_test(pg_identity SOURCES pg/identity_test.c pg/fixture.c LINK dialplane_pg)
  dialplane_database_test(pg_sessions SOURCES pg/sessions_test.c pg/fixture.c LINK dialplane_pg)
  dialplane_database_test(pg_recovery SOURCES pg/recovery_test.c pg/fixture.c LINK dialplane_pg)
  dialplane_database_test(pg_migrate SOURCES pg/migrate_test.c LINK dialplane_migrations dialplane_pg)
endif()
