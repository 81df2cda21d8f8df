dialplane_unit_test(agent_conversation
  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/agent/test_conversation.c ${CMAKE_SOURCE_DIR}/clients/agent/conversation.c
  LINK dialplane_base m)
target_include_directories(test_agent_conversation PRIVATE ${CMAKE_SOURCE_DIR}/clients)
