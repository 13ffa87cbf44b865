// Compiled several times, each with the compiler flags of one instruction set and AE_ISA naming it.
// Nothing but always-inlined formulas may be used from here: an ordinary inline function would be
// shared with the rest of the program, and the linker might keep the copy that needs AVX-512.

#include "device/cpu/vector_kernels.hpp"

#include <cstddef>
#include <cstring>
#include <utility>

#include "device/cpu/vector.hpp"
#include "formulas/activations.hpp"
#include "formulas/dropout.hpp"
#include "formulas/gaussian.hpp"
#include "formulas/losses.hpp"
#include "formulas/math.hpp"
#include "formulas/noise.hpp"
#include "formulas/normal.hpp"
#include "formulas/normalization.hpp"
#include "formulas/optimizers.hpp"
#include "formulas/ordering.hpp"
#include "formulas/philox.hpp"
#include "formulas/sparsity.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define AE_TEXT_OF(name) #name
#define AE_TEXT(name) AE_TEXT_OF(name)

namespace ae::cpu::AE_ISA {

namespace {

void convert_bytes(const std::uint8_t* from, float* to, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) / 255.0F;
}

template <typename Formula>
void bias_activation(const float* bias, const Tile& y, float* z) {
  for (std::int64_t row = 0; row < y.rows; ++row) {
    float* out = y.data + row * y.stride;
    if (bias != nullptr) {
#pragma omp simd
      for (std::int64_t c = 0; c < y.cols; ++c) out[c] += bias[c];
    }
    if constexpr (Formula::kSlopeFromInput) {
      if (z != nullptr)
        std::memcpy(z + row * y.stride, out, static_cast<std::size_t>(y.cols) * sizeof(float));
    }
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c) out[c] = Formula::value(out[c]);
  }
}

void bias_activation(Activation activation, const float* bias, const Tile& y, float* z) {
  for_activation(activation, [&]<typename Formula>() { bias_activation<Formula>(bias, y, z); });
}

template <typename Formula>
void activation_gradient(const ConstTile& saved, const Tile& dx, float* column_sums) {
  for (std::int64_t c = 0; c < dx.cols; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < dx.rows; ++row) {
    const float* from = saved.data + row * saved.stride;
    float* gradient = dx.data + row * dx.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < dx.cols; ++c) {
      const float g = gradient[c] * Formula::slope(from[c]);
      gradient[c] = g;
      column_sums[c] += g;
    }
  }
}

void activation_gradient(Activation activation, const ConstTile& saved, const Tile& dx,
                         float* column_sums) {
  for_activation(activation,
                 [&]<typename Formula>() { activation_gradient<Formula>(saved, dx, column_sums); });
}

/// Columns of a row that go through both parts of a loss formula together.
constexpr std::int64_t kLossStretch = 128;

template <bool kGradient, typename Formula>
void loss(const Formula& formula, const LossTile& tile, double* row_losses) {
  const std::int64_t cols = tile.z.cols;
  const float scale = tile.gradient_scale;
  if constexpr (kGradient) {
    for (std::int64_t c = 0; c < cols; ++c) tile.column_sums[c] = 0.0F;
  }
  for (std::int64_t row = 0; row < tile.z.rows; ++row) {
    float row_loss = 0.0F;
    for (std::int64_t begin = 0; begin < cols; begin += kLossStretch) {
      const std::int64_t count = cols - begin < kLossStretch ? cols - begin : kLossStretch;
      const float* z = tile.z.data + row * tile.z.stride + begin;
      const float* bias = tile.bias + begin;
      const float* target = tile.target + row * cols + begin;
      float prepared[kLossStretch];
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) prepared[i] = formula.prepare(z[i] + bias[i]);
      if constexpr (kGradient) {
        float* dz = tile.dz + row * tile.z.stride + begin;
        float* sums = tile.column_sums + begin;
#pragma omp simd reduction(+ : row_loss)
        for (std::int64_t i = 0; i < count; ++i) {
          const losses::LossAndGradient here = formula.at(z[i] + bias[i], prepared[i], target[i]);
          const float gradient = scale * here.gradient;
          row_loss += here.loss;
          dz[i] = gradient;
          sums[i] += gradient;
        }
      } else {
#pragma omp simd reduction(+ : row_loss)
        for (std::int64_t i = 0; i < count; ++i) {
          row_loss += formula.at(z[i] + bias[i], prepared[i], target[i]).loss;
        }
      }
    }
    row_losses[row] = static_cast<double>(row_loss);
  }
}

void loss(const LossTile& tile, double* row_losses) {
  for_activation(tile.activation, [&]<typename Output>() {
    losses::for_loss(tile.loss, Output{}, [&](const auto& formula) {
      if (tile.dz != nullptr) {
        loss<true>(formula, tile, row_losses);
      } else {
        loss<false>(formula, tile, row_losses);
      }
    });
  });
}

// ── Random numbers, sparse and Gaussian codes ───────────────────────────────────────────────────

/// Philox blocks that are made side by side, and the numbers in them.
constexpr std::int64_t kBlocks = 64;
constexpr std::int64_t kDraws = 4 * kBlocks;

AE_HOST_DEVICE std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

