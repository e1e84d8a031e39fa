# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# The helpers that every folder uses: one library per folder, one program per tool, one runner per kind of test, and sources
# taken from the same .def list that the C++ registry includes.

# qeff_add_library(<name> SOURCES ... [PUBLIC ...] [PRIVATE ...])
# A static library; includes are root-relative; headers of dependencies listed PUBLIC are visible to users.
function(qeff_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                            $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} qeff_warnings)
endfunction()

# qeff_add_tool(<name> SOURCES ... DEPENDS ...)
function(qeff_add_tool name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} qeff_warnings)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME)
endfunction()

# qeff_add_test(<name> SOURCES ... DEPENDS ...)
# One Catch2 runner; each test case becomes a ctest entry. A case that prints "SKIPPED:" counts as skipped.
function(qeff_add_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} qeff_test_main qeff_warnings)
  catch_discover_tests(${name} TEST_PREFIX "${name}: " WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                       PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED:" TIMEOUT 900)
endfunction()

# qeff_sources_from_def(<out variable> <def file> <macro>)
# Reads lines MACRO(stem, ...) of <def file> and returns <stem>.cpp for each, so that a line without a file fails here.
function(qeff_sources_from_def out def macro)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${def})
  file(STRINGS ${def} lines REGEX "^${macro}\\(")
  set(sources)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^${macro}\\(([a-z0-9_]+).*" "\\1" stem "${line}")
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${stem}.cpp)
      message(FATAL_ERROR "${def} names '${stem}', but ${CMAKE_CURRENT_SOURCE_DIR}/${stem}.cpp does not exist")
    endif()
    list(APPEND sources ${stem}.cpp)
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
