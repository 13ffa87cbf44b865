#pragma once

#include <filesystem>
#include <optional>

#include "ae/dataset.hpp"
#include "ae/train.hpp"

namespace ae::report {

/// PCA of the training rows: the best linear code of its size, by squared error.
struct PcaBaseline {
  int components = 0;
  double loss = 0;
  /// For BCE, PCA's outputs are clipped to [clip, 1 - clip], with the clip that serves it best on
  /// training rows, since a linear map does not end in probabilities. 0 for other losses.
  double clip = 0;
  /// Squared error (of the unclipped outputs) summed per row, averaged over rows: the figure that
  /// papers print.
  double squared_error_per_row = 0;
};

/// What a loss is to be judged against, all over the test rows, in the loss's own reduction.
struct Baselines {
  /// The least any model can reach: for BCE the mean entropy of the targets themselves (grey
  /// targets keep it above zero), for the others 0.
  double floor = 0;
  /// Always answering the mean of the training rows.
  double mean_image = 0;
  /// Nothing for data so wide that it would take minutes, or of a single training row.
  std::optional<PcaBaseline> pca;
};

/// Computes them (a second or two for MNIST: a covariance and its eigenvectors) or takes them from
/// `cache_directory`/baselines, keyed by a fingerprint of the data; a damaged cache file is
/// computed anew, and a cache that cannot be written is no error. `components` is what PCA may use:
/// the size of the code that it is set beside.
/// @throws UsageError if training and test rows differ in size.
Baselines compute_baselines(const Dataset& training, const Dataset& test, Loss loss,
                            Reduction reduction, int components,
                            const std::filesystem::path& cache_directory);

/// The part of the way from the mean image to the floor that `loss` has gone: 0 for a model that
/// answers the mean, 1 for a perfect one, below 0 for one that is worse than the mean: say that in
/// words, since how much worse is no part of anything. NaN where the mean is already perfect to
/// within rounding, so that there is no way to go.
double closed_gap(const Baselines& baselines, double loss);

}  // namespace ae::report