/// words[i][b] is word i of block first_block + b.
AE_HOST_DEVICE void make_words(const RandomStream& stream, std::uint32_t first_block,
                               std::int64_t blocks, std::uint32_t (&words)[4][kBlocks]) {
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    const Philox::Words made = stream.words(first_block + static_cast<std::uint32_t>(b));
    words[0][b] = made.word[0];
    words[1][b] = made.word[1];
    words[2][b] = made.word[2];
    words[3][b] = made.word[3];
  }
}

/// draws[4·b + i] is number i of block first_block + b.
AE_HOST_DEVICE void draw(const RandomStream& stream, std::uint32_t first_block, std::int64_t blocks,
                         std::uint32_t (&draws)[kDraws]) {
  std::uint32_t words[4][kBlocks];
  make_words(stream, first_block, blocks, words);
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    draws[4 * b] = words[0][b];
    draws[4 * b + 1] = words[1][b];
    draws[4 * b + 2] = words[2][b];
    draws[4 * b + 3] = words[3][b];
  }
}

AE_HOST_DEVICE void draw(const RandomStream& stream, std::uint32_t first_block, std::int64_t blocks,
                         float (&draws)[kDraws]) {
  std::uint32_t words[4][kBlocks];
  make_words(stream, first_block, blocks, words);
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    const NormalPair low = normal_pair(words[0][b], words[1][b]);
    const NormalPair high = normal_pair(words[2][b], words[3][b]);
    draws[4 * b] = low.first;
    draws[4 * b + 1] = low.second;
    draws[4 * b + 2] = high.first;
    draws[4 * b + 3] = high.second;
  }
}

/// Calls body(at, size, draws) for stretches of `count` numbers from number `first` on, of words or
/// of normal numbers, as `Draw` says: draws[i] is number first + at + i.
template <typename Draw, typename Body>
AE_HOST_DEVICE void for_draws(const RandomStream& stream, std::int64_t first, std::int64_t count,
                              const Body& body) {
  Draw draws[kDraws];
  for (std::int64_t at = 0; at < count;) {
    const std::int64_t before = (first + at) % 4;  // numbers of the first block that came earlier
    const std::int64_t size = smaller(kDraws - before, count - at);
    draw(stream, static_cast<std::uint32_t>((first + at) / 4), (before + size + 3) / 4, draws);
    body(at, size, draws + before);
    at += size;
  }
}

template <typename Formula, typename Draw>
void corrupt(float amount, const RandomStream& stream, std::int64_t first, const float* clean,
             float* noisy, std::int64_t count) {
  for_draws<Draw>(stream, first, count, [&](std::int64_t at, std::int64_t size, const Draw* draws) {
    const float* from = clean + at;
    float* to = noisy + at;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) {
      to[i] = Formula::value(from[i], amount, draws[i]);
    }
  });
}

void corrupt(const NoiseOptions& noise, const RandomStream& stream, std::int64_t first,
             const float* clean, float* noisy, std::int64_t count) {
  noises::for_noise(noise.kind, [&]<typename Formula>() {
    if constexpr (Formula::kDraw == noises::Draw::nothing) {
      if (noisy == clean) return;
      std::memcpy(noisy, clean, static_cast<std::size_t>(count) * sizeof(float));
    } else if constexpr (Formula::kDraw == noises::Draw::word) {
      corrupt<Formula, std::uint32_t>(noise.amount, stream, first, clean, noisy, count);
    } else {
      corrupt<Formula, float>(noise.amount, stream, first, clean, noisy, count);
    }
  });
}

void drop(float probability, const RandomStream& stream, std::int64_t first, const float* from,
          float* to, std::int64_t count) {
  const dropout::Rate rate = dropout::rate_of(probability);
  for_draws<std::uint32_t>(stream, first, count,
                           [&](std::int64_t at, std::int64_t size, const std::uint32_t* words) {
                             const float* in = from + at;
                             float* out = to + at;
#pragma omp simd
                             for (std::int64_t i = 0; i < size; ++i)
                               out[i] = dropout::value(in[i], rate, words[i]);
                           });
}

AE_HOST_DEVICE std::uint32_t ordered_value(float value) {
  return ordered(__builtin_bit_cast(std::uint32_t, value));
}

/// How many values of a row are at or above `bound`, in the order of ordered().
AE_HOST_DEVICE std::int64_t count_from(const float* row, std::int64_t cols, std::uint32_t bound) {
  std::uint32_t count = 0;
#pragma omp simd reduction(+ : count)
  for (std::int64_t c = 0; c < cols; ++c) count += ordered_value(row[c]) >= bound ? 1U : 0U;
  return count;
}

/// The k-th largest value is found bit by bit from the top: a bit of it is one if k values or more
/// are at or above what that makes. Where a count is k, what is below can go.
void keep_largest(std::int64_t k, const Tile& y) {
  for (std::int64_t r = 0; r < y.rows; ++r) {
    float* row = y.data + r * y.stride;
    std::uint32_t bound = 0;
    std::int64_t left = y.cols;  // values at or above it
    for (int bit = 31; bit >= 0 && left != k; --bit) {
      const std::uint32_t higher = bound | std::uint32_t{1} << bit;
      const std::int64_t count = count_from(row, y.cols, higher);
      if (count < k) continue;
      bound = higher;
      left = count;
    }
    // More than k are left only where several equal the bound: the last of them go.
    for (std::int64_t c = y.cols - 1; left > k; --c) {
      if (ordered_value(row[c]) != bound) continue;
      row[c] = 0.0F;
      --left;
    }
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c)
      row[c] = ordered_value(row[c]) < bound ? 0.0F : row[c];
  }
}

