#include "report/principal_components.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

// Eigen would put buffers of up to 128 KiB on the stack, all that a stack under ulimit -s 128 has.
#define EIGEN_STACK_ALLOCATION_LIMIT 4096
#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <omp.h>
#include <sys/resource.h>

#include "cpu/gemm.hpp"
#include "device/blocked_signals.hpp"

namespace ae::report {

namespace {

using cpu::Transposed;
using Eigen::MatrixXd;
using Eigen::MatrixXf;

/// Rows that are centred and multiplied at a time: few enough to stay small, and for float sums
/// over them to stay exact enough; the sums over all chunks are kept in double.
constexpr std::int64_t kChunk = 1000;

/// Up to here all eigenvectors are computed, if need be.
constexpr std::int64_t kMostColumnsInFull = 1024;
/// Beyond, the covariance alone would take too long.
constexpr std::int64_t kMostColumns = 3072;

/// Subspace iteration carries more directions than are wanted: the wanted ones then converge by
/// the ratio of their eigenvalues to those beyond the extra ones.
constexpr std::int64_t kExtraDirections = 16;
constexpr int kMostIterations = 200;
/// It ends when a step captures no more variance than this, relatively; floats see little beyond.
constexpr double kLeastGain = 1e-7;

/// Whether so few of the eigenvectors are wanted that iterating for them beats computing all.
bool few(std::int64_t columns, std::int64_t components) {
  return (components + kExtraDirections) * 8 <= columns;
}

/// Whether the system starts so many threads beside this one.
bool can_start(int threads) {
  std::vector<std::thread> started;
  std::mutex all_started;
  bool refused = false;
  {
    const std::lock_guard lock(all_started);
    try {
      for (int i = 0; i < threads; ++i) {
        started.emplace_back([&] { const std::lock_guard wait(all_started); });
      }
    } catch (const std::exception&) {
      refused = true;
    }
  }
  for (std::thread& thread : started) thread.join();
  return !refused;
}

/// Whether OpenMP's threads have the stacks that oneDNN needs: they are as large as `ulimit -s`
/// says.
bool have_large_stacks() {
  constexpr rlim_t kEnough = rlim_t{1} << 20;
  rlimit limit{};
  return getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= kEnough;
}

/// While it lives, this thread may multiply matrices by oneDNN and Eigen, on as many of OpenMP's
/// threads as there are cores. These start here and never take a signal. Where the system refuses
/// them, OpenMP would end the program, as small stacks would: then this thread computes alone.
class Products {
 public:
  Products() {
    if (!have_large_stacks() || !can_start(omp_get_max_threads() - 1)) alone_.emplace();
  }

 private:
  BlockedSignals blocked_;
  std::optional<cpu::SingleThreadedGemm> alone_;
};

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

MatrixXd covariance_of(const Dataset& data, std::span<const float> mean) {
  const std::int64_t columns = data.row_size();
  std::vector<float> rows(static_cast<std::size_t>(std::min(kChunk, data.rows()) * columns));
  MatrixXf product(columns, columns);
  MatrixXd covariance = MatrixXd::Zero(columns, columns);
  for (std::int64_t first = 0; first < data.rows(); first += kChunk) {
    const std::int64_t count = std::min(kChunk, data.rows() - first);
    centre(data, mean, first, count, rows);
    cpu::gemm(Transposed::yes, Transposed::no, columns, columns, count, rows.data(), columns,
              rows.data(), columns, product.data(), columns);
    covariance += product.cast<double>();
  }
  return covariance / static_cast<double>(data.rows());
}

/// Any matrix in general position will do, the same one every time.
MatrixXf starting_directions(std::int64_t rows, std::int64_t columns) {
  std::mt19937 random;  // NOLINT(cert-msc51-cpp): meant to be predictable
  MatrixXf directions(rows, columns);
  for (float& value : directions.reshaped()) {
    value = static_cast<float>(random()) / static_cast<float>(std::mt19937::max()) - 0.5F;
  }
  return directions;
}

/// Subspace iteration: multiply a few orthonormal directions by the matrix, make them orthonormal
/// again, and so on. They turn towards the largest eigenvalues; a small eigenvalue problem within
/// their span (Rayleigh and Ritz) then separates the eigenvectors.
MatrixXf iterate_for_eigenvectors(const MatrixXf& matrix, std::int64_t count) {
  const std::int64_t size = matrix.rows();
  const std::int64_t directions = count + kExtraDirections;
  const auto orthonormal = [&](const MatrixXf& columns) -> MatrixXf {
    return Eigen::HouseholderQR<MatrixXf>(columns).householderQ() *
           MatrixXf::Identity(size, directions);
  };
  MatrixXf basis = orthonormal(starting_directions(size, directions));
  MatrixXf product(size, directions);
  MatrixXf eigenvectors;
  double captured = -std::numeric_limits<double>::infinity();
  for (int iteration = 0; iteration < kMostIterations; ++iteration) {
    // Eigen's matrices are column-major: as row-major ones, they are their own transposes.
    cpu::gemm(Transposed::no, Transposed::no, directions, size, size, basis.data(), size,
              matrix.data(), size, product.data(), size);
    const MatrixXf projected = basis.transpose() * product;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> ritz(projected.cast<double>());
    eigenvectors = basis * ritz.eigenvectors().rightCols(count).cast<float>();
    const double variance = ritz.eigenvalues().tail(count).sum();
    if (variance <= captured * (1 + kLeastGain)) break;
    captured = variance;
    basis = orthonormal(product);
  }
  return eigenvectors;
}

/// To the `count` largest eigenvalues, as columns.
MatrixXf leading_eigenvectors(const MatrixXd& matrix, std::int64_t count) {
  if (few(matrix.rows(), count)) return iterate_for_eigenvectors(matrix.cast<float>(), count);
  // Eigenvalues come in ascending order: the largest are the last columns.
  return Eigen::SelfAdjointEigenSolver<MatrixXd>(matrix)
      .eigenvectors()
      .rightCols(count)
      .cast<float>();
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

bool PrincipalComponents::are_affordable(std::int64_t columns, int components) {
  return columns <= kMostColumnsInFull || (columns <= kMostColumns && few(columns, components));
}

PrincipalComponents::PrincipalComponents(const Dataset& data, const std::vector<double>& mean,
                                         int components)
    : mean_(mean.begin(), mean.end()),
      components_(static_cast<int>(std::min<std::int64_t>(components, data.row_size()))) {
  const Products products;
  vectors_.resize(mean_.size() * static_cast<std::size_t>(components_));
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<RowMajor>(vectors_.data(), data.row_size(), components_) =
      leading_eigenvectors(covariance_of(data, mean_), components_);
}

void PrincipalComponents::for_each_reconstruction(
    const Dataset& data, std::int64_t rows,
    const std::function<void(std::span<const float>, std::span<const float>)>& visit) const {
  const Products products;
  const auto columns = static_cast<std::int64_t>(mean_.size());
  std::vector<float> centred(static_cast<std::size_t>(kChunk * columns));
  std::vector<float> codes(static_cast<std::size_t>(kChunk * components_));
  std::vector<float> target(mean_.size());
  for (std::int64_t first = 0; first < rows; first += kChunk) {
    const std::int64_t count = std::min(kChunk, rows - first);
    centre(data, mean_, first, count, centred);
    cpu::gemm(Transposed::no, Transposed::no, count, components_, columns, centred.data(), columns,
              vectors_.data(), components_, codes.data(), components_);
    cpu::gemm(Transposed::no, Transposed::yes, count, columns, components_, codes.data(),
              components_, vectors_.data(), components_, centred.data(), columns);
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
