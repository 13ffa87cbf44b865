#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ae {

/// One kind of output of an operation, as two devices computed it: where they were furthest apart.
struct CheckedOutput {
  std::string name;           ///< "encoder.0 forward", "decoder.0 backward dw", "adam parameters"
  std::int64_t calls = 0;     ///< of the operation
  std::int64_t elements = 0;  ///< compared, all calls together

  /// |judged - reference| / the largest finite |reference| of that call's output, so that elements
  /// near zero do not count for more than they are worth. Infinite if that is zero.
  double relative = 0;
  /// |judged - reference|; infinite for NaN or infinity against anything but itself.
  double difference = 0;

  // Of the element with that difference; all zero while there is none.
  std::int64_t call = 0;  ///< counted from 1
  std::int64_t row = 0;   ///< counted from 0, as col is
  std::int64_t col = 0;
  double judged = 0;
  double reference = 0;
};

/// Compares outputs and keeps, for each kind of them, the largest relative difference.
class CheckedOutputs {
 public:
  /// What one call put out, row-major with rows of `cols`, as float, double or int64_t. Integers
  /// are compared exactly.
  template <typename T>
  void compare(std::string_view name, std::int64_t cols, std::span<const T> judged,
               std::span<const T> reference);

  /// Largest relative difference first; equal ones in the order in which they first appeared.
  [[nodiscard]] std::vector<CheckedOutput> worst_first() const;

 private:
  CheckedOutput& entry(std::string_view name);

  std::vector<CheckedOutput> outputs_;
};

/// A table for people: a line with the columns' names, then one for each output.
std::string format_checked_outputs(std::span<const CheckedOutput> outputs);

}  // namespace ae