void sum_activations(const ConstTile& y, float* column_sums) {
  for (std::int64_t c = 0; c < y.cols; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < y.rows; ++row) {
    const float* values = y.data + row * y.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c) column_sums[c] += values[c];
  }
}

void sum_divergences(const ConstTile& h, float* column_sums) {
  const std::int64_t latent = h.cols / 2;
  for (std::int64_t c = 0; c < latent; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    const float* mu = h.data + row * h.stride;
    const float* lambda = mu + latent;
#pragma omp simd
    for (std::int64_t c = 0; c < latent; ++c) {
      column_sums[c] += gaussian::divergence(mu[c], lambda[c]);
    }
  }
}

template <typename Formula>
void sparsity_gradient(const SparsityTile& tile, double* row_penalties, double* column_penalty) {
  constexpr std::int64_t kColumns = 128;  // that share a stretch
  const sparsity::Rates rates = tile.rates;
  const std::int64_t cols = tile.y.cols;
  double of_columns = 0;
  for (std::int64_t row = 0; row < tile.y.rows; ++row) row_penalties[row] = 0;
  for (std::int64_t begin = 0; begin < cols; begin += kColumns) {
    const std::int64_t count = smaller(kColumns, cols - begin);
    float* sums = tile.column_sums + begin;
    float of_mean[kColumns];
    for (std::int64_t i = 0; i < count; ++i) sums[i] = of_mean[i] = 0.0F;
    if (tile.activation_sums != nullptr) {
      const float* activation_sums = tile.activation_sums + begin;
      float divergence = 0.0F;
#pragma omp simd reduction(+ : divergence)
      for (std::int64_t i = 0; i < count; ++i) {
        const float mean = sparsity::mean_activation(activation_sums[i], rates);
        of_mean[i] = sparsity::mean_gradient(mean, rates);
        divergence += sparsity::divergence(rates.rho, mean);
      }
      of_columns += static_cast<double>(divergence);
    }
    for (std::int64_t row = 0; row < tile.y.rows; ++row) {
      const std::int64_t offset = row * tile.y.stride + begin;
      const float* y = tile.y.data + offset;
      const float* saved = tile.saved + offset;
      float* dz = tile.dz + offset;
      float size = 0.0F;
#pragma omp simd reduction(+ : size)
      for (std::int64_t i = 0; i < count; ++i) {
        const float gradient =
            sparsity::gradient(y[i], dz[i], Formula::slope(saved[i]), of_mean[i], rates);
        dz[i] = gradient;
        sums[i] += gradient;
        size += fabsf(y[i]);
      }
      row_penalties[row] += static_cast<double>(rates.l1 * size);
    }
  }
  if (column_penalty != nullptr) *column_penalty = rates.kl * of_columns;
}

void sparsity_gradient(const SparsityTile& tile, double* row_penalties, double* column_penalty) {
  for_activation(tile.activation, [&]<typename Formula>() {
    sparsity_gradient<Formula>(tile, row_penalties, column_penalty);
  });
}

/// Calls body(row, col, count, normals) for stretches of the code's rows: normals[i] belongs to
/// column col + i.
template <typename Body>
AE_HOST_DEVICE void for_normals(const GaussianTile& code, const Body& body) {
  const std::int64_t latent = code.h.cols / 2;
  for_draws<float>(code.stream, code.first, code.h.rows * latent,
                   [&](std::int64_t at, std::int64_t size, const float* normals) {
                     for (std::int64_t done = 0; done < size;) {
                       const std::int64_t row = (at + done) / latent;
                       const std::int64_t col = (at + done) % latent;
                       const std::int64_t count = smaller(latent - col, size - done);
                       body(row, col, count, normals + done);
                       done += count;
                     }
                   });
}

void divergences(const ConstTile& h, double* kl) {
  const std::int64_t latent = h.cols / 2;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    const float* mu = h.data + row * h.stride;
    const float* lambda = mu + latent;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t c = 0; c < latent; ++c) sum += gaussian::divergence(mu[c], lambda[c]);
    kl[row] = static_cast<double>(sum);
  }
}

void gaussian_sample(const GaussianTile& code, bool mean_only, float* z, double* kl) {
  const ConstTile& h = code.h;
  const std::int64_t latent = h.cols / 2;
  if (mean_only) {
    for (std::int64_t row = 0; row < h.rows; ++row) {
      for (std::int64_t c = 0; c < latent; ++c) z[row * latent + c] = h.data[row * h.stride + c];
    }
  } else {
    for_normals(code,
                [&](std::int64_t row, std::int64_t col, std::int64_t count, const float* normals) {
                  const float* mu = h.data + row * h.stride + col;
                  const float* lambda = mu + latent;
                  float* out = z + row * latent + col;
#pragma omp simd
                  for (std::int64_t i = 0; i < count; ++i) {
                    out[i] = gaussian::sample(mu[i], lambda[i], normals[i]);
                  }
                });
  }
  if (kl != nullptr) divergences(h, kl);
}

