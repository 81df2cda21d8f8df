# Tokens, key sets, API keys and tickets from anywhere.
foreach(name token key_set secret)
  dialplane_fuzz_target(auth_${name} SOURCES ${CMAKE_CURRENT_LIST_DIR}/auth/${name}.c LINK dialplane_auth)
endforeach()
