#include "device/cpu/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "device/blocked_signals.hpp"
#include "device/cpu/gemm.hpp"
#include "formulas/gaussian.hpp"
#include "formulas/normalization.hpp"
#include "formulas/philox.hpp"
#include "formulas/sparsity.hpp"

namespace ae::cpu {

namespace {

/// Inputs (or units) of W that make one stripe of a weight gradient; a multiple of every vector
/// width, small enough for a stripe to stay in the innermost cache.
constexpr std::int64_t kStripe = 112;
/// From this many rows of dz on, dz·Wᵀ is computed with a transposed copy of W: several panels
/// share the copy, and oneDNN 3 allocates memory in products of 16 rows or more whose second factor
/// it has to transpose itself.
constexpr std::int64_t kRowsForTransposedWeights = 16;
/// Rows of a matrix that are transposed by one task.
constexpr std::int64_t kTransposedRows = 64;
constexpr std::int64_t kParametersPerTask = 4096;
/// Columns of partial sums that are added up together.
constexpr std::int64_t kColumnsPerTask = 4096;
/// Below this fraction of non-zeros, skipping zeros beats the dense product.
constexpr double kSparse = 0.4;
/// How many rows ahead a gather asks for.
constexpr std::int64_t kPrefetchRows = 4;

std::int64_t pieces(std::int64_t size, std::int64_t piece) {
  return (size + piece - 1) / piece;
}

bool skip_zeros(double density, std::int64_t units) {
  return density < kSparse && units % kSparseUnits == 0;
}

/// Shuffled rows lie anywhere in memory: asked for some rows early, they arrive in time.
void prefetch(const std::uint8_t* row, std::int64_t bytes) {
  for (std::int64_t offset = 0; offset < bytes; offset += 64) __builtin_prefetch(row + offset);
}

/// x[i, :] = data[row_of(i), :] for begin ≤ i < end, converted.
template <typename RowOf>
void gather(const ResidentData& data, const VectorKernels& kernels, const Matrix& x,
            std::int64_t begin, std::int64_t end, const RowOf& row_of) {
  const std::int64_t cols = x.cols;
  if (const std::uint8_t* const bytes = data.bytes(); bytes != nullptr) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kPrefetchRows < end) prefetch(bytes + row_of(i + kPrefetchRows) * cols, cols);
      kernels.convert_bytes(bytes + row_of(i) * cols, x.data + i * cols, cols);
    }
  } else {
    const float* const floats = data.floats();
    for (std::int64_t i = begin; i < end; ++i) {
      std::copy_n(floats + row_of(i) * cols, cols, x.data + i * cols);
    }
  }
}

/// The rows from `begin` on of what dropout makes of a batch.
void drop(const DropoutMask& mask, const ConstMatrix& from, const Matrix& to,
          const VectorKernels& kernels, std::int64_t begin, std::int64_t rows) {
  const std::int64_t offset = begin * to.cols;
  kernels.drop(mask.rate,
               stream_of_step(mask.seed, RandomPurpose::dropout, mask.step.data, mask.layer),
               offset, from.data + offset, to.data + offset, rows * to.cols);
}

/// The rows from `begin` on of what a normalisation works on, as groups.
template <typename Operation>
NormTile norm_tile(const Operation& op, const float* statistics, std::int64_t begin,
                   std::int64_t rows) {
  const std::int64_t groups = op.channels == 0 ? 0 : rows * op.x.cols / op.channels;
  return {op.activation,
          {op.x.data + begin * op.x.cols, groups, op.channels, op.channels},
          op.gamma.data,
          op.beta.data,
          statistics};
}

const float* statistics_of(const LayerNormBackward& op) {
  return op.mean_rstd.data;
}
const float* statistics_of(const BatchNormBackward& op) {
  return op.mean_var.data;
}

Windows windows_of(const ImageShape& large, std::int64_t size) {
  return {large.height, large.width, large.channels, size};
}
Windows upsampled_windows(const ImageShape& small, std::int64_t factor) {
  return {small.height * factor, small.width * factor, small.channels, factor};
}

/// Stripe number `stripe` of the rows of `from`, as columns of `to`.
void transpose_rows(const ConstMatrix& from, std::int64_t stripe, bool add, float* to,
                    const VectorKernels& kernels) {
  const std::int64_t begin = stripe * kTransposedRows;
  kernels.transpose({from.data + begin * from.cols, std::min(kTransposedRows, from.rows - begin),
                     from.cols, from.cols},
                    add, to + begin, from.rows);
}

/// Stripes run along the longer side of W, or along its inputs where zeros are skipped.
bool stripes_along_inputs(const DenseBackward& op) {
  return skip_zeros(op.x_density, op.dz.cols) || op.x.cols >= op.dz.cols;
}

std::int64_t stripe_count(const DenseBackward& op) {
  return pieces(stripes_along_inputs(op) ? op.x.cols : op.dz.cols, kStripe);
}

