#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "ae/model.hpp"
#include "ae/train.hpp"

/// What every operation of a device must compute: its definition, as naive loops in double. None
/// of this shares a formula with the product; where that has a numerically clever form, this has
/// the textbook's.
///
/// Each number comes with the error that a correct computation in float may make of it. The bounds
/// are those of rounding error analysis (Higham, "Accuracy and Stability of Numerical Algorithms",
/// 2nd ed., chapters 2 to 4), to first order, for any order of summation, with or without fused
/// multiply-adds: n operations in a row are off by at most n·u of the sum of what they add up.
namespace ae::test {

inline constexpr std::array kAllLosses{Loss::bce, Loss::mse, Loss::mae, Loss::huber,
                                       Loss::gaussian};
inline constexpr std::array kAllActivations{
    Activation::identity, Activation::relu, Activation::sigmoid,
    Activation::tanh,     Activation::elu,  Activation::leaky_relu,
    Activation::gelu,     Activation::silu, Activation::softplus};
/// Those whose slope at z is a function of f(z), and so all that a backward pass needs.
inline constexpr std::array kActivationsByOutput{
    Activation::identity, Activation::relu,       Activation::sigmoid, Activation::tanh,
    Activation::elu,      Activation::leaky_relu, Activation::softplus};

inline constexpr std::array kAllOptimizers{Optimizer::adam,    Optimizer::adamw,
                                           Optimizer::sgd,     Optimizer::nesterov,
                                           Optimizer::rmsprop, Optimizer::adadelta};

/// How exactly a target computes.
struct Precision {
  double unit = 0x1p-24;       ///< u: the largest relative error of one rounding
  double smallest = 0x1p-126;  ///< what is smaller may be taken for zero, and become zero
};

/// What an operation must produce and how far from it a correct float computation may be.
struct Expected {
  double value = 0;
  double tolerance = 0;
};

/// Row-major floats on the host.
struct HostMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> values;

  [[nodiscard]] double at(std::int64_t row, std::int64_t col) const {
    return static_cast<double>(values[static_cast<std::size_t>(row * cols + col)]);
  }
};

class Oracle {
 public:
  explicit Oracle(Precision precision = {}) : precision_(precision) {}

  /// activation(x·w + bias); an empty bias is a zero one.
  [[nodiscard]] std::vector<Expected> dense_forward(const HostMatrix& x, const HostMatrix& w,
                                                    std::span<const float> bias,
                                                    Activation activation) const;

  struct DenseGradients {
    std::vector<Expected> dw;
    std::vector<Expected> dx;
    std::vector<Expected> dbias_below;
  };
  /// See DenseBackward; x is the output of an activation, one of kActivationsByOutput.
  [[nodiscard]] DenseGradients dense_backward(const HostMatrix& x, const HostMatrix& w,
                                              const HostMatrix& dz,
                                              Activation activation_below) const;
  /// The same with the activation's slopes, of x's shape.
  [[nodiscard]] DenseGradients dense_backward(const HostMatrix& x, const HostMatrix& w,
                                              const HostMatrix& dz,
                                              std::span<const Expected> slopes) const;
  /// The activation's slopes at x·w + bias.
  [[nodiscard]] std::vector<Expected> slopes(const HostMatrix& x, const HostMatrix& w,
                                             std::span<const float> bias,
                                             Activation activation) const;

  struct Losses {
    std::vector<Expected> rows;  ///< each row's Σ
    Expected sum;
    std::vector<Expected> dz;
    std::vector<Expected> dbias;
  };
  /// See ReconstructionLoss and RowLosses. An empty bias is a zero one.
  [[nodiscard]] Losses losses(Loss loss, Activation activation, const HostMatrix& z,
                              std::span<const float> bias, const HostMatrix& target,
                              float gradient_scale) const;

  struct OptimizerState {
    std::vector<Expected> parameters;
    std::vector<Expected> first;
    std::vector<Expected> second;
  };
  /// Step number `t` ≥ 1, of gradients times `gradient_scale`; see OptimizerOptions. What a rule
  /// does not keep stays as it is.
  [[nodiscard]] OptimizerState optimizer(const OptimizerOptions& options, std::int64_t t,
                                         std::span<const float> parameters,
                                         std::span<const float> gradients,
                                         std::span<const float> first,
                                         std::span<const float> second,
                                         double gradient_scale = 1) const;
  /// d·average + (1-d)·w of the new parameters w.
  [[nodiscard]] std::vector<Expected> averages(double d, std::span<const float> average,
                                               std::span<const Expected> parameters) const;
  /// See ClipScale.
  [[nodiscard]] Expected clip_scale(std::span<const float> gradients, double max_norm) const;

 protected:
  /// A sum in any order. Terms may be inexact already.
  class Sum {
   public:
    explicit Sum(const Precision& precision) : precision_(precision) {}
    void add(const Expected& term);
    /// a·b: it may underflow, and so may a or b on the way to being multiplied.
    void add_product(double a, double b);
    [[nodiscard]] Expected result() const;

   private:
    Precision precision_;
    double value_ = 0;
    double inherited_ = 0;
    double magnitude_ = 0;
    std::int64_t terms_ = 0;
  };

  [[nodiscard]] const Precision& precision() const { return precision_; }
  [[nodiscard]] Expected activate(Activation activation, Expected z) const;
  /// f'(z), for those who compute it from an f(z) that was computed before.
  [[nodiscard]] Expected slope(Activation activation, Expected z) const;
  /// f'(z) for the given, exact f(z).
  [[nodiscard]] Expected slope_from_output(Activation activation, double y) const;
  /// gradient·slope, rounded.
  [[nodiscard]] Expected through(Expected gradient, Expected slope) const;

 private:
  /// x·w + bias.
  [[nodiscard]] std::vector<Expected> affine(const HostMatrix& x, const HostMatrix& w,
                                             std::span<const float> bias) const;
  /// z + bias, rounded.
  [[nodiscard]] Expected logit(double z, double bias) const;
  /// One element's loss, and its derivative with respect to z.
  struct LossAndGradient {
    Expected loss;
    Expected gradient;
  };
  [[nodiscard]] LossAndGradient cross_entropy(Expected z, double target) const;
  /// The others, of an output y and its slope.
  [[nodiscard]] LossAndGradient squared_error(Expected y, Expected slope, double target) const;
  [[nodiscard]] LossAndGradient absolute_error(Expected y, Expected slope, double target) const;
  [[nodiscard]] LossAndGradient huber(Expected y, Expected slope, double target) const;
  [[nodiscard]] LossAndGradient gaussian(Expected y, Expected slope, double target) const;
  [[nodiscard]] LossAndGradient element(Loss loss, Activation activation, Expected z,
                                        double target) const;

  /// β·mean + (1 - β)·fresh.
  [[nodiscard]] Expected decayed_mean(double beta, double mean, Expected fresh) const;
  [[nodiscard]] Expected square(Expected x) const;
  /// numerator/(√v + ε).
  [[nodiscard]] Expected over_root(Expected numerator, Expected v, double epsilon) const;

  Precision precision_;
};

/// Whether every value is as near as it must be; NaN never is. The message names the worst one.
::testing::AssertionResult near(std::span<const float> actual, std::span<const Expected> expected);
::testing::AssertionResult near(std::span<const double> actual, std::span<const Expected> expected);

}  // namespace ae::test
