#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// A draw from the Gaussian code that h = [μ | λ] describes, λ = ln σ²:
///   z = μ + e^(λ/2)·ε,  ε normal; or z = μ where `mean_only`.
/// ε of z[row, col] is normal number (first_row + row)·latent + col < 2^34 of the stream
/// (RandomPurpose::code, *step) of `seed`; without a step, stream 0. Where `kl` is there:
///   kl[row] = Σ over cols of ½·(μ² + e^λ - 1 - λ).
/// Source: Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B.
struct GaussianSample {
  static constexpr std::string_view kName = "sample";

  ConstMatrix h{};  ///< (batch, 2·latent)
  std::uint64_t seed = 0;
  Tensor<const std::int64_t> step{};
  std::int64_t first_row = 0;
  bool mean_only = false;
  Matrix z{};           ///< (batch, latent)
  Tensor<double> kl{};  ///< (batch, 1)

  static void operands(auto& op, auto&& visit) {
    visit(in("h"), op.h);
    visit(in("step"), op.step);
    visit(out("z"), op.z);
    visit(out("kl"), op.kl);
  }
  void check() const {
    require(h.rows == z.rows && h.cols == 2 * z.cols, kName, "h is not [mean | log-variance] of z");
    require(!kl.exists() || (kl.rows == z.rows && kl.cols == 1), kName, "kl is not a number a row");
  }
};

/// Given dz = ∂loss/∂z of such a draw, not mean_only and from row 0 on, from identity units h,
/// N = h.rows, without a step step 0:
///   dμ = dz + wⱼ·μ,  dλ = dz·ε·½·e^(λ/2) + wⱼ·½·(e^λ - 1),  dbias = column sums of dh,
///   *kl_sum += Σ over rows and cols of KL, whatever it weighs.
/// wⱼ = kl_scale·min(1, (*step + 1)/warm_up_steps), the warm-up left out where warm_up_steps is 0;
/// and 0 for a column whose mean KL over the batch is below `free_bits` (nats; Kingma et al.,
/// "Improving variational inference with inverse autoregressive flow", 2016, appendix C.8). A
/// free_bits of 0 or less frees none.
struct GaussianBackward {
  static constexpr std::string_view kName = "sample backward";

  ConstMatrix h{};   ///< (batch, 2·latent)
  ConstMatrix dz{};  ///< (batch, latent)
  std::uint64_t seed = 0;
  Tensor<const std::int64_t> step{};
  float kl_scale = 1;
  std::int64_t warm_up_steps = 0;
  float free_bits = 0;
  Matrix dh{};     ///< (batch, 2·latent)
  Matrix dbias{};  ///< (2·latent)
  Tensor<double> kl_sum{};

  static void operands(auto& op, auto&& visit) {
    visit(in("h"), op.h);
    visit(in("dz"), op.dz);
    visit(in("step"), op.step);
    visit(out("dh"), op.dh);
    visit(out("dbias"), op.dbias);
    visit(in_out("kl sum"), op.kl_sum);
  }
  void check() const {
    require(h.rows == dz.rows && h.cols == 2 * dz.cols, kName,
            "h is not [mean | log-variance] of dz");
    require(dh.rows == h.rows && dh.cols == h.cols && dbias.size() == h.cols, kName,
            "dh and dbias are not h's");
    require(kl_sum.exists(), kName, "there is no place for the divergence");
  }
};

/// Whether it needs column means over the whole batch first.
inline bool needs_means(const GaussianBackward& op) {
  return op.free_bits > 0;
}

AE_OPERATION(GaussianSample)
AE_OPERATION(GaussianBackward)

}  // namespace ae
