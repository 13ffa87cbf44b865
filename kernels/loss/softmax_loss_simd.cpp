// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "loss/softmax_loss_simd.hpp"

#include "formulas/softmax.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void loss(const SoftmaxTile& tile, double* row_losses) {
  const std::int64_t channels = tile.channels;
  const float* bias = tile.bias;
  const float scale = tile.gradient_scale;
  const bool has_gradient = tile.dz != nullptr;
  if (has_gradient) {
    for (std::int64_t c = 0; c < channels; ++c) tile.channel_sums[c] = 0.0F;
  }
  for (std::int64_t row = 0; row < tile.rows; ++row) {
    double row_loss = 0;
    for (std::int64_t i = 0; i < tile.pixels; ++i) {
      const std::int64_t pixel = row * tile.pixels + i;
      const float* z = tile.z + pixel * channels;
      const std::int32_t number = tile.classes[pixel];
      const bool counts = softmax::is_class(number, channels);
      if (!counts && !has_gradient) continue;
      // Largest logit
      float largest = z[0] + bias[0];
#pragma omp simd reduction(max : largest)
      for (std::int64_t c = 0; c < channels; ++c) {
        const float logit = z[c] + bias[c];
        largest = logit > largest ? logit : largest;
      }
      // Sum of powers
      float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t c = 0; c < channels; ++c) sum += softmax::power(z[c] + bias[c], largest);
      if (counts) {
        row_loss += static_cast<double>(softmax::loss(z[number] + bias[number], largest, sum));
      }
      if (!has_gradient) continue;
      // Gradient
      float* dz = tile.dz + pixel * channels;
      float* sums = tile.channel_sums;
      if (!counts) {
        for (std::int64_t c = 0; c < channels; ++c) dz[c] = 0.0F;
        continue;
      }
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float power = softmax::power(z[c] + bias[c], largest);
        const float gradient = scale * softmax::gradient(power, sum, c == number);
        dz[c] = gradient;
        sums[c] += gradient;
      }
    }
    row_losses[row] = row_loss;
  }
}

}  // namespace

const SoftmaxLossSimd softmax_loss_simd{loss};

}  // namespace ae::cpu::AE_ISA
