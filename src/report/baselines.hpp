#pragma once

#include <filesystem>
#include <optional>

#include "ae/dataset.hpp"
#include "ae/train.hpp"

namespace ae::report {

/// What a loss is to be judged against, all over the test rows, in the loss's own reduction.
struct Baselines {
  /// The least any model can reach: for BCE the mean entropy of the targets themselves (grey
  /// targets keep it above zero), for MSE 0.
  double floor = 0;
  /// Always answering the mean of the training rows.
  double mean_image = 0;
  /// PCA of the training rows with `components` components, as the best linear code of that size.
  /// For BCE its outputs are clipped to [clip, 1 - clip], with the clip that serves it best on
  /// training rows, since a linear map does not end in probabilities.
  double pca = 0;
  int components = 0;
  double clip = 0;
  /// Squared error summed per row, averaged over rows: the same PCA in the figure that papers
  /// print.
  double pca_squared_error_per_row = 0;
};

/// Computes them (seconds for MNIST: a covariance and its eigenvectors) or takes them from
/// `cache_directory`, keyed by a fingerprint of the data; a damaged cache file is computed anew,
/// and a cache that cannot be written is no error.
Baselines compute_baselines(const Dataset& training, const Dataset& test, Loss loss,
                            Reduction reduction, int components,
                            const std::filesystem::path& cache_directory);

/// The part of the way from the mean image to the floor that `loss` has gone: 0 for a model that
/// answers the mean, 1 for a perfect one.
double closed_gap(const Baselines& baselines, double loss);

}  // namespace ae::report
