if(DIALPLANE_FUZZ)
  dialplane_fuzz_target(campaign_csv SOURCES ${CMAKE_CURRENT_LIST_DIR}/campaign/csv.c LINK campaign_domain)
endif()
