#pragma once

#include <cstdint>
#include <string_view>

#include "ae/noise.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// A noisy copy of a batch, see NoiseOptions. Value number e = (first_row + row)·cols + col < 2^34
/// draws word e of the stream (RandomPurpose::noise, *step) of `seed`, or normal number e (see
/// normal.hpp) where the noise is; without a step, stream 0.
struct CorruptBatch {
  static constexpr std::string_view kName = "noise";

  NoiseOptions noise{};
  std::uint64_t seed = 0;
  Tensor<const std::int64_t> step{};
  std::int64_t first_row = 0;
  ConstMatrix clean{};
  Matrix noisy{};  ///< may be the memory of `clean`

  static void operands(auto& op, auto&& visit) {
    visit(in("step"), op.step);
    visit(in("clean"), op.clean);
    visit(out("noisy"), op.noisy);
  }
  void check() const {
    require(clean.rows == noisy.rows && clean.cols == noisy.cols, kName,
            "clean and noisy rows differ in shape");
  }
};

AE_OPERATION(CorruptBatch)

}  // namespace ae
