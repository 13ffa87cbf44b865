# Compilers are called through ccache where it is installed, so that presets share what they compile
# alike and a second checkout compiles nothing. A launcher that is set already stays.
option(AE_CCACHE "Call compilers through ccache where it is installed" ${PROJECT_IS_TOP_LEVEL})
find_program(AE_CCACHE_PROGRAM ccache)
mark_as_advanced(AE_CCACHE_PROGRAM)
if(NOT AE_CCACHE OR NOT AE_CCACHE_PROGRAM)
  return()
endif()
foreach(language CXX CUDA)
  if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
    # Paths below the checkout count as relative, and the build folder's name does not count.
    set(CMAKE_${language}_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${AE_CCACHE_PROGRAM})
  endif()
endforeach()
