# What tests/bench/bench_watchers.py holds the gateway against.
add_executable(bench_bare_send watchers/bare_send.c)
target_link_libraries(bench_bare_send PRIVATE dialplane_flags)
