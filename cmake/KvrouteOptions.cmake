# Compiler settings shared by every target: warnings, sanitizers, linker.
option(KVROUTE_WERROR "Treat warnings as errors" OFF)
option(KVROUTE_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(KVROUTE_JUMBO "Compile each target as one file: for builds of everything" OFF)
option(KVROUTE_INDEXER_ONLY "Only indexer/ and what its tests need: for another kind of processor" OFF)
set(KVROUTE_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined or thread")

# The dev preset: -Og takes little longer to compile than -O0, and the tests against the models take a fifth of the time.
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")
# Build type of the sanitizer presets: quick to compile, line numbers, assertions (KVROUTE_DCHECK) on.
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1")

add_library(kvroute_options INTERFACE)
target_compile_options(kvroute_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Wimplicit-fallthrough -Wundef)
if(KVROUTE_WERROR)
  target_compile_options(kvroute_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(kvroute_options INTERFACE -Wthread-safety -Wthread-safety-beta)
endif()
target_include_directories(kvroute_options INTERFACE ${CMAKE_SOURCE_DIR})

if(KVROUTE_SANITIZE)
  target_compile_options(kvroute_options INTERFACE -fsanitize=${KVROUTE_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(kvroute_options INTERFACE -fsanitize=${KVROUTE_SANITIZE})
  if(KVROUTE_SANITIZE MATCHES undefined)
    target_compile_options(kvroute_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()

# What a test does is seldom worth optimising: its objects take half the time.
set(KVROUTE_TEST_OPTIONS "")
if(CMAKE_BUILD_TYPE STREQUAL Release)
  set(KVROUTE_TEST_OPTIONS -O1)
endif()

find_program(KVROUTE_LINKER mold)
if(KVROUTE_LINKER AND NOT CMAKE_CROSSCOMPILING)  # a cross compiler does not find it
  add_link_options(-fuse-ld=mold)
endif()

find_program(KVROUTE_CCACHE ccache)
if(KVROUTE_CCACHE)
  # Paths are hashed relative to the checkout, so that every clone and work tree shares what any of them has compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${KVROUTE_CCACHE})
endif()
