# AE_HAS_CUDA: whether the CUDA backend is built; AE_CUDA_LIBRARIES: what it links to. AUTO builds it
# where there is a CUDA compiler and its libraries, and says so when it does not.
set(AE_CUDA "AUTO" CACHE STRING "The CUDA backend: AUTO (where CUDA 12 or later is found), ON or OFF")
set(AE_CUDNN "AUTO" CACHE STRING "cuDNN for its convolutions: AUTO (where cuDNN 8 or later is found), ON or OFF")
foreach(option AE_CUDA AE_CUDNN)
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  if(NOT ${option} STREQUAL "AUTO") # 1, true, no, …
    if(${option})
      set(${option} ON)
    else()
      set(${option} OFF)
    endif()
  endif()
endforeach()

# Without CUDA from here: an error if it was asked for.
macro(ae_without_cuda reason)
  if(AE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "AE_CUDA is ON, but ${reason}: install the CUDA toolkit (12 or 13), or give "
                        "-DCMAKE_CUDA_COMPILER=/path/to/nvcc")
  endif()
  message(STATUS "CUDA backend: not built, ${reason}")
  return()
endmacro()

set(AE_HAS_CUDA OFF)
set(AE_HAS_CUDNN OFF)
set(AE_CUDA_LIBRARIES "")
if(AE_CUDA STREQUAL "OFF")
  return()
endif()

# ── The compiler ────────────────────────────────────────────────────────────────────────────────

# It may have been installed since the last time.
if(NOT CMAKE_CUDA_COMPILER)
  unset(CMAKE_CUDA_COMPILER CACHE)
endif()
# Where NVIDIA's packages put it, though not on PATH.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(AE_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(AE_NVCC)
    set(ENV{CUDACXX} ${AE_NVCC})
  endif()
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  ae_without_cuda("no CUDA compiler (nvcc) was found, or none that works with this C++ compiler")
endif()
execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE AE_NVCC_VERSION ERROR_QUIET)
string(REGEX REPLACE ".*release ([0-9]+\\.[0-9]+).*" "\\1" AE_NVCC_VERSION "${AE_NVCC_VERSION}")
if(AE_NVCC_VERSION VERSION_LESS 12)
  ae_without_cuda("${CMAKE_CUDA_COMPILER} is older than CUDA 12")
endif()

# All that ends in -real is machine code alone; the last brings PTX along, for GPUs to come.
if(AE_NVCC_VERSION VERSION_LESS 12.8)
  set(AE_KNOWN_ARCHITECTURES "75-real;80-real;86-real;89-real;90")
else()
  set(AE_KNOWN_ARCHITECTURES "75-real;80-real;86-real;89-real;90-real;100-real;120")
endif()
set(AE_CUDA_ARCHITECTURES ${AE_KNOWN_ARCHITECTURES} CACHE STRING
    "GPU architectures to compile for, as CMAKE_CUDA_ARCHITECTURES; native: this machine's GPUs")
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES ${AE_CUDA_ARCHITECTURES})
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

# ── The libraries, those that came with this compiler ───────────────────────────────────────────

find_package(CUDAToolkit 12 QUIET)
find_path(AE_NVTX_INCLUDE_DIR nvtx3/nvToolsExt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
mark_as_advanced(AE_NVTX_INCLUDE_DIR AE_NVCC)
if(NOT CUDAToolkit_FOUND OR NOT TARGET CUDA::cublas OR NOT TARGET CUDA::cublasLt OR NOT AE_NVTX_INCLUDE_DIR)
  ae_without_cuda("cuBLAS's or NVTX's development files are not installed beside ${CMAKE_CUDA_COMPILER}")
endif()

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

# ── cuDNN ───────────────────────────────────────────────────────────────────────────────────────

if(NOT AE_CUDNN STREQUAL "OFF")
  list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
  find_package(cuDNN 8 QUIET)
  if(cuDNN_FOUND)
    set(AE_HAS_CUDNN ON)
    list(APPEND AE_CUDA_LIBRARIES cuDNN::cudnn)
    message(STATUS "cuDNN: ${cuDNN_VERSION}, convolutions run on it")
  elseif(AE_CUDNN STREQUAL "ON")
    message(FATAL_ERROR "AE_CUDNN is ON, but cuDNN 8 or later was not found: install it (on Debian and "
                        "Ubuntu NVIDIA's cudnn9-cuda-13), or give -DcuDNN_ROOT=/path/to/it")
  else()
    message(STATUS "cuDNN: not found, convolutions run on our own kernels")
  endif()
endif()
