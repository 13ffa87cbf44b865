#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/launch_context.hpp"
#include "convolution/geometry.hpp"
#include "device/cuda/memory.hpp"

/// The boundary to cuDNN's convolutions: no header of cuDNN's comes through here. A build without
/// it has these functions from without_dnn.cpp.
namespace ae::cuda {

/// The most that an algorithm of cuDNN's may have to work in, as much as cuBLAS's two workspaces.
inline constexpr std::size_t kDnnWorkspaceBytes = std::size_t{64} << 20U;

/// One computation, in a library that has agreed to do it and has made ready: a chosen algorithm
/// and its memory.
class LibraryConvolution {
 public:
  LibraryConvolution() = default;
  virtual ~LibraryConvolution() = default;
  LibraryConvolution(const LibraryConvolution&) = delete;
  LibraryConvolution& operator=(const LibraryConvolution&) = delete;

  /// As ConvolutionCall.
  virtual void run(const float* first, const float* second, float* result) = 0;
};

/// Convolutions by cuDNN, on one stream.
///
/// Images and maps lie in memory as cuDNN's NHWC has them. The weights do not: our W, a matrix
/// (kernel_height·kernel_width·image channels, map channels), is the transpose of cuDNN's filter
/// (K, R, S, C), and so it is transposed before each use, and the gradient after.
///
/// cuDNN puts as many zeros behind an image as before it, and then makes as many outputs as fit. It
/// takes a geometry where that is the map's size. Where "same" leaves an odd zero, which then
/// belongs below and on the right, it is not: a stride of 2 under a kernel of 3 on an even image,
/// say, as both transposed convolutions of the recipe `conv` have it. Our kernels, which need no
/// copies for it, do those. (More zeros on both sides and outputs left away would come to the same
/// numbers, but by two more passes over the map, 8 x 8 values computed for 7 x 7, and clearing;
/// no GPU has said yet that this pays.)
class DnnConvolutions {
 public:
  DnnConvolutions() = default;
  virtual ~DnnConvolutions() = default;
  DnnConvolutions(const DnnConvolutions&) = delete;
  DnnConvolutions& operator=(const DnnConvolutions&) = delete;

  /// Null where cuDNN does not take the geometry or has no algorithm that gives the same bits each
  /// time, within the workspace, in the precision. It is asked once for each geometry and batch,
  /// about its heuristics and not a clock, so that the same program chooses the same again.
  [[nodiscard]] virtual LibraryConvolution* find(const Convolution& convolution,
                                                 ConvolutionResult result, std::int64_t batch) = 0;
};

/// @throws Error if cuDNN cannot be used, or is not in this build.
[[nodiscard]] std::unique_ptr<DnnConvolutions> make_dnn_convolutions(Memory& memory,
                                                                     cudaStream_t stream,
                                                                     bool tf32);

}  // namespace ae::cuda
