# What `cmake --install` and the Debian package consist of; scripts/package makes the latter.
include(GNUInstallDirs)
set(KVROUTE_DOC_DIR ${CMAKE_INSTALL_DATADIR}/doc/kvroute)
set(KVROUTE_CONFIG_DIR /etc/kvroute)

install(TARGETS kvroute RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# The unit names the binary by its whole path, which is known when it is installed: the package's prefix is not the build's.
install(CODE "
  file(READ \"${CMAKE_SOURCE_DIR}/deploy/systemd/kvroute.service\" unit)
  string(REPLACE \"/usr/local/bin/kvroute\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/kvroute\" unit \"\${unit}\")
  file(WRITE \"${CMAKE_BINARY_DIR}/package/kvroute.service\" \"\${unit}\")")
install(FILES ${CMAKE_BINARY_DIR}/package/kvroute.service DESTINATION lib/systemd/system)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/kvroute.yaml DESTINATION ${KVROUTE_CONFIG_DIR})

foreach(shell_file IN ITEMS bash:bash-completion/completions:kvroute zsh:zsh/vendor-completions:_kvroute fish:fish/vendor_completions.d:kvroute.fish)
  string(REPLACE ":" ";" shell_file ${shell_file})
  list(GET shell_file 0 shell)
  list(GET shell_file 1 folder)
  list(GET shell_file 2 name)
  install(FILES ${CMAKE_SOURCE_DIR}/deploy/completion/kvroute.${shell} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder} RENAME ${name})
endforeach()

# Debian's rules: manual pages and the change log compressed, without the time of compression.
foreach(page IN ITEMS docs/man/kvroute.1:kvroute.1 CHANGELOG.md:changelog)
  string(REPLACE ":" ";" page ${page})
  list(GET page 0 source)
  list(GET page 1 name)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/package/${name}.gz
    COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/${source} > ${CMAKE_BINARY_DIR}/package/${name}.gz
    DEPENDS ${CMAKE_SOURCE_DIR}/${source} VERBATIM)
  list(APPEND compressed ${CMAKE_BINARY_DIR}/package/${name}.gz)
endforeach()
add_custom_target(kvroute_package_pages ALL DEPENDS ${compressed})
install(FILES ${CMAKE_BINARY_DIR}/package/kvroute.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_BINARY_DIR}/package/changelog.gz DESTINATION ${KVROUTE_DOC_DIR})
install(FILES ${CMAKE_SOURCE_DIR}/deploy/debian/copyright ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/SECURITY.md DESTINATION ${KVROUTE_DOC_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs DESTINATION ${KVROUTE_DOC_DIR} PATTERN man EXCLUDE)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/deploy/prometheus ${CMAKE_SOURCE_DIR}/deploy/grafana ${CMAKE_SOURCE_DIR}/deploy/envoy DESTINATION ${KVROUTE_DOC_DIR}/deploy)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/proto/kvroute DESTINATION ${CMAKE_INSTALL_DATADIR}/kvroute/proto FILES_MATCHING PATTERN *.proto)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME kvroute)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "kvroute developers <kvroute@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "KV-cache-aware routing for LLM gateways")
set(CPACK_PACKAGE_DESCRIPTION "Tells an LLM gateway which inference worker already holds a prompt's KV cache.\nReads the KV-cache events of vLLM, SGLang and TensorRT-LLM, keeps an exact index,\nand answers over gRPC and as an endpoint picker of Envoy.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/deploy/debian/conffiles ${CMAKE_SOURCE_DIR}/deploy/debian/postinst
  ${CMAKE_SOURCE_DIR}/deploy/debian/prerm ${CMAKE_SOURCE_DIR}/deploy/debian/postrm)
include(CPack)
