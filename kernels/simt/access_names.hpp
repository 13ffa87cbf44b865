#pragma once

/// Included before the first line of every source that is compiled with -fsanitize=kernel-address
/// (kernels/simt/CMakeLists.txt). The compiler announces each access to memory by a call, and
/// dictates the name of what it calls. A sanitizer's runtime has functions of these names, too, and
/// a program that links both must not take one for the other. So the assembler is told that each
/// stands for a function of ours, of access.cpp.
// clang-format off
asm("__asan_load1_noabort = ae_simt_load1\n"
    "__asan_load2_noabort = ae_simt_load2\n"
    "__asan_load4_noabort = ae_simt_load4\n"
    "__asan_load8_noabort = ae_simt_load8\n"
    "__asan_load16_noabort = ae_simt_load16\n"
    "__asan_loadN_noabort = ae_simt_loadN\n"
    "__asan_store1_noabort = ae_simt_store1\n"
    "__asan_store2_noabort = ae_simt_store2\n"
    "__asan_store4_noabort = ae_simt_store4\n"
    "__asan_store8_noabort = ae_simt_store8\n"
    "__asan_store16_noabort = ae_simt_store16\n"
    "__asan_storeN_noabort = ae_simt_storeN\n"
    "__asan_handle_no_return = ae_simt_handle_no_return\n");
// clang-format on