/// One stripe of dW = xᵀ·dz, summed over the whole batch.
void run_weight_gradient(const DenseBackward& op, const VectorKernels& kernels,
                         std::int64_t stripe) {
  const std::int64_t batch = op.x.rows;
  const std::int64_t inputs = op.x.cols;
  const std::int64_t units = op.dz.cols;
  const std::int64_t begin = stripe * kStripe;
  if (skip_zeros(op.x_density, units)) {
    const std::int64_t size = std::min(kStripe, inputs - begin);
    kernels.sparse_weight_gradient({op.x.data + begin, batch, size, inputs}, op.dz.data, units,
                                   op.dw.data + begin * units);
  } else if (stripes_along_inputs(op)) {
    const std::int64_t size = std::min(kStripe, inputs - begin);
    gemm(Transpose::yes, Transpose::no, size, units, batch, op.x.data + begin, inputs, op.dz.data,
         units, op.dw.data + begin * units, units);
  } else {
    const std::int64_t size = std::min(kStripe, units - begin);
    gemm(Transpose::yes, Transpose::no, inputs, size, batch, op.x.data, inputs, op.dz.data + begin,
         units, op.dw.data + begin, units);
  }
}

}  // namespace

// ── Building ────────────────────────────────────────────────────────────────────────────────────

std::int64_t Schedule::panel_of_images(const Convolution& convolution) {
  const bool is_light = convolution.weights() <= convolution.image.size() + convolution.map.size();
  return is_light ? kPanelImages : kPanelRows;
}

std::int64_t Schedule::panel_of_rows(std::int64_t cols, std::int64_t biases) {
  return biases == cols ? kPanelRows : kPanelImages;
}

Schedule::Phase& Schedule::new_phase(std::int64_t rows, std::int64_t panel_rows) {
  if (used_phases_ == phases_.size()) phases_.emplace_back();
  Phase& phase = phases_[used_phases_++];
  phase.rows = rows;
  phase.panel_rows = panel_rows;
  return phase;
}

Schedule::Phase& Schedule::phase_for_rows(std::int64_t rows, std::int64_t panel_rows) {
  if (used_phases_ != 0) {
    Phase& last = phases_[used_phases_ - 1];
    const bool fits =
        panel_rows == kAnyPanel || last.panel_rows == kAnyPanel || last.panel_rows == panel_rows;
    if (last.rows == rows && last.updates.empty() && fits) {
      if (last.panel_rows == kAnyPanel) last.panel_rows = panel_rows;
      return last;
    }
  }
  return new_phase(rows, panel_rows);
}

Schedule::Phase& Schedule::last_phase() {
  return used_phases_ == 0 ? new_phase(0, kAnyPanel) : phases_[used_phases_ - 1];
}

Schedule::Phase& Schedule::add_row_operation(const RowOperation& operation, std::int64_t rows,
                                             std::int64_t panel_rows) {
  Phase* phase = &phase_for_rows(rows, panel_rows);
  // What a weight gradient reads must not be overwritten before its turn.
  if (!phase->weight_gradients.empty()) phase = &new_phase(rows, panel_rows);
  phase->row_operations.push_back(operation);
  return *phase;
}

void Schedule::need_scratch(std::int64_t floats) {
  scratch_size_ = std::max(scratch_size_, padded(floats));
}

std::size_t Schedule::add_packing(Phase& phase, const DirectedConvolution& convolution,
                                  const float* w) {
  const std::size_t packed = packed_.size();
  packed_.resize(packed + static_cast<std::size_t>(convolution.packed_size()));
  phase.packings.push_back({convolution, w, packed});
  return packed;
}

std::size_t Schedule::add_column_sums(Phase& phase, std::int64_t rows, std::int64_t cols,
                                      float* sums) {
  // Two operations that sum to the same place leave it as the later one does; of tasks side by
  // side, nobody could tell which that is.
  if (sums != nullptr) {
    std::erase_if(phase.column_sums, [=](const ColumnSums& other) { return other.sums == sums; });
  }
  const std::size_t partial = partials_.size();
  const std::int64_t panels = pieces(rows, phase.panel_rows);
  partials_.resize(partial + static_cast<std::size_t>(panels * cols));
  phase.column_sums.push_back({partial, panels, cols, sums});
  return partial;
}

void Schedule::add(const ReconstructionLoss& op) {
  const std::size_t row_sums = row_sums_.size();
  row_sums_.resize(row_sums + static_cast<std::size_t>(op.z.rows));
  Phase& phase = add_row_operation(LossRows{op, row_sums, 0}, op.z.rows,
                                   panel_of_rows(op.z.cols, op.channels()));
  std::get<LossRows>(phase.row_operations.back()).partial =
      add_column_sums(phase, op.z.rows, op.channels(), op.dbias.data);
  if (op.channels() != op.z.cols) need_scratch(2 * op.z.cols);
  phase.loss_sums.push_back({row_sums, op.z.rows, op.loss_sum.data});
}

