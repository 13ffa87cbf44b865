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
  /// Wider rows would make the covariance's eigenvectors take minutes.
  static constexpr std::int64_t kMostColumns = 2048;

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