void gaussian_gradient(const GaussianGradientTile& tile, double* kl) {
  const ConstTile& h = tile.code.h;
  const std::int64_t latent = h.cols / 2;
  const float weight = tile.weight;
  for (std::int64_t c = 0; c < 2 * latent; ++c) tile.column_sums[c] = 0.0F;
  for_normals(tile.code, [&](std::int64_t row, std::int64_t col, std::int64_t count,
                             const float* normals) {
    const float* mu = h.data + row * h.stride + col;
    const float* lambda = mu + latent;
    const float* dz = tile.dz + row * latent + col;
    float* dmu = tile.dh + row * 2 * latent + col;
    float* dlambda = dmu + latent;
    float* mu_sums = tile.column_sums + col;
    float* lambda_sums = mu_sums + latent;
    float weights[kDraws];
    for (std::int64_t i = 0; i < count; ++i) weights[i] = weight;
    if (tile.divergence_sums != nullptr) {
      const float* sums = tile.divergence_sums + col;
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) {
        weights[i] = sums[i] < tile.free_bits ? 0.0F : weight;
      }
    }
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const float of_mu = gaussian::mean_gradient(mu[i], dz[i], weights[i]);
      const float of_lambda = gaussian::variance_gradient(lambda[i], dz[i], normals[i], weights[i]);
      dmu[i] = of_mu;
      dlambda[i] = of_lambda;
      mu_sums[i] += of_mu;
      lambda_sums[i] += of_lambda;
    }
  });
  divergences(h, kl);
}

// ── Normalisation ───────────────────────────────────────────────────────────────────────────────

template <typename Formula>
void layer_norm(const NormTile& tile, float* y, float* statistics) {
  const std::int64_t cols = tile.x.cols;
  const auto count = static_cast<float>(cols);
  const float* gamma = tile.gamma;
  const float* beta = tile.beta;
  for (std::int64_t group = 0; group < tile.x.rows; ++group) {
    const float* x = tile.x.data + group * cols;
    float* out = y + group * cols;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t c = 0; c < cols; ++c) sum += x[c];
    const float mean = sum / count;
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t c = 0; c < cols; ++c) squares += (x[c] - mean) * (x[c] - mean);
    const normalization::Scale scale{mean, normalization::inverse_deviation(squares / count)};
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c) {
      out[c] = Formula::value(
          normalization::affine(normalization::normalized(x[c], scale), gamma[c], beta[c]));
    }
    if (statistics != nullptr) {
      statistics[2 * group] = scale.mean;
      statistics[2 * group + 1] = scale.inverse_deviation;
    }
  }
}

void layer_norm(const NormTile& tile, float* y, float* statistics) {
  for_activation(tile.activation,
                 [&]<typename Formula>() { layer_norm<Formula>(tile, y, statistics); });
}

template <typename Formula>
void layer_norm_gradient(const NormGradientTile& tile, float* dx) {
  const std::int64_t cols = tile.norm.x.cols;
  const auto count = static_cast<float>(cols);
  const float* gamma = tile.norm.gamma;
  const float* beta = tile.norm.beta;
  float* dgamma = tile.dgamma;
  float* dbeta = tile.dbeta;
  for (std::int64_t c = 0; c < cols; ++c) dgamma[c] = dbeta[c] = 0.0F;
  for (std::int64_t group = 0; group < tile.norm.x.rows; ++group) {
    const float* x = tile.norm.x.data + group * cols;
    const float* y = tile.y + group * cols;
    float* dz = tile.dz + group * cols;
    const normalization::Scale scale{tile.norm.statistics[2 * group],
                                     tile.norm.statistics[2 * group + 1]};
    float sum = 0.0F;
    float product = 0.0F;
#pragma omp simd reduction(+ : sum, product)
    for (std::int64_t c = 0; c < cols; ++c) {
      const float normalized = normalization::normalized(x[c], scale);
      const float gradient =
          dz[c] * normalization::slope<Formula>(normalized, gamma[c], beta[c], y[c]);
      dz[c] = gradient;
      dgamma[c] += gradient * normalized;
      dbeta[c] += gradient;
      sum += gamma[c] * gradient;
      product += gamma[c] * gradient * normalized;
    }
    if (dx == nullptr) continue;
    float* out = dx + group * cols;
    const float mean_g = sum / count;
    const float mean_product = product / count;
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c) {
      out[c] = normalization::input_gradient(
          gamma[c] * dz[c], mean_g, normalization::normalized(x[c], scale), mean_product, scale);
    }
  }
}

void layer_norm_gradient(const NormGradientTile& tile, float* dx) {
  for_activation(tile.norm.activation,
                 [&]<typename Formula>() { layer_norm_gradient<Formula>(tile, dx); });
}

void moments(const ConstTile& x, float* moments) {
  float* means = moments;
  float* squares = moments + x.cols;
  const auto count = static_cast<float>(x.rows);
  for (std::int64_t c = 0; c < x.cols; ++c) means[c] = squares[c] = 0.0F;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const float* values = x.data + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) means[c] += values[c];
  }