void Schedule::add(const DenseBackward& op) {
  // A backward pass alternates both kinds; its input gradients overwrite nothing that its weight
  // gradients read, so all of it fits one phase.
  Phase& phase = phase_for_rows(op.dz.rows, kPanelRows);
  phase.weight_gradients.push_back(op);
  if (op.dx.data == nullptr) return;
  const std::size_t partial =
      op.dbias_below.exists() ? add_column_sums(phase, op.dx.rows, op.dx.cols, op.dbias_below.data)
                              : 0;
  InputGradientRows work{op, partial};
  if (op.dz.rows >= kRowsForTransposedWeights) {
    work.transposed = packed_.size();
    packed_.resize(packed_.size() + static_cast<std::size_t>(padded(op.w.size())));
    phase.transpositions.push_back({op.w, *work.transposed});
  }
  phase.row_operations.emplace_back(work);
}

/// As parts of a backward pass, which overwrite nothing that its weight gradients read. What they
/// add to `sum` is `row_sums` numbers of theirs.
template <typename Operation>
void Schedule::add_code_gradient(const Operation& op, std::int64_t rows, std::int64_t statistics,
                                 std::int64_t row_sums, std::int64_t cols, double* sum) {
  CodeGradientRows<Operation> work{op};
  if (needs_means(op)) {
    Phase& phase = phase_for_rows(rows, kPanelRows);
    work.statistics = add_column_sums(phase, rows, statistics, nullptr);
    phase.row_operations.emplace_back(StatisticRows<Operation>{op, work.statistics});
    new_phase(rows, kPanelRows);
  }
  Phase& phase = phase_for_rows(rows, kPanelRows);
  work.row_sums = row_sums_.size();
  row_sums_.resize(work.row_sums + static_cast<std::size_t>(row_sums));
  work.partial = add_column_sums(phase, rows, cols, op.dbias.data);
  phase.row_operations.emplace_back(work);
  phase.loss_sums.push_back({work.row_sums, row_sums, sum});
}

void Schedule::add(const SparsityBackward& op) {
  // What the columns cost the whole batch is as one more row, of the first panel's.
  const std::int64_t rows = op.y.rows;
  const std::int64_t row_sums = needs_means(op) && rows > 0 ? rows + 1 : rows;
  add_code_gradient(op, rows, op.y.cols, row_sums, op.y.cols, op.penalty_sum.data);
}

void Schedule::add(const GaussianBackward& op) {
  add_code_gradient(op, op.dz.rows, op.dz.cols, op.dz.rows, op.dh.cols, op.kl_sum.data);
}

/// A part of a backward pass, too.
void Schedule::add(const DropoutBackward& op) {
  phase_for_rows(op.dx.rows, kAnyPanel).row_operations.emplace_back(op);
}

/// As a part of a backward pass, with its sums over the batch.
template <typename Operation>
void Schedule::add_norm_gradient(const Operation& op) {
  const std::int64_t rows = op.x.rows;
  Phase& phase = phase_for_rows(rows, panel_of_rows(op.x.cols, op.channels));
  NormGradientRows<Operation> work{op};
  work.gamma_partial = add_column_sums(phase, rows, op.channels, op.dgamma.data);
  work.beta_partial = add_column_sums(phase, rows, op.channels, op.dbeta.data);
  phase.row_operations.emplace_back(work);
}

void Schedule::add(const LayerNormBackward& op) {
  add_norm_gradient(op);
}

void Schedule::add(const BatchNormForward& op) {
  const std::int64_t rows = op.x.rows;
  if (op.mean_var.exists()) {
    const std::int64_t panel_rows = panel_of_rows(op.x.cols, op.channels);
    BatchMoments work{op};
    work.panels = pieces(rows, panel_rows);
    work.panel_groups = op.channels == 0 ? 0 : panel_rows * op.x.cols / op.channels;
    work.partial = partials_.size();
    partials_.resize(work.partial + static_cast<std::size_t>(work.panels * 2 * op.channels));
    add_row_operation(work, rows, panel_rows).batch_moments.push_back(work);
    new_phase(rows, kAnyPanel);
  }
  add_row_operation(op, rows);
}

void Schedule::add(const BatchNormBackward& op) {
  add_norm_gradient(op);
  if (op.dx.data == nullptr) return;
  new_phase(op.x.rows, kAnyPanel).row_operations.emplace_back(NormInputGradientRows{op});
}

void Schedule::add(const RowLosses& op) {
  add_row_operation(op, op.z.rows);
  if (op.channels() != op.z.cols) need_scratch(op.z.cols);
}

void Schedule::add(const ConvolutionForward& op) {
  const ForwardConvolution convolution(op);
  Phase& phase = add_row_operation(ConvolutionRows{convolution, 0}, op.y.rows,
                                   panel_of_images(op.convolution));
  std::get<ConvolutionRows>(phase.row_operations.back()).packed =
      add_packing(phase, convolution.product(), op.w.data);
  need_scratch(convolution.scratch_size());
}

