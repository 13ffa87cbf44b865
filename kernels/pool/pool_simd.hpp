#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"

namespace ae::cpu {

/// Windows of a pooling or upsampling: `small` is the image whose pixels are windows of `size` ×
/// `size` pixels of the large one, which is height × width.
struct Windows {
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
  std::int64_t size;
};

/// Each takes one image.

struct PoolSimd {
  void (*max_pool)(const Windows& windows, const float* x, float* y);
  void (*max_pool_gradient)(const Windows& windows, const float* x, const float* dy, float* dx);
  void (*upsample)(const Windows& windows, const float* x, float* y);
  void (*upsample_gradient)(const Windows& windows, const float* dy, float* dx);
};
AE_SIMD(PoolSimd, pool_simd)

}  // namespace ae::cpu
