set(analytics_dir ${CMAKE_CURRENT_LIST_DIR}/analytics)
set(analytics_live ${CMAKE_SOURCE_DIR}/services/analytics/live)
dialplane_unit_test(analytics_domain SOURCES ${analytics_dir}/domain_test.c LINK analytics_domain)
dialplane_unit_test(analytics_watched SOURCES ${analytics_dir}/watched_test.c ${analytics_live}/watched.c ${analytics_live}/messages.c
  LINK analytics_domain)