void Schedule::add(const ConvolutionBackward& op) {
  const BackwardConvolution convolution(op);
  Phase& phase = add_row_operation(ConvolutionGradientRows{convolution, 0, 0}, op.dz.rows,
                                   panel_of_images(op.convolution));
  auto& work = std::get<ConvolutionGradientRows>(phase.row_operations.back());
  work.partial = add_column_sums(phase, op.dz.rows, op.convolution.weights(), op.dw.data);
  if (op.dx.data != nullptr) work.packed = add_packing(phase, convolution.product(), op.w.data);
  need_scratch(convolution.scratch_size());
}

void Schedule::add(const ActivationBackward& op) {
  const std::int64_t cols = columns_of_repeats(op.y.cols, op.channels);
  Phase& phase = add_row_operation(ActivationGradientRows{op, cols, 0}, op.y.rows,
                                   panel_of_rows(op.y.cols, op.channels));
  std::get<ActivationGradientRows>(phase.row_operations.back()).partial =
      add_column_sums(phase, op.y.rows, op.channels, op.dbias.data);
  need_scratch(cols);
}

void Schedule::add(const ae::Transpose& op) {
  last_phase().updates.emplace_back(op);
}

void Schedule::add(const ClipScale& op) {
  const std::size_t partial = row_sums_.size();
  row_sums_.resize(partial +
                   static_cast<std::size_t>(pieces(op.gradients.size(), kParametersPerTask)));
  last_phase().updates.emplace_back(ClipScaleWork{op, partial});
}

void Schedule::add(const OptimizerStep& op) {
  last_phase().updates.emplace_back(op);
}

void Schedule::clear() {
  for (std::size_t i = 0; i < used_phases_; ++i) {
    Phase& phase = phases_[i];
    phase.packings.clear();
    phase.transpositions.clear();
    phase.row_operations.clear();
    phase.weight_gradients.clear();
    phase.column_sums.clear();
    phase.loss_sums.clear();
    phase.batch_moments.clear();
    phase.updates.clear();
  }
  used_phases_ = 0;
  partials_.clear();
  row_sums_.clear();
  packed_.clear();
  scratch_size_ = 0;
}

// ── Running ─────────────────────────────────────────────────────────────────────────────────────

void Schedule::make_scratch(const ThreadPool& pool) {
  const auto scratch = static_cast<std::size_t>(pool.threads() * scratch_size_);
  if (scratch_.size() < scratch) scratch_.resize(scratch);
}

void Schedule::run(ThreadPool& pool, const VectorKernels& kernels) {
  make_scratch(pool);
  const BlockedSignals blocked;  // the calling thread works as well
  for (std::size_t i = 0; i < used_phases_; ++i) {
    const Phase& phase = phases_[i];
    run_row_operations(phase, pool, kernels);
    run_sums_over_rows(phase, pool, kernels);
    for (const auto& update : phase.updates) {
      std::visit([&](const auto& work) { run(work, pool, kernels); }, update);
    }
  }
}

void Schedule::run_packings(const Phase& phase, ThreadPool& pool, const VectorKernels& kernels) {
  const auto packings = static_cast<std::int64_t>(phase.packings.size());
  std::int64_t stripes = 0;
  for (const Transposition& work : phase.transpositions) {
    stripes += pieces(work.w.rows, kTransposedRows);
  }
  pool.for_each(packings + stripes, [&](std::int64_t task) {
    if (task < packings) {
      const Packing& packing = phase.packings[static_cast<std::size_t>(task)];
      packing.convolution.pack(packing.w, packed_.data() + packing.packed);
      return;
    }
    task -= packings;
    for (const Transposition& work : phase.transpositions) {
      if (task < pieces(work.w.rows, kTransposedRows)) {
        return transpose_rows(work.w, task, /*add=*/false, packed_.data() + work.transposed,
                              kernels);
      }
      task -= pieces(work.w.rows, kTransposedRows);
    }
  });
}

void Schedule::run_row_operations(const Phase& phase, ThreadPool& pool,
                                  const VectorKernels& kernels) {
  run_packings(phase, pool, kernels);
  const std::int64_t panel_rows = phase.panel_rows == kAnyPanel ? kPanelRows : phase.panel_rows;
  pool.for_each(pieces(phase.rows, panel_rows), [&](std::int64_t panel, std::size_t thread) {
    const std::int64_t begin = panel * panel_rows;
    const Range rows{begin, std::min(panel_rows, phase.rows - begin), panel,
                     scratch_.data() + static_cast<std::int64_t>(thread) * scratch_size_};
    for (const RowOperation& operation : phase.row_operations) {
      std::visit([&](const auto& op) { run(op, kernels, rows); }, operation);
    }
  });
}

