#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ae/dataset.hpp"

namespace ae::report {

/// The mean of each column.
std::vector<double> column_means(const Dataset& data);

/// The directions in which the rows of a data set vary most: the best linear code of a given size.
class PrincipalComponents {
 public:
  /// Whether they are a matter of seconds: rows of up to 1024 columns, or of up to 3072 where few
  /// components are asked for.
  static bool are_affordable(std::int64_t columns, int components);

  /// The eigenvectors of the covariance of `data` to its `components` largest eigenvalues; fewer if
  /// rows are narrower than that.
  PrincipalComponents(const Dataset& data, const std::vector<double>& mean, int components);

  [[nodiscard]] int components() const { return components_; }

  /// Calls visit(row, mean + V·Vᵀ·(row - mean)) for the first `rows` rows.
  void for_each_reconstruction(
      const Dataset& data, std::int64_t rows,
      const std::function<void(std::span<const float>, std::span<const float>)>& visit) const;

 private:
  std::vector<float> mean_;     ///< (columns)
  std::vector<float> vectors_;  ///< V, (columns, components)
  int components_;
};

}  // namespace ae::report
