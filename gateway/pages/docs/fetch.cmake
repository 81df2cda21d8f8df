# Fetches Swagger UI and ReDoc (npm packages, exact versions, checked by their SHA-512) into OUT and links them into OUT/docs_assets.o, byte for
# byte. Without npm or its registry the pages say that they are missing, and how to get them; everything else works.
set(SWAGGER_UI 5.35.0)
set(SWAGGER_UI_SHA512 534eaba4cb56f55dd73c638179a993512af4674f63317e0826e00da44fc465b021c341bc0a0c2bcd4e18997927fe1d3008336c5dd19aad334d1c2dec53cc9551)
set(REDOC 2.5.4)
set(REDOC_SHA512 33a8d6846d6aa019c7e93166cc99ecb72099f3b1e6398fd4cc39bbf261e262284476557f61c4bda203a8d4d94496724c78bb32c4715edb215ce2c3631d3ac005)

file(MAKE_DIRECTORY ${OUT})

# fetch(PACKAGE VERSION SHA512): unpacks it into OUT/PACKAGE; sets PACKAGE_ok.
function(fetch package version sha512)
  set(archive ${OUT}/${package}-${version}.tgz)
  set(${package}_ok FALSE PARENT_SCOPE)
  if(NOT EXISTS ${archive})
    execute_process(
      COMMAND ${CMAKE_COMMAND} -E env npm_config_cache=${OUT}/npm-cache npm_config_update_notifier=false
              npm pack ${package}@${version} --silent
      WORKING_DIRECTORY ${OUT} RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error TIMEOUT 120)
    if(NOT result EQUAL 0 OR NOT EXISTS ${archive})
      message(WARNING "npm pack ${package}@${version} failed: /docs and /redoc will say so. ${error}")
      return()
    endif()
  endif()
  file(SHA512 ${archive} found)
  if(NOT found STREQUAL sha512)
    file(REMOVE ${archive})
    message(FATAL_ERROR "${package}-${version} is not the package that was reviewed: SHA-512 is ${found}")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${OUT}/${package})
  set(${package}_ok TRUE PARENT_SCOPE)
endfunction()

fetch(swagger-ui-dist ${SWAGGER_UI} ${SWAGGER_UI_SHA512})
fetch(redoc ${REDOC} ${REDOC_SHA512})

# An empty file stands for what could not be had.
function(asset name path ok)
  if(ok)
    file(COPY_FILE ${path} ${OUT}/${name})
  else()
    file(WRITE ${OUT}/${name} "")
  endif()
endfunction()
asset(swagger_ui.css ${OUT}/swagger-ui-dist/package/swagger-ui.css "${swagger-ui-dist_ok}")
asset(swagger_ui.js ${OUT}/swagger-ui-dist/package/swagger-ui-bundle.js "${swagger-ui-dist_ok}")
asset(redoc.js ${OUT}/redoc/package/bundles/redoc.standalone.js "${redoc_ok}")

execute_process(COMMAND ld -r -z noexecstack -b binary -o docs_assets.o swagger_ui.css swagger_ui.js redoc.js
                WORKING_DIRECTORY ${OUT} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND objcopy --rename-section .data=.rodata,alloc,load,readonly,data,contents docs_assets.o
                WORKING_DIRECTORY ${OUT} COMMAND_ERROR_IS_FATAL ANY)
