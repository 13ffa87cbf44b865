// y = f(z) with z = y + bias, in place, y (rows, cols); z is kept as well, if asked for. Biases may
// repeat along a row, every `channels` columns.
//
// One block a row, its threads along the columns: contiguous accesses, 16 bytes a thread where the
// row length allows; the bias stays in cache, since every block reads it.
//
// Traffic: 8 bytes an element, 4 read and 4 written.
// The bias is not counted; z, where it is kept, is 4 more.

#include "activation/activation_kernels.hpp"
#include "common/pack.cuh"
#include "formulas/activations.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 128;

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kThreads)
    bias_activation_kernel(const float* bias, float* y, float* z, std::int64_t rows,
                           std::int64_t cols, std::int64_t channels) {
  const auto row_size = static_cast<int>(cols);
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (int c = static_cast<int>(threadIdx.x) * kWidth; c < row_size; c += kThreads * kWidth) {
      Pack<kWidth> pack = load_pack<kWidth>(y + row * cols + c);
      if (bias != nullptr) {
        const Pack<kWidth> b = channels == cols ? load_pack<kWidth>(bias + c)
                                                : load_repeating<kWidth>(bias, c, channels);
        for (int i = 0; i < kWidth; ++i) pack.value[i] += b.value[i];
      }
      if constexpr (Formula::kSlopeFromInput) {
        if (z != nullptr) store_pack<kWidth>(z + row * cols + c, pack);
      }
      for (int i = 0; i < kWidth; ++i) pack.value[i] = Formula::value(pack.value[i]);
      store_pack<kWidth>(y + row * cols + c, pack);
    }
  }
}

}  // namespace

void bias_activation(Activation activation, const float* bias, float* y, float* z,
                     std::int64_t rows, std::int64_t cols, LaunchContext& context,
                     std::int64_t channels) {
  if (rows == 0 || cols == 0) return;
  if (bias == nullptr && activation == Activation::identity) return;
  if (channels == 0) channels = cols;
  const float* const loaded_in_packs = channels == cols ? bias : nullptr;
  const LaunchShape shape{dim3(static_cast<unsigned>(rows)), dim3(kThreads)};
  for_activation(activation, [&]<typename Formula>() {
    if (packs_of_four(cols, y, loaded_in_packs, z)) {
      AE_LAUNCH((bias_activation_kernel<Formula, 4>), shape, context, bias, y, z, rows, cols,
                channels);
    } else {
      AE_LAUNCH((bias_activation_kernel<Formula, 1>), shape, context, bias, y, z, rows, cols,
                channels);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
