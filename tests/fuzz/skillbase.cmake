if(DIALPLANE_FUZZ)
  dialplane_fuzz_target(skillbase_secrets SOURCES ${CMAKE_CURRENT_LIST_DIR}/skillbase/secrets.c LINK skillbase_domain)
endif()
