# Reporters and the reference of tests/bench/bench_analytics.py, which brings database and service.
if(TARGET dialplane_client)
  pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq)
  add_executable(bench_analytics analytics/bench_analytics.c analytics/insert_rows.c)
  target_link_libraries(bench_analytics PRIVATE dialplane_flags dialplane_client dialplane_base PkgConfig::LIBPQ pthread)
endif()