#pragma omp simd
  for (std::int64_t c = 0; c < x.cols; ++c) means[c] /= count;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const float* values = x.data + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) {
      squares[c] += (values[c] - means[c]) * (values[c] - means[c]);
    }
  }
}

/// Channels whose scales are made together.
constexpr std::int64_t kScales = 128;

/// Calls body(begin, count, means, deviations) for stretches of the channels of [μ | σ²].
template <typename Body>
AE_HOST_DEVICE void for_scales(const float* statistics, std::int64_t channels, const Body& body) {
  float inverse_deviations[kScales];
  for (std::int64_t begin = 0; begin < channels; begin += kScales) {
    const std::int64_t count = smaller(kScales, channels - begin);
    const float* variances = statistics + channels + begin;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      inverse_deviations[i] = normalization::inverse_deviation(variances[i]);
    }
    body(begin, count, statistics + begin, inverse_deviations);
  }
}

template <typename Formula>
void batch_norm(const NormTile& tile, float* y) {
  const std::int64_t cols = tile.x.cols;
  for_scales(tile.statistics, cols,
             [&](std::int64_t begin, std::int64_t count, const float* means,
                 const float* inverse_deviations) {
               const float* gamma = tile.gamma + begin;
               const float* beta = tile.beta + begin;
               for (std::int64_t group = 0; group < tile.x.rows; ++group) {
                 const float* x = tile.x.data + group * cols + begin;
                 float* out = y + group * cols + begin;
#pragma omp simd
                 for (std::int64_t i = 0; i < count; ++i) {
                   const float normalized =
                       normalization::normalized(x[i], {means[i], inverse_deviations[i]});
                   out[i] = Formula::value(normalization::affine(normalized, gamma[i], beta[i]));
                 }
               }
             });
}

void batch_norm(const NormTile& tile, float* y) {
  for_activation(tile.activation, [&]<typename Formula>() { batch_norm<Formula>(tile, y); });
}

template <typename Formula>
void batch_norm_gradient(const NormGradientTile& tile) {
  const std::int64_t cols = tile.norm.x.cols;
  for_scales(tile.norm.statistics, cols,
             [&](std::int64_t begin, std::int64_t count, const float* means,
                 const float* inverse_deviations) {
               const float* gamma = tile.norm.gamma + begin;
               const float* beta = tile.norm.beta + begin;
               float* dgamma = tile.dgamma + begin;
               float* dbeta = tile.dbeta + begin;
               for (std::int64_t i = 0; i < count; ++i) dgamma[i] = dbeta[i] = 0.0F;
               for (std::int64_t group = 0; group < tile.norm.x.rows; ++group) {
                 const float* x = tile.norm.x.data + group * cols + begin;
                 const float* y = tile.y + group * cols + begin;
                 float* dz = tile.dz + group * cols + begin;
#pragma omp simd
                 for (std::int64_t i = 0; i < count; ++i) {
                   const float normalized =
                       normalization::normalized(x[i], {means[i], inverse_deviations[i]});
                   const float gradient =
                       dz[i] * normalization::slope<Formula>(normalized, gamma[i], beta[i], y[i]);
                   dz[i] = gradient;
                   dgamma[i] += gradient * normalized;
                   dbeta[i] += gradient;
                 }
               }
             });
}

void batch_norm_gradient(const NormGradientTile& tile) {
  for_activation(tile.norm.activation,
                 [&]<typename Formula>() { batch_norm_gradient<Formula>(tile); });
}

void batch_norm_input_gradient(const NormTile& tile, const float* dgamma, const float* dbeta,
                               float count, const float* dz, float* dx) {
  const std::int64_t cols = tile.x.cols;
  for_scales(tile.statistics, cols,
             [&](std::int64_t begin, std::int64_t size, const float* means,
                 const float* inverse_deviations) {
               const float* gamma = tile.gamma + begin;
               float mean_g[kScales];
               float mean_product[kScales];
#pragma omp simd
               for (std::int64_t i = 0; i < size; ++i) {
                 mean_g[i] = gamma[i] * (dbeta[begin + i] / count);
                 mean_product[i] = gamma[i] * (dgamma[begin + i] / count);
               }
               for (std::int64_t group = 0; group < tile.x.rows; ++group) {
                 const float* x = tile.x.data + group * cols + begin;
                 const float* gradient = dz + group * cols + begin;
                 float* out = dx + group * cols + begin;
#pragma omp simd
                 for (std::int64_t i = 0; i < size; ++i) {
                   const normalization::Scale scale{means[i], inverse_deviations[i]};
                   out[i] = normalization::input_gradient(gamma[i] * gradient[i], mean_g[i],
                                                          normalization::normalized(x[i], scale),
                                                          mean_product[i], scale);
                 }
               }
             });
}

// ── Updates ─────────────────────────────────────────────────────────────────────────────────────

double sum_of_squares(const float* values, std::int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(values[i]);
    sum += value * value;
  }
  return sum;
}

