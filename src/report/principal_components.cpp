#include "report/principal_components.hpp"

#include <algorithm>
#include <cstddef>

#include <Eigen/Eigenvalues>

#include "backend/cpu/gemm.hpp"

namespace ae::report {

namespace {

/// Rows that are centred and multiplied at a time: few enough to stay small, and for float sums
/// over them to stay exact enough; the sums over all chunks are kept in double.
constexpr std::int64_t kChunk = 1000;

/// Rows first … first + count - 1, minus the mean.
void centre(const Dataset& data, std::span<const float> mean, std::int64_t first,
            std::int64_t count, std::vector<float>& rows) {
  const std::size_t columns = mean.size();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::span<float> row(rows.data() + static_cast<std::size_t>(i) * columns, columns);
    data.copy_row(first + i, row);
    for (std::size_t c = 0; c < columns; ++c) row[c] -= mean[c];
  }
}

}  // namespace

std::vector<double> column_means(const Dataset& data) {
  const auto columns = static_cast<std::size_t>(data.row_size());
  std::vector<double> means(columns);
  std::vector<float> row(columns);
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, row);
    for (std::size_t c = 0; c < columns; ++c) means[c] += static_cast<double>(row[c]);
  }
  for (double& mean : means) mean /= static_cast<double>(data.rows());
  return means;
}

PrincipalComponents::PrincipalComponents(const Dataset& data, const std::vector<double>& mean,
                                         int components)
    : mean_(mean.begin(), mean.end()),
      components_(static_cast<int>(std::min<std::int64_t>(components, data.row_size()))) {
  using cpu::Transpose;
  const std::int64_t columns = data.row_size();
  std::vector<float> rows(static_cast<std::size_t>(kChunk * columns));
  std::vector<float> product(static_cast<std::size_t>(columns * columns));
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(columns, columns);
  for (std::int64_t first = 0; first < data.rows(); first += kChunk) {
    const std::int64_t count = std::min(kChunk, data.rows() - first);
    centre(data, mean_, first, count, rows);
    cpu::gemm(Transpose::yes, Transpose::no, columns, columns, count, rows.data(), columns,
              rows.data(), columns, product.data(), columns);
    covariance +=
        Eigen::Map<const Eigen::MatrixXf>(product.data(), columns, columns).cast<double>();
  }
  covariance /= static_cast<double>(data.rows());

  // Eigenvalues come in ascending order: the largest are the last columns.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  vectors_.resize(static_cast<std::size_t>(columns * components_));
  Eigen::Map<RowMajor>(vectors_.data(), columns, components_) =
      solver.eigenvectors().rightCols(components_).cast<float>();
}

void PrincipalComponents::for_each_reconstruction(
    const Dataset& data, std::int64_t rows,
    const std::function<void(std::span<const float>, std::span<const float>)>& visit) const {
  using cpu::Transpose;
  const auto columns = static_cast<std::int64_t>(mean_.size());
  std::vector<float> centred(static_cast<std::size_t>(kChunk * columns));
  std::vector<float> codes(static_cast<std::size_t>(kChunk * components_));
  std::vector<float> target(mean_.size());
  for (std::int64_t first = 0; first < rows; first += kChunk) {
    const std::int64_t count = std::min(kChunk, rows - first);
    centre(data, mean_, first, count, centred);
    cpu::gemm(Transpose::no, Transpose::no, count, components_, columns, centred.data(), columns,
              vectors_.data(), components_, codes.data(), components_);
    cpu::gemm(Transpose::no, Transpose::yes, count, columns, components_, codes.data(), components_,
              vectors_.data(), components_, centred.data(), columns);
    for (std::int64_t i = 0; i < count; ++i) {
      data.copy_row(first + i, target);
      const std::span<float> reconstruction(centred.data() + static_cast<std::size_t>(i * columns),
                                            mean_.size());
      for (std::size_t c = 0; c < mean_.size(); ++c) reconstruction[c] += mean_[c];
      visit(target, reconstruction);
    }
  }
}

}  // namespace ae::report
