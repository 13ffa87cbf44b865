# AE_HAS_CUDA: whether the CUDA backend is built. AUTO builds it where there is a CUDA compiler. OFF
# is the default as long as the installed package does not bring CUDA's libraries along.
set(AE_CUDA "OFF" CACHE STRING "The CUDA backend: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE AE_CUDA PROPERTY STRINGS AUTO ON OFF)
set(AE_CUDA_ARCHITECTURES "75-real;80-real;86-real;89-real;90-real;100-real;120" CACHE STRING
    "GPU architectures to compile for, as CMAKE_CUDA_ARCHITECTURES; native: this machine's GPUs")

set(AE_HAS_CUDA OFF)
if(AE_CUDA STREQUAL "OFF")
  return()
endif()

# Where NVIDIA's packages put it, though not on PATH.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(AE_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(AE_NVCC)
    set(CMAKE_CUDA_COMPILER ${AE_NVCC})
  endif()
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${AE_CUDA_ARCHITECTURES})
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(AE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "AE_CUDA is ON, but there is no CUDA compiler: install the CUDA toolkit (12 or "
                        "13) or give -DCMAKE_CUDA_COMPILER=/path/to/nvcc")
  endif()
  message(STATUS "CUDA backend: not built, no CUDA compiler (nvcc) was found")
  return()
endif()

enable_language(CUDA)
# CMake learnt of nvcc's C++20 in 3.26.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
find_package(CUDAToolkit 12 REQUIRED)
if(CMAKE_CUDA_RUNTIME_LIBRARY STREQUAL "Shared")
  set(AE_CUDA_RUNTIME CUDA::cudart)
else()
  set(AE_CUDA_RUNTIME CUDA::cudart_static)
endif()
# What is linked is named where it is needed: the language brings nothing along by itself.
set(CMAKE_CUDA_IMPLICIT_LINK_LIBRARIES "")
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
set(AE_CUDA_LIBRARIES ${AE_CUDA_RUNTIME} CUDA::cublas CUDA::cublasLt)
set(AE_HAS_CUDA ON)
message(STATUS "CUDA backend: built with CUDA ${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
