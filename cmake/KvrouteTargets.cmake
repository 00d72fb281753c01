# One helper per kind of target. A folder is one library and, where it has *_test.cc files, one test binary.

# kvroute_sources(OUT target sources...): what is compiled of a target. With KVROUTE_JUMBO it is one file that includes all of
# them: headers are read once a target instead of once a file, which is a third of the time for a build of everything, and of no use
# to somebody who edits one file. The paths in it are relative to the checkout, so that ccache serves every clone.
function(kvroute_sources out target)
  list(LENGTH ARGN count)
  if(NOT KVROUTE_JUMBO OR count LESS 2)
    set(${out} ${ARGN} PARENT_SCOPE)
    return()
  endif()
  set(text "// Made by cmake/KvrouteTargets.cmake.\n")
  foreach(source ${ARGN})
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    if(source MATCHES "^${CMAKE_BINARY_DIR}/generated/")
      cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
    else()
      cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${CMAKE_SOURCE_DIR})
    endif()
    string(APPEND text "#include \"${source}\"\n")
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}_jumbo.cc CONTENT "${text}" @ONLY)
  set(${out} ${CMAKE_CURRENT_BINARY_DIR}/${target}_jumbo.cc PARENT_SCOPE)
endfunction()

# kvroute_library(NAME name SOURCES ... DEPS ... [FILE_BY_FILE]): DEPS are the only libraries its code may include.
function(kvroute_library)
  cmake_parse_arguments(ARG "FILE_BY_FILE" "NAME" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  set(sources ${ARG_SOURCES})
  if(NOT ARG_FILE_BY_FILE)
    kvroute_sources(sources ${ARG_NAME} ${ARG_SOURCES})
  endif()
  add_library(${ARG_NAME} STATIC ${sources})
  target_link_libraries(${ARG_NAME} PUBLIC kvroute_options ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# What the thread sanitizer can say something about: the tests marked THREADS, which scripts/check runs, and those marked
# THREADS_NIGHTLY, which only scripts/check --nightly runs besides.
add_custom_target(threaded_tests)
add_custom_target(nightly_threaded_tests)
add_dependencies(nightly_threaded_tests threaded_tests)

# kvroute_test(NAME name SOURCES ... DEPS ... [THREADS|THREADS_NIGHTLY] [LABELS ...] [TIMEOUT seconds] [SECONDS s] [SHARDS n]):
# a GoogleTest binary and its ctest entry. SECONDS is how long it takes, roughly: the longest start first, so that no core is idle
# at the end. SHARDS makes n entries, name_1 to name_n, each a part of the tests.
function(kvroute_test)
  cmake_parse_arguments(ARG "THREADS;THREADS_NIGHTLY" "NAME;TIMEOUT;SECONDS;SHARDS" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1200)  # against hangs only: a busy machine may be twenty times slower
  endif()
  if(CMAKE_CROSSCOMPILING)
    set(ARG_TIMEOUT 7200)  # an emulated processor is slow
  endif()
  kvroute_sources(sources ${ARG_NAME} ${ARG_SOURCES})
  add_executable(${ARG_NAME} ${sources})
  target_compile_options(${ARG_NAME} PRIVATE ${KVROUTE_TEST_OPTIONS})
  target_link_libraries(${ARG_NAME} PRIVATE kvroute_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(ARG_THREADS)
    list(APPEND ARG_LABELS threads)
    add_dependencies(threaded_tests ${ARG_NAME})
  elseif(ARG_THREADS_NIGHTLY)
    list(APPEND ARG_LABELS nightly_threads)
    add_dependencies(nightly_threaded_tests ${ARG_NAME})
  endif()
  if(NOT ARG_SHARDS)
    set(ARG_SHARDS 1)
  endif()
  math(EXPR last "${ARG_SHARDS} - 1")
  foreach(shard RANGE ${last})
    set(entry ${ARG_NAME})
    set(environment "TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1:suppressions=${CMAKE_SOURCE_DIR}/test/support/tsan.supp"
      UBSAN_OPTIONS=print_stacktrace=1 KVROUTE_BINARY_DIR=${CMAKE_BINARY_DIR})
    if(last GREATER 0)
      math(EXPR number "${shard} + 1")
      string(APPEND entry _${number})
      list(APPEND environment GTEST_TOTAL_SHARDS=${ARG_SHARDS} GTEST_SHARD_INDEX=${shard})
    endif()
    add_test(NAME ${entry} COMMAND ${ARG_NAME} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${entry} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "unit;${ARG_LABELS}" ENVIRONMENT "${environment}")
    if(ARG_SECONDS)
      set_tests_properties(${entry} PROPERTIES COST ${ARG_SECONDS})
    endif()
  endforeach()
endfunction()

# kvroute_fuzzer(NAME name SOURCES ... DEPS ... CORPUS dir): a libFuzzer target (only with KVROUTE_FUZZ).
function(kvroute_fuzzer)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  if(NOT KVROUTE_FUZZ)
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_compile_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${ARG_NAME} PRIVATE kvroute_options ${ARG_DEPS})
  foreach(library ${ARG_DEPS})  # what is fuzzed must report its coverage, or libFuzzer is blind
    target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
  endforeach()
endfunction()

# kvroute_benchmark(NAME name SOURCES ... DEPS ...): a Google Benchmark binary. Only in release: other figures mean nothing.
function(kvroute_benchmark)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;DEPS" ${ARGN})
  if(NOT CMAKE_BUILD_TYPE STREQUAL Release)
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE kvroute_options ${ARG_DEPS} benchmark::benchmark benchmark::benchmark_main)
endfunction()