void Schedule::run_sums_over_rows(const Phase& phase, ThreadPool& pool,
                                  const VectorKernels& kernels) {
  std::int64_t stripes = 0;
  for (const DenseBackward& op : phase.weight_gradients) stripes += stripe_count(op);
  std::int64_t columns = 0;
  for (const ColumnSums& work : phase.column_sums) columns += pieces(work.cols, kColumnsPerTask);
  const auto moments = static_cast<std::int64_t>(phase.batch_moments.size());
  const std::int64_t losses = phase.loss_sums.empty() ? 0 : 1;

  pool.for_each(stripes + columns + moments + losses, [&](std::int64_t task) {
    for (const DenseBackward& op : phase.weight_gradients) {
      if (task < stripe_count(op)) return run_weight_gradient(op, kernels, task);
      task -= stripe_count(op);
    }
    for (const ColumnSums& work : phase.column_sums) {
      if (task < pieces(work.cols, kColumnsPerTask)) {
        const std::int64_t begin = task * kColumnsPerTask;
        const std::int64_t size = std::min(kColumnsPerTask, work.cols - begin);
        float* const of_panels = partials_.data() + work.partial + begin;
        const bool in_place = work.sums == nullptr;
        float* const sums = in_place ? of_panels : work.sums + begin;
        if (!in_place) std::fill_n(sums, size, 0.0F);
        for (std::int64_t panel = in_place ? 1 : 0; panel < work.panels; ++panel) {
          const float* part = of_panels + panel * work.cols;
          for (std::int64_t c = 0; c < size; ++c) sums[c] += part[c];
        }
        return;
      }
      task -= pieces(work.cols, kColumnsPerTask);
    }
    if (task < moments) return join_moments(phase.batch_moments[static_cast<std::size_t>(task)]);
    // One task for all, as they may add to the same number.
    for (const LossSum& work : phase.loss_sums) {
      double sum = 0;
      for (std::int64_t row = 0; row < work.rows; ++row) {
        sum += row_sums_[work.row_sums + static_cast<std::size_t>(row)];
      }
      *work.sum += sum;
    }
  });
}

void Schedule::run(const ae::Transpose& op, ThreadPool& pool, const VectorKernels& kernels) {
  pool.for_each(pieces(op.from.rows, kTransposedRows), [&](std::int64_t stripe) {
    transpose_rows(op.from, stripe, op.add, op.to.data, kernels);
  });
}

void Schedule::run(const ClipScaleWork& work, ThreadPool& pool, const VectorKernels& kernels) {
  const ClipScale& op = work.op;
  const std::int64_t tasks = pieces(op.gradients.size(), kParametersPerTask);
  double* const partials = row_sums_.data() + work.partial;
  pool.for_each(tasks, [&](std::int64_t task) {
    const std::int64_t begin = task * kParametersPerTask;
    partials[task] = kernels.sum_of_squares(
        op.gradients.data + begin, std::min(kParametersPerTask, op.gradients.size() - begin));
  });
  double squares = 0;
  for (std::int64_t task = 0; task < tasks; ++task) squares += partials[task];
  *op.scale.data = optimizers::clip_scale(squares, op.max_norm);
}

/// The batch's mean and variance from its panels', n values of each channel in panel p:
///   μ = Σ nₚ·μₚ / N,  σ² = Σ (squaresₚ + nₚ·(μₚ - μ)²) / N.
/// Source: Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983.
void Schedule::join_moments(const BatchMoments& work) const {
  const std::int64_t channels = work.op.channels;
  const std::int64_t groups = normalized_groups(work.op);
  const auto count = static_cast<float>(groups);
  float* const means = work.op.mean_var.data;
  float* const variances = means + channels;
  std::fill_n(means, 2 * channels, 0.0F);
  const auto for_panels = [&](const auto& body) {
    for (std::int64_t panel = 0; panel < work.panels; ++panel) {
      const std::int64_t before = panel * work.panel_groups;
      const float* const of_panel = partials_.data() + work.partial + panel * 2 * channels;
      body(static_cast<float>(std::min(work.panel_groups, groups - before)), of_panel,
           of_panel + channels);
    }
  };
  for_panels([&](float size, const float* panel_means, const float* /*squares*/) {
    for (std::int64_t c = 0; c < channels; ++c) means[c] += size * panel_means[c];
  });
  if (groups == 0) return;
  for (std::int64_t c = 0; c < channels; ++c) means[c] /= count;
  for_panels([&](float size, const float* panel_means, const float* squares) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float off = panel_means[c] - means[c];
      variances[c] += squares[c] + size * (off * off);
    }
  });
  float* const running_means = work.op.running.data;
  float* const running_variances = running_means + channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    const float unbiased = normalization::unbiased(variances[c], count);
    variances[c] /= count;
    running_means[c] = normalization::running(running_means[c], means[c]);
    running_variances[c] = normalization::running(running_variances[c], unbiased);
  }
}