template <typename Rule, bool kScaled, bool kAveraged>
void optimize(const OptimizerStretch& stretch) {
  // Copies: the stores below cannot alias them.
  const optimizers::StepRates rates = stretch.rates;
  const std::int64_t count = stretch.count;
  float* parameters = stretch.parameters;
  const float* gradients = stretch.gradients;
  float* first = stretch.first;
  float* second = stretch.second;
  float* average = stretch.average;
  const float average_decay = stretch.average_decay;
  float scale = 1.0F;
  if constexpr (kScaled) scale = *stretch.gradient_scale;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    float first_state = 0.0F;
    float second_state = 0.0F;
    if constexpr (Rule::kStates > 0) first_state = first[i];
    if constexpr (Rule::kStates > 1) second_state = second[i];
    float gradient = gradients[i];
    if constexpr (kScaled) gradient *= scale;
    const float moved = Rule::updated(parameters[i], gradient, first_state, second_state, rates);
    parameters[i] = moved;
    if constexpr (Rule::kStates > 0) first[i] = first_state;
    if constexpr (Rule::kStates > 1) second[i] = second_state;
    if constexpr (kAveraged) average[i] = optimizers::averaged(average[i], moved, average_decay);
  }
}

void optimize(const OptimizerStretch& stretch) {
  const bool is_scaled = stretch.gradient_scale != nullptr;
  const bool is_averaged = stretch.average != nullptr;
  for_optimizer(stretch.optimizer, [&]<typename Rule>() {
    if (is_scaled && is_averaged) {
      optimize<Rule, true, true>(stretch);
    } else if (is_scaled) {
      optimize<Rule, true, false>(stretch);
    } else if (is_averaged) {
      optimize<Rule, false, true>(stretch);
    } else {
      optimize<Rule, false, false>(stretch);
    }
  });
}

// ── Transposition ───────────────────────────────────────────────────────────────────────────────

/// The lower, or from kFirst on the upper halves of both, in turn: a₀ b₀ a₁ b₁ …
template <std::size_t kFirst, std::size_t... kLanes>
AE_HOST_DEVICE Vector interleave(Vector a, Vector b, std::index_sequence<kLanes...> /*lanes*/) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b,
                                 static_cast<int>(kFirst + kLanes / 2 + kLanes % 2 * kWidth)...);
#else  // GCC 11 has the older name alone, which takes the lanes' numbers as a vector
  using Lanes [[gnu::vector_size(sizeof(Vector))]] = std::int32_t;
  return __builtin_shuffle(
      a, b, Lanes{static_cast<std::int32_t>(kFirst + kLanes / 2 + kLanes % 2 * kWidth)...});
#endif
}

/// A square of kWidth × kWidth in registers: each turn interleaves rows that lie half the square
/// apart, and after log₂ kWidth turns rows are columns.
template <bool kAdd>
AE_HOST_DEVICE void transpose_square(const float* from, std::int64_t stride, float* to,
                                     std::int64_t to_stride) {
  constexpr auto kLanes = std::make_index_sequence<kWidth>();
  constexpr std::size_t kHalf = kWidth / 2;
  Vector rows[kWidth];
  for (std::size_t i = 0; i < kWidth; ++i) {
    rows[i] = load(from + static_cast<std::int64_t>(i) * stride);
  }
#pragma GCC unroll 4
  for (std::size_t turn = 1; turn < kWidth; turn *= 2) {
    Vector turned[kWidth];
    for (std::size_t i = 0; i < kHalf; ++i) {
      turned[2 * i] = interleave<0>(rows[i], rows[i + kHalf], kLanes);
      turned[2 * i + 1] = interleave<kHalf>(rows[i], rows[i + kHalf], kLanes);
    }
    for (std::size_t i = 0; i < kWidth; ++i) rows[i] = turned[i];
  }
  for (std::size_t i = 0; i < kWidth; ++i) {
    float* const column = to + static_cast<std::int64_t>(i) * to_stride;
    store(column, kAdd ? load(column) + rows[i] : rows[i]);
  }
}

template <bool kAdd>
AE_HOST_DEVICE void transpose(const ConstTile& from, float* to, std::int64_t to_stride) {
  constexpr auto kSide = static_cast<std::int64_t>(kWidth);
  const auto one_by_one = [&](std::int64_t row, std::int64_t row_end, std::int64_t col) {
    for (; col < from.cols; ++col) {
      for (std::int64_t r = row; r < row_end; ++r) {
        const float value = from.data[r * from.stride + col];
        float& place = to[col * to_stride + r];
        place = kAdd ? place + value : value;
      }
    }
  };
  std::int64_t row = 0;
  for (; row + kSide <= from.rows; row += kSide) {
    std::int64_t col = 0;
    for (; col + kSide <= from.cols; col += kSide) {
      transpose_square<kAdd>(from.data + row * from.stride + col, from.stride,
                             to + col * to_stride + row, to_stride);
    }
    one_by_one(row, row + kSide, col);
  }
  one_by_one(row, from.rows, 0);
}

void transpose(const ConstTile& from, bool add, float* to, std::int64_t to_stride) {
  if (add) {
    transpose<true>(from, to, to_stride);
  } else {
    transpose<false>(from, to, to_stride);
  }
}

// ── Products that skip the zeros of their left operand ──────────────────────────────────────────
//
// A grey digit is four-fifths black. The rows of x are short lists of (input, value) then, and
// y = Σ value·W[input, :] needs only the rows of W they name, each a contiguous run of `units`.

