# What others get: find_package(ae) and pkg-config ae, from wherever the package is unpacked.
include(CMakePackageConfigHelpers)

set(AE_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ae)
install(TARGETS ae_library EXPORT ae_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/ae DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(PROGRAMS tools/fetch_mnist.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/ae)
install(EXPORT ae_targets NAMESPACE ae:: DESTINATION ${AE_CMAKE_DIR})
if(AE_BUILD_PROGRAM)
  install(TARGETS ae RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(AE_SIMT) # the component simt
  install(TARGETS ae_simt EXPORT ae_simt_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ae_simt_targets NAMESPACE ae:: DESTINATION ${AE_CMAKE_DIR})
endif()
configure_package_config_file(cmake/aeConfig.cmake.in aeConfig.cmake
  INSTALL_DESTINATION ${AE_CMAKE_DIR})
write_basic_package_version_file(aeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/aeConfig.cmake ${PROJECT_BINARY_DIR}/aeConfigVersion.cmake
  DESTINATION ${AE_CMAKE_DIR})
if(AE_HAS_CUDNN)
  install(FILES cmake/FindcuDNN.cmake DESTINATION ${AE_CMAKE_DIR})
endif()

# What pkg-config's users link with for CUDA. The toolkit stays where it is, and their programs must
# find its libraries there, as programs that CMake links do.
set(AE_PC_CUDA "")
if(AE_HAS_CUDA)
  set(AE_PC_CUDA
    "-L${CUDAToolkit_LIBRARY_DIR} -Wl,-rpath,${CUDAToolkit_LIBRARY_DIR} -lcublas -lcublasLt")
  if(AE_HAS_CUDNN)
    string(APPEND AE_PC_CUDA " ${cuDNN_LIBRARY}")
  endif()
  if(AE_CUDA_RUNTIME STREQUAL "CUDA::cudart_static")
    string(APPEND AE_PC_CUDA " -lcudart_static -ldl -lrt")
  else()
    string(APPEND AE_PC_CUDA " -lcudart")
  endif()
endif()

list(TRANSFORM OpenMP_CXX_LIB_NAMES PREPEND -l OUTPUT_VARIABLE AE_PC_OPENMP)
list(JOIN AE_PC_OPENMP " " AE_PC_OPENMP)

# pkg-config finds the prefix from where ae.pc lies.
file(RELATIVE_PATH AE_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(AE_PC_FILES ae)
if(AE_SIMT)
  list(APPEND AE_PC_FILES ae-simt)
endif()
foreach(name ${AE_PC_FILES})
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