void Schedule::run(const OptimizerStep& op, ThreadPool& pool, const VectorKernels& kernels) {
  const OptimizerOptions& options = op.options;
  optimizers::StepRates rates = optimizers::constant_rates(options);
  if (op.learning_rates.exists()) {
    rates.learning_rate = op.learning_rates.data[*op.step.data % op.steps_per_epoch];
  }
  const auto t = static_cast<double>(++*op.step.data);
  rates.adam_rate =
      static_cast<float>(static_cast<double>(rates.learning_rate) *
                         std::sqrt(1 - std::pow(static_cast<double>(options.beta2), t)) /
                         (1 - std::pow(static_cast<double>(options.beta1), t)));
  pool.for_each(pieces(op.gradients.size(), kParametersPerTask), [&](std::int64_t task) {
    const std::int64_t begin = task * kParametersPerTask;
    const auto from = [begin](float* state) { return state == nullptr ? nullptr : state + begin; };
    kernels.optimize({.optimizer = options.kind,
                      .rates = rates,
                      .count = std::min(kParametersPerTask, op.parameters.size() - begin),
                      .parameters = op.parameters.data + begin,
                      .gradients = op.gradients.data + begin,
                      .first = from(op.first.data),
                      .second = from(op.second.data),
                      .gradient_scale = op.gradient_scale.data,
                      .average = from(op.average.data),
                      .average_decay = op.average_decay});
  });
}

void Schedule::run(const GatherBatch& op, const VectorKernels& kernels, Range rows) {
  const std::int32_t* chosen =
      op.permutation.data + *op.step.data % op.steps_per_epoch * op.batch_size;
  gather(*op.data, kernels, op.x, rows.begin, rows.begin + rows.size,
         [chosen](std::int64_t i) { return std::int64_t{chosen[i]}; });
}

void Schedule::run(const GatherRows& op, const VectorKernels& kernels, Range rows) {
  gather(*op.data, kernels, op.x, rows.begin, rows.begin + rows.size,
         [first = op.first_row](std::int64_t i) { return first + i; });
}

void Schedule::run(const DenseForward& op, const VectorKernels& kernels, Range rows) {
  const std::int64_t inputs = op.x.cols;
  const std::int64_t units = op.y.cols;
  const float* x = op.x.data + rows.begin * inputs;
  float* y = op.y.data + rows.begin * units;
  if (skip_zeros(op.x_density, units)) {
    kernels.sparse_forward({x, rows.size, inputs, inputs}, op.w.data, units, y);
  } else {
    gemm(Transpose::no, Transpose::no, rows.size, units, inputs, x, inputs, op.w.data, units, y,
         units);
  }
  if (op.bias.exists() || op.activation != Activation::identity) {
    float* const z = op.z.exists() ? op.z.data + rows.begin * units : nullptr;
    kernels.bias_activation(op.activation, op.bias.data, {y, rows.size, units, units}, z);
  }
}

void Schedule::run(const RowLosses& op, const VectorKernels& kernels, Range rows) {
  const std::int64_t cols = op.z.cols;
  const std::int64_t offset = rows.begin * cols;
  const float* bias = op.bias.data;
  if (op.channels() != cols) {
    repeat(op.bias.data, op.channels(), cols, rows.scratch);
    bias = rows.scratch;
  }
  kernels.loss({op.loss,
                op.activation,
                {op.z.data + offset, rows.size, cols, cols},
                bias,
                op.target.data + offset,
                0.0F,
                nullptr,
                nullptr},
               op.sums.data + rows.begin);
}

void Schedule::run(const CorruptBatch& op, const VectorKernels& kernels, Range rows) {
  const std::int64_t cols = op.noisy.cols;
  const std::int64_t offset = rows.begin * cols;
  kernels.corrupt(op.noise, stream_of_step(op.seed, RandomPurpose::noise, op.step.data),
                  op.first_row * cols + offset, op.clean.data + offset, op.noisy.data + offset,
                  rows.size * cols);
}

void Schedule::run(const KeepLargest& op, const VectorKernels& kernels, Range rows) {
  const std::int64_t cols = op.y.cols;
  if (op.k >= cols) return;
  kernels.keep_largest(op.k, {op.y.data + rows.begin * cols, rows.size, cols, cols});
}

void Schedule::run(const GaussianSample& op, const VectorKernels& kernels, Range rows) {
  const std::int64_t latent = op.z.cols;
  kernels.gaussian_sample({{op.h.data + rows.begin * 2 * latent, rows.size, 2 * latent, 2 * latent},
                           stream_of_step(op.seed, RandomPurpose::code, op.step.data),
                           (op.first_row + rows.begin) * latent},
                          op.mean_only, op.z.data + rows.begin * latent,
                          op.kl.exists() ? op.kl.data + rows.begin : nullptr);
}

void Schedule::run(const DropoutForward& op, const VectorKernels& kernels, Range rows) {
  drop(op.mask, op.x, op.y, kernels, rows.begin, rows.size);
}

void Schedule::run(const DropoutBackward& op, const VectorKernels& kernels, Range rows) {
  drop(op.mask, op.dy, op.dx, kernels, rows.begin, rows.size);
}

