// Transposition on every target, exactly: at sizes that fit no tile, overwritten and added to, and
// among operations that write what it reads and read what it writes.

#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "device/device.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Floats;
using test::HostMatrix;
using test::Numbers;
using test::run_one_by_one;
using test::same_bits;
using test::Target;

class TransposeTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Targets, TransposeTest, ::testing::ValuesIn(test::targets()),
                         test::test_name);

/// base + fromᵀ, which is of one addition an element and so of the same bits everywhere; without a
/// base, fromᵀ.
std::vector<float> transposed(const HostMatrix& from, const std::vector<float>& base = {}) {
  std::vector<float> to(from.values.size());
  for (std::int64_t row = 0; row < from.rows; ++row) {
    for (std::int64_t col = 0; col < from.cols; ++col) {
      const auto at = static_cast<std::size_t>(col * from.rows + row);
      const float value = from.values[static_cast<std::size_t>(row * from.cols + col)];
      to[at] = base.empty() ? value : base[at] + value;
    }
  }
  return to;
}

struct Size {
  std::int64_t rows;
  std::int64_t cols;
};

constexpr std::array kSizes{Size{1, 1},   Size{1, 77},  Size{77, 1},   Size{32, 32}, Size{31, 33},
                            Size{33, 31}, Size{64, 96}, Size{100, 37}, Size{5, 200}, Size{784, 32},
                            Size{0, 5},   Size{5, 0},   Size{0, 0}};

TEST_P(TransposeTest, IsTheOracles) {
  Numbers numbers(71);
  for (const Size& size : kSizes) {
    SCOPED_TRACE(std::to_string(size.rows) + "x" + std::to_string(size.cols));
    const HostMatrix from = numbers.matrix(size.rows, size.cols);
    const std::vector<float> base = numbers.vector(size.rows * size.cols);
    const Floats device_from(*device_, from);
    const Floats to(*device_, size.rows * size.cols);
    const Floats sum(*device_, std::span<const float>(base));
    device_->run(Transpose{.from = device_from.matrix(size.rows, size.cols),
                           .to = to.matrix(size.cols, size.rows)});
    device_->run(Transpose{.from = device_from.matrix(size.rows, size.cols),
                           .to = sum.matrix(size.cols, size.rows),
                           .add = true});
    EXPECT_TRUE(same_bits<float>(to.read(), transposed(from)));
    EXPECT_TRUE(same_bits<float>(sum.read(), transposed(from, base)));
    EXPECT_TRUE(device_from.is_untouched());
  }
}

/// Products before and behind, as training has them: a layer's weight is transposed for a product,
/// and the weight gradients of two products, which a device may compute later or beside, are added
/// up. Everything is of whole numbers, so that sums are exact.
TEST_P(TransposeTest, KeepsItsPlaceInAStep) {
  constexpr std::int64_t kBatch = 37;
  constexpr std::int64_t kInputs = 40;
  constexpr std::int64_t kUnits = 33;
  Numbers numbers(72);
  const auto whole = [&](std::int64_t rows, std::int64_t cols) {
    HostMatrix matrix = numbers.matrix(rows, cols, -3, 4);
    for (float& value : matrix.values) value = std::floor(value);
    return matrix;
  };
  const HostMatrix x = whole(kBatch, kInputs);
  const HostMatrix w = whole(kInputs, kUnits);
  const Floats device_x(*device_, x);
  const Floats device_w(*device_, w);
  const Floats code(*device_, kBatch * kUnits);
  const Floats y(*device_, kBatch * kInputs);
  const Floats w_transposed(*device_, kUnits * kInputs);
  const Floats dw(*device_, kInputs * kUnits);
  const Floats dw_transposed(*device_, kUnits * kInputs);
  const Floats dcode(*device_, kBatch * kUnits);
  const Floats dx(*device_, kBatch * kInputs);
  Step step;
  step.add(DenseForward{.x = device_x.matrix(kBatch, kInputs),
                        .w = device_w.matrix(kInputs, kUnits),
                        .y = code.matrix(kBatch, kUnits)});
  step.add(Transpose{.from = device_w.matrix(kInputs, kUnits),
                     .to = w_transposed.matrix(kUnits, kInputs)});
  step.add(DenseForward{.x = code.matrix(kBatch, kUnits),
                        .w = w_transposed.matrix(kUnits, kInputs),
                        .y = y.matrix(kBatch, kInputs)});
  step.add(DenseBackward{.x = code.matrix(kBatch, kUnits),
                         .w = w_transposed.matrix(kUnits, kInputs),
                         .dz = device_x.matrix(kBatch, kInputs),
                         .dw = dw_transposed.matrix(kUnits, kInputs),
                         .dx = dcode.matrix(kBatch, kUnits)});
  step.add(DenseBackward{.x = device_x.matrix(kBatch, kInputs),
                         .w = device_w.matrix(kInputs, kUnits),
                         .dz = dcode.matrix(kBatch, kUnits),
                         .dw = dw.matrix(kInputs, kUnits),
                         .dx = dx.matrix(kBatch, kInputs)});
  step.add(Transpose{.from = dw_transposed.matrix(kUnits, kInputs),
                     .to = dw.matrix(kInputs, kUnits),
                     .add = true});

  // With dz = x, code = dcode = x·W: both gradients are xᵀ·x·W, and y = x·W·Wᵀ.
  const auto product = [](const HostMatrix& a, const HostMatrix& b) {
    HostMatrix c{a.rows, b.cols, std::vector<float>(static_cast<std::size_t>(a.rows * b.cols))};
    for (std::int64_t i = 0; i < a.rows; ++i) {
      for (std::int64_t j = 0; j < b.cols; ++j) {
        for (std::int64_t k = 0; k < a.cols; ++k) {
          c.values[static_cast<std::size_t>(i * b.cols + j)] +=
              a.values[static_cast<std::size_t>(i * a.cols + k)] *
              b.values[static_cast<std::size_t>(k * b.cols + j)];
        }
      }
    }
    return c;
  };
  const HostMatrix x_transposed{kInputs, kBatch, transposed(x)};
  const HostMatrix expected_code = product(x, w);
  const HostMatrix expected_y = product(expected_code, {kUnits, kInputs, transposed(w)});
  HostMatrix expected_dw = product(x_transposed, expected_code);
  for (float& value : expected_dw.values) value *= 2;

  const auto expect_right = [&] {
    EXPECT_EQ(code.read(), expected_code.values);
    EXPECT_EQ(y.read(), expected_y.values);
    EXPECT_EQ(dw.read(), expected_dw.values);
  };
  run_one_by_one(*device_, step);
  expect_right();
  const std::unique_ptr<Program> recorded = device_->compile(step);
  for (int i = 0; i < GetParam().affordable(3, 1); ++i) recorded->replay(1);
  expect_right();
}

}  // namespace
}  // namespace ae
