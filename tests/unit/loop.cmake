if(TARGET dialplane_loop)
  dialplane_unit_test(loop SOURCES loop/loop_test.c LINK dialplane_loop pthread)
endif()
