# Certificates and keys from files; the queue of a socket that TLS writes for.
dialplane_unit_test(tls_material SOURCES ${CMAKE_CURRENT_LIST_DIR}/tls/material_test.c LINK dialplane_tls)
dialplane_unit_test(tls_session SOURCES ${CMAKE_CURRENT_LIST_DIR}/tls/session_test.c LINK dialplane_gateway_http)
dialplane_unit_test(tls_socket SOURCES ${CMAKE_CURRENT_LIST_DIR}/tls/socket_test.c LINK dialplane_gateway_http)
