# bench_pg runs with a server of its own: tests/unit/pg/with_postgres.sh build/release/bin/bench_pg
if(TARGET dialplane_pg)
  add_executable(bench_pg pg/bench_pg.c)
  target_link_libraries(bench_pg PRIVATE dialplane_flags dialplane_pg)
endif()