void Schedule::run(const LayerNormForward& op, const VectorKernels& kernels, Range rows) {
  if (op.x.size() == 0) return;
  float* const statistics = op.mean_rstd.exists()
                                ? op.mean_rstd.data + 2 * (rows.begin * op.x.cols / op.channels)
                                : nullptr;
  kernels.layer_norm(norm_tile(op, nullptr, rows.begin, rows.size),
                     op.y.data + rows.begin * op.y.cols, statistics);
}

template <typename Operation>
NormGradientTile Schedule::gradient_tile(const NormGradientRows<Operation>& work, Range rows) {
  const Operation& op = work.op;
  const std::int64_t offset = rows.begin * op.x.cols;
  const std::int64_t partial = rows.panel * op.channels;
  return {norm_tile(op, statistics_of(op), rows.begin, rows.size), op.y.data + offset,
          op.dy.data + offset, partials_.data() + work.gamma_partial + partial,
          partials_.data() + work.beta_partial + partial};
}

void Schedule::run(const NormGradientRows<LayerNormBackward>& work, const VectorKernels& kernels,
                   Range rows) {
  const LayerNormBackward& op = work.op;
  if (op.x.size() == 0) return;
  const std::int64_t offset = rows.begin * op.x.cols;
  NormGradientTile tile = gradient_tile(work, rows);
  tile.norm.statistics += 2 * (offset / op.channels);
  kernels.layer_norm_gradient(tile, op.dx.data == nullptr ? nullptr : op.dx.data + offset);
}

void Schedule::run(const NormGradientRows<BatchNormBackward>& work, const VectorKernels& kernels,
                   Range rows) {
  kernels.batch_norm_gradient(gradient_tile(work, rows));
}

void Schedule::run(const BatchMoments& work, const VectorKernels& kernels, Range rows) {
  kernels.moments(norm_tile(work.op, nullptr, rows.begin, rows.size).x,
                  partials_.data() + work.partial + rows.panel * 2 * work.op.channels);
}

void Schedule::run(const BatchNormForward& op, const VectorKernels& kernels, Range rows) {
  const float* const statistics = op.mean_var.exists() ? op.mean_var.data : op.running.data;
  kernels.batch_norm(norm_tile(op, statistics, rows.begin, rows.size),
                     op.y.data + rows.begin * op.y.cols);
}

void Schedule::run(const NormInputGradientRows& work, const VectorKernels& kernels, Range rows) {
  const BatchNormBackward& op = work.op;
  const std::int64_t offset = rows.begin * op.x.cols;
  kernels.batch_norm_input_gradient(
      norm_tile(op, op.mean_var.data, rows.begin, rows.size), op.dgamma.data, op.dbeta.data,
      static_cast<float>(normalized_groups(op)), op.dy.data + offset, op.dx.data + offset);
}

void Schedule::run(const StatisticRows<SparsityBackward>& work, const VectorKernels& kernels,
                   Range rows) {
  const std::int64_t cols = work.op.y.cols;
  kernels.sum_activations({work.op.y.data + rows.begin * cols, rows.size, cols, cols},
                          partials_.data() + work.partial + rows.panel * cols);
}

void Schedule::run(const StatisticRows<GaussianBackward>& work, const VectorKernels& kernels,
                   Range rows) {
  const std::int64_t cols = work.op.h.cols;
  kernels.sum_divergences({work.op.h.data + rows.begin * cols, rows.size, cols, cols},
                          partials_.data() + work.partial + rows.panel * cols / 2);
}

void Schedule::run(const CodeGradientRows<SparsityBackward>& work, const VectorKernels& kernels,
                   Range rows) {
  const SparsityBackward& op = work.op;
  const std::int64_t cols = op.y.cols;
  const std::int64_t offset = rows.begin * cols;
  double* const penalties = row_sums_.data() + work.row_sums;
  const bool has_means = needs_means(op);
  kernels.sparsity_gradient({op.activation,
                             sparsity::rates_of(op.sparsity, op.kept_largest, op.y.rows),
                             {op.y.data + offset, rows.size, cols, cols},
                             saved_output(op) + offset,
                             has_means ? partials_.data() + work.statistics : nullptr,
                             op.dy.data + offset,
                             partials_.data() + work.partial + rows.panel * cols},
                            penalties + rows.begin,
                            has_means && rows.begin == 0 ? penalties + op.y.rows : nullptr);
}

void Schedule::run(const CodeGradientRows<GaussianBackward>& work, const VectorKernels& kernels,
                   Range rows) {
  const GaussianBackward& op = work.op;
  const std::int64_t latent = op.dz.cols;
  const std::int64_t cols = 2 * latent;
  kernels.gaussian_gradient(
      {{{op.h.data + rows.begin * cols, rows.size, cols, cols},
        stream_of_step(op.seed, RandomPurpose::code, op.step.data),
        rows.begin * latent},
       op.dz.data + rows.begin * latent,
       gaussian::warmed_up(op.kl_scale, op.step.exists() ? *op.step.data : 0, op.warm_up_steps),
       op.free_bits * static_cast<float>(op.dz.rows),
       needs_means(op) ? partials_.data() + work.statistics : nullptr,
       op.dh.data + rows.begin * cols,
       partials_.data() + work.partial + rows.panel * cols},
      row_sums_.data() + work.row_sums + rows.begin);
}