/// The most inputs that are listed at a time, so that a list fits on the stack.
constexpr std::int64_t kStretch = 1024;

template <std::int64_t kInputs>
struct NonZeros {
  std::int64_t count;
  // Room for one vector more: lists are written a whole vector at a time.
  std::int32_t offset[kInputs + kWidth];  ///< input · units, within the stretch
  float value[kInputs + kWidth];
};

#if defined(__AVX512F__)

template <std::int64_t kInputs>
AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros<kInputs>& found) {
  const auto step = static_cast<std::int32_t>(units);
  __m512i offset =
      _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                         _mm512_set1_epi32(step));
  const __m512i advance = _mm512_set1_epi32(16 * step);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < inputs; i += 16) {
    const std::int64_t left = inputs - i;
    const auto there = static_cast<__mmask16>(left >= 16 ? 0xFFFFU : (1U << left) - 1U);
    const __m512 value = _mm512_maskz_loadu_ps(there, x + i);
    const __mmask16 mask = _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_ps(found.value + count, _mm512_maskz_compress_ps(mask, value));
    _mm512_storeu_si512(found.offset + count, _mm512_maskz_compress_epi32(mask, offset));
    count += __builtin_popcount(mask);
    offset = _mm512_add_epi32(offset, advance);
  }
  found.count = count;
}

#elif defined(__AVX2__)

/// For each set of lanes, as bits, the permutation that brings these lanes to the front: eight lane
/// numbers of one byte each.
struct CompressTable {
  std::uint64_t lanes[256];

  constexpr CompressTable() : lanes{} {
    for (std::uint64_t set = 0; set < 256; ++set) {
      int place = 0;
      for (std::uint64_t lane = 0; lane < 8; ++lane) {
        if ((set >> lane & 1U) != 0) lanes[set] |= lane << (8 * place++);
      }
    }
  }
};
constexpr CompressTable kCompress;

template <std::int64_t kInputs>
AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros<kInputs>& found) {
  const auto step = static_cast<std::int32_t>(units);
  __m256i offset =
      _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(step));
  const __m256i advance = _mm256_set1_epi32(8 * step);
  std::int64_t count = 0;
  std::int64_t i = 0;
  for (; i + 8 <= inputs; i += 8) {
    const __m256 value = _mm256_loadu_ps(x + i);
    const auto mask = static_cast<std::uint32_t>(
        _mm256_movemask_ps(_mm256_cmp_ps(value, _mm256_setzero_ps(), _CMP_NEQ_UQ)));
    const __m256i front =
        _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<std::int64_t>(kCompress.lanes[mask])));
    _mm256_storeu_ps(found.value + count, _mm256_permutevar8x32_ps(value, front));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(found.offset + count),
                        _mm256_permutevar8x32_epi32(offset, front));
    count += __builtin_popcount(mask);
    offset = _mm256_add_epi32(offset, advance);
  }
  for (; i < inputs; ++i) {
    found.offset[count] = static_cast<std::int32_t>(i) * step;
    found.value[count] = x[i];
    count += x[i] != 0.0F ? 1 : 0;
  }
  found.count = count;
}

#else

template <std::int64_t kInputs>
AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros<kInputs>& found) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < inputs;
       ++i) {  // no branch: an entry is overwritten unless it counts
    found.offset[count] = static_cast<std::int32_t>(i * units);
    found.value[count] = x[i];
    count += x[i] != 0.0F ? 1 : 0;
  }
  found.count = count;
}

#endif

/// y[0 … kUnits) = (first ? 0 : y) + Σ value·W[input, 0 … kUnits). Two sets of accumulators, since
/// one set would wait for each multiply-add to finish before the next.
template <std::int64_t kUnits, std::int64_t kInputs>
AE_HOST_DEVICE void accumulate_rows(const NonZeros<kInputs>& x, const float* w, bool first,
                                    float* y) {
  constexpr std::size_t kVectors = kUnits / kWidth;
  Vector even[kVectors];
  Vector odd[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    even[v] = first ? Vector{} : load(y + v * kWidth);
    odd[v] = Vector{};
  }
  std::int64_t i = 0;
  for (; i + 2 <= x.count; i += 2) {
    const float* w0 = w + x.offset[i];
    const float* w1 = w + x.offset[i + 1];
    for (std::size_t v = 0; v < kVectors; ++v) {
      even[v] += x.value[i] * load(w0 + v * kWidth);
      odd[v] += x.value[i + 1] * load(w1 + v * kWidth);
    }
  }
  if (i < x.count) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      even[v] += x.value[i] * load(w + x.offset[i] + v * kWidth);
    }
  }
  for (std::size_t v = 0; v < kVectors; ++v) store(y + v * kWidth, even[v] + odd[v]);
}

/// Calls body.template operator()<kUnits>(unit) for groups of units that make all of them together,
/// as wide as may be.
template <std::int64_t kWidest, typename Body>
AE_HOST_DEVICE void for_unit_groups(std::int64_t units, const Body& body, std::int64_t unit = 0) {
  for (; unit + kWidest <= units; unit += kWidest) body.template operator()<kWidest>(unit);
  if constexpr (kWidest > kSparseUnits) for_unit_groups<kWidest / 2>(units, body, unit);
}

