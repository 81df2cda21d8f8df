if(DIALPLANE_FUZZ)
  dialplane_fuzz_target(cli_config SOURCES ${CMAKE_CURRENT_LIST_DIR}/cli/config.c LINK dialplane_cli)
  dialplane_fuzz_target(cli_locate SOURCES ${CMAKE_CURRENT_LIST_DIR}/cli/locate.c LINK dialplane_cli)
endif()
