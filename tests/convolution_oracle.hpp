#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "convolution/geometry.hpp"
#include "oracle.hpp"

namespace ae::test {

/// The operations on images, as the oracle has the others: their definitions as naive loops.
class ConvolutionOracle : public Oracle {
 public:
  explicit ConvolutionOracle(Precision precision = {}) : Oracle(precision) {}

  /// activation(convolution(x, w) + bias); an empty bias is a zero one.
  [[nodiscard]] std::vector<Expected> forward(const Convolution& convolution, const HostMatrix& x,
                                              std::span<const float> w, std::span<const float> bias,
                                              Activation activation) const;
  /// What the activation is applied to.
  [[nodiscard]] std::vector<Expected> pre_activation(const Convolution& convolution,
                                                     const HostMatrix& x, std::span<const float> w,
                                                     std::span<const float> bias) const;

  struct Gradients {
    std::vector<Expected> dw;
    std::vector<Expected> dx;
  };
  [[nodiscard]] Gradients backward(const Convolution& convolution, const HostMatrix& x,
                                   std::span<const float> w, const HostMatrix& dz) const;

  struct BiasGradients {
    std::vector<Expected> dz;
    std::vector<Expected> dbias;
  };
  /// `saved` is y, or z where the slope cannot be had from y.
  [[nodiscard]] BiasGradients activation_backward(Activation activation, const HostMatrix& saved,
                                                  const HostMatrix& dy,
                                                  std::int64_t channels) const;

  /// Σ of the columns that are c modulo `channels`, for each c.
  [[nodiscard]] std::vector<Expected> fold(std::span<const Expected> columns,
                                           std::int64_t channels) const;

  [[nodiscard]] std::vector<Expected> upsample_backward(const ImageShape& input,
                                                        std::int64_t factor,
                                                        const HostMatrix& dy) const;
};

/// These are exact.
std::vector<float> max_pool_forward(const ImageShape& input, std::int64_t size,
                                    const HostMatrix& x);
std::vector<float> max_pool_backward(const ImageShape& input, std::int64_t size,
                                     const HostMatrix& x, const HostMatrix& dy);
std::vector<float> upsample_forward(const ImageShape& input, std::int64_t factor,
                                    const HostMatrix& x);

}  // namespace ae::test
