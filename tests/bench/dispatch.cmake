# The workers of tests/bench/bench_dispatch.py, which brings database and services.
if(TARGET dialplane_client)
  add_executable(bench_dispatch dispatch/bench_dispatch.c)
  target_link_libraries(bench_dispatch PRIVATE dialplane_flags dialplane_client dialplane_base pthread)
endif()