void Schedule::run(const LossRows& work, const VectorKernels& kernels, Range rows) {
  const ReconstructionLoss& op = work.op;
  const std::int64_t cols = op.z.cols;
  const std::int64_t offset = rows.begin * cols;
  const std::int64_t channels = op.channels();
  const bool repeats = channels != cols;
  float* const sums = partials_.data() + work.partial + rows.panel * channels;
  float* const column_sums = repeats ? rows.scratch + cols : sums;
  if (repeats) repeat(op.bias.data, channels, cols, rows.scratch);
  kernels.loss({op.loss,
                op.activation,
                {op.z.data + offset, rows.size, cols, cols},
                repeats ? rows.scratch : op.bias.data,
                op.target.data + offset,
                op.gradient_scale,
                op.dz.data + offset,
                column_sums},
               row_sums_.data() + work.row_sums + rows.begin);
  if (repeats) fold(column_sums, cols, channels, sums);
}

void Schedule::run(const ConvolutionRows& work, const VectorKernels& kernels, Range rows) {
  work.convolution.run(kernels, packed_.data() + work.packed, rows.begin, rows.size, rows.scratch);
}

void Schedule::run(const ConvolutionGradientRows& work, const VectorKernels& kernels, Range rows) {
  work.convolution.run(kernels, packed_.data() + work.packed, rows.begin, rows.size, rows.scratch,
                       partials_.data() + work.partial + rows.panel * work.convolution.weights());
}

/// The rows and their biases lie one after the other, so that they can be seen as rows of any whole
/// number of repeats.
void Schedule::run(const ActivationGradientRows& work, const VectorKernels& kernels, Range rows) {
  const ActivationBackward& op = work.op;
  const std::int64_t offset = rows.begin * op.y.cols;
  const std::int64_t tile_rows = work.cols == 0 ? 0 : rows.size * op.y.cols / work.cols;
  kernels.activation_gradient(op.activation,
                              {saved_output(op) + offset, tile_rows, work.cols, work.cols},
                              {op.dy.data + offset, tile_rows, work.cols, work.cols}, rows.scratch);
  fold(rows.scratch, work.cols, op.channels,
       partials_.data() + work.partial + rows.panel * op.channels);
}

void Schedule::run(const MaxPoolForward& op, const VectorKernels& kernels, Range rows) {
  for (std::int64_t row = rows.begin; row < rows.begin + rows.size; ++row) {
    kernels.images->max_pool(windows_of(op.input, op.size), op.x.data + row * op.x.cols,
                             op.y.data + row * op.y.cols);
  }
}

void Schedule::run(const MaxPoolBackward& op, const VectorKernels& kernels, Range rows) {
  for (std::int64_t row = rows.begin; row < rows.begin + rows.size; ++row) {
    kernels.images->max_pool_gradient(windows_of(op.input, op.size), op.x.data + row * op.x.cols,
                                      op.dy.data + row * op.dy.cols, op.dx.data + row * op.dx.cols);
  }
}

void Schedule::run(const UpsampleForward& op, const VectorKernels& kernels, Range rows) {
  for (std::int64_t row = rows.begin; row < rows.begin + rows.size; ++row) {
    kernels.images->upsample(upsampled_windows(op.input, op.factor), op.x.data + row * op.x.cols,
                             op.y.data + row * op.y.cols);
  }
}

void Schedule::run(const UpsampleBackward& op, const VectorKernels& kernels, Range rows) {
  for (std::int64_t row = rows.begin; row < rows.begin + rows.size; ++row) {
    kernels.images->upsample_gradient(upsampled_windows(op.input, op.factor),
                                      op.dy.data + row * op.dy.cols, op.dx.data + row * op.dx.cols);
  }
}

/// dx = (dz·Wᵀ) ⊙ f'(z) of the layer below, whose output is x, and the panel's column sums of it.
void Schedule::run(const InputGradientRows& work, const VectorKernels& kernels, Range rows) {
  const DenseBackward& op = work.op;
  const std::int64_t inputs = op.x.cols;
  const std::int64_t units = op.dz.cols;
  float* dx = op.dx.data + rows.begin * inputs;
  const float* const dz = op.dz.data + rows.begin * units;
  if (work.transposed) {
    gemm(Transpose::no, Transpose::no, rows.size, inputs, units, dz, units,
         packed_.data() + *work.transposed, inputs, dx, inputs);
  } else {
    gemm(Transpose::no, Transpose::yes, rows.size, inputs, units, dz, units, op.w.data, units, dx,
         inputs);
  }
  if (!op.dbias_below.exists()) return;
  kernels.activation_gradient(
      op.activation_below, {saved_output(op) + rows.begin * inputs, rows.size, inputs, inputs},
      {dx, rows.size, inputs, inputs}, partials_.data() + work.partial + rows.panel * inputs);
}

}  // namespace ae::cpu