/// y (+)= x·W, for kRows rows at a time: a tile of W, of kInputs inputs and a group of units, is in
/// the innermost cache while all of them use it.
template <std::int64_t kRows, std::int64_t kInputs>
AE_HOST_DEVICE void multiply(const ConstTile& x, const float* w, std::int64_t units, bool add,
                             float* y) {
  NonZeros<kInputs> non_zeros[static_cast<std::size_t>(kRows)];
  for (std::int64_t row = 0; row < x.rows; row += kRows) {
    const std::int64_t rows = x.rows - row < kRows ? x.rows - row : kRows;
    std::int64_t begin = 0;
    do {  // once even if there are no inputs: y = 0 then
      const std::int64_t inputs = x.cols - begin < kInputs ? x.cols - begin : kInputs;
      for (std::int64_t r = 0; r < rows; ++r) {
        find_non_zeros(x.data + (row + r) * x.stride + begin, inputs, units, non_zeros[r]);
      }
      for_unit_groups<2 * kSparseUnits>(units, [&]<std::int64_t kUnits>(std::int64_t unit) {
        for (std::int64_t r = 0; r < rows; ++r) {
          accumulate_rows<kUnits>(non_zeros[r], w + begin * units + unit, begin == 0 && !add,
                                  y + (row + r) * units + unit);
        }
      });
      begin += kInputs;
    } while (begin < x.cols);
  }
}

void sparse_forward(const ConstTile& x, const float* w, std::int64_t units, float* y) {
  // No wider than a group, W passes by only once.
  if (units <= 2 * kSparseUnits) {
    multiply<1, kStretch>(x, w, units, /*add=*/false, y);
  } else {
    multiply<32, 256>(x, w, units, /*add=*/false, y);
  }
}

/// dW[input, 0 … kUnits) += value·dz[0 … kUnits) for the inputs listed.
template <std::int64_t kUnits>
AE_HOST_DEVICE void scatter_row(const NonZeros<kStretch>& x, const float* dz, float* dw) {
  constexpr std::size_t kVectors = kUnits / kWidth;
  Vector gradient[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) gradient[v] = load(dz + v * kWidth);
  for (std::int64_t i = 0; i < x.count; ++i) {
    float* out = dw + x.offset[i];
    for (std::size_t v = 0; v < kVectors; ++v) {
      store(out + v * kWidth, load(out + v * kWidth) + x.value[i] * gradient[v]);
    }
  }
}

/// Row by row: dW must be in the innermost cache.
void narrow_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  NonZeros<kStretch> non_zeros;
  for (std::int64_t i = 0; i < x.cols * units; ++i) dw[i] = 0.0F;
  for (std::int64_t begin = 0; begin < x.cols; begin += kStretch) {
    const std::int64_t inputs = x.cols - begin < kStretch ? x.cols - begin : kStretch;
    for (std::int64_t row = 0; row < x.rows; ++row) {
      find_non_zeros(x.data + row * x.stride + begin, inputs, units, non_zeros);
      for_unit_groups<2 * kSparseUnits>(units, [&]<std::int64_t kUnits>(std::int64_t unit) {
        scatter_row<kUnits>(non_zeros, dz + row * units + unit, dw + begin * units + unit);
      });
    }
  }
}

/// Input by input, as the forward product of xᵀ: sums stay in registers.
void wide_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  constexpr std::int64_t kInputs = 16;
  constexpr std::int64_t kRows = 256;
  float transposed[static_cast<std::size_t>(kInputs * kRows)];
  std::int64_t row = 0;
  do {  // once even if there are no rows: dW = 0 then
    const std::int64_t rows = x.rows - row < kRows ? x.rows - row : kRows;
    for (std::int64_t input = 0; input < x.cols; input += kInputs) {
      const std::int64_t inputs = x.cols - input < kInputs ? x.cols - input : kInputs;
      transpose<false>({x.data + row * x.stride + input, rows, inputs, x.stride}, transposed,
                       kRows);
      multiply<kInputs, kRows>({transposed, inputs, rows, kRows}, dz + row * units, units,
                               /*add=*/row > 0, dw + input * units);
    }
    row += kRows;
  } while (row < x.rows);
}

void sparse_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  constexpr std::int64_t kWide = 256;
  if (units < kWide) {
    narrow_weight_gradient(x, dz, units, dw);
  } else {
    wide_weight_gradient(x, dz, units, dw);
  }
}

}  // namespace

extern const ImageKernels image_kernels;  // image_kernels.cpp
extern const VectorKernels kernels;
const VectorKernels kernels{AE_TEXT(AE_ISA),
                            convert_bytes,
                            bias_activation,
                            activation_gradient,
                            loss,
                            corrupt,
                            keep_largest,
                            drop,
                            layer_norm,
                            layer_norm_gradient,
                            moments,
                            batch_norm,
                            batch_norm_gradient,
                            batch_norm_input_gradient,
                            sum_activations,
                            sum_divergences,
                            sparsity_gradient,
                            gaussian_sample,
                            gaussian_gradient,
                            sum_of_squares,
                            optimize,
                            transpose,
                            sparse_forward,
                            sparse_weight_gradient,
                            &image_kernels};

}  // namespace ae::cpu::AE_ISA
