#include "backend/cpu/schedule.hpp"

#include <algorithm>
#include <cmath>

#include "backend/cpu/gemm.hpp"

namespace ae::cpu {

namespace {

/// Rows of a panel: what a panel touches fits a core's own cache, eight threads can share a batch
/// of 256, and oneDNN still runs at full speed.
constexpr std::int64_t kPanelRows = 32;
/// Inputs (or units) of W that make one stripe of a weight gradient; a multiple of every vector
/// width, small enough for a stripe to stay in the innermost cache.
constexpr std::int64_t kStripe = 112;
constexpr std::int64_t kParametersPerTask = 4096;
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
void gather(const ResidentData& resident, const VectorKernels& kernels, const Matrix& x,
            std::int64_t begin, std::int64_t end, const RowOf& row_of) {
  const Dataset& data = static_cast<const HostData&>(resident).dataset();
  const std::int64_t cols = x.cols;
  if (data.is_bytes()) {
    const std::uint8_t* bytes = data.bytes().data();
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kPrefetchRows < end) prefetch(bytes + row_of(i + kPrefetchRows) * cols, cols);
      kernels.convert_bytes(bytes + row_of(i) * cols, x.data + i * cols, cols);
    }
  } else {
    const float* floats = data.floats().data();
    for (std::int64_t i = begin; i < end; ++i) {
      std::copy_n(floats + row_of(i) * cols, cols, x.data + i * cols);
    }
  }
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

Schedule::Phase& Schedule::new_phase(std::int64_t rows) {
  if (used_phases_ == phases_.size()) phases_.emplace_back();
  Phase& phase = phases_[used_phases_++];
  phase.rows = rows;
  return phase;
}

Schedule::Phase& Schedule::phase_for_rows(std::int64_t rows) {
  if (used_phases_ != 0) {
    Phase& last = phases_[used_phases_ - 1];
    if (last.rows == rows && last.updates.empty()) return last;
  }
  return new_phase(rows);
}

Schedule::Phase& Schedule::last_phase() {
  return used_phases_ == 0 ? new_phase(0) : phases_[used_phases_ - 1];
}

void Schedule::add_row_operation(const RowOperation& operation, std::int64_t rows) {
  Phase* phase = &phase_for_rows(rows);
  // What a weight gradient reads must not be overwritten before its turn.
  if (!phase->weight_gradients.empty()) phase = &new_phase(rows);
  phase->row_operations.push_back(operation);
}

std::size_t Schedule::add_column_sums(Phase& phase, std::int64_t rows, std::int64_t cols,
                                      float* sums) {
  const std::size_t partial = partials_.size();
  const std::int64_t panels = pieces(rows, kPanelRows);
  partials_.resize(partial + static_cast<std::size_t>(panels * cols));
  phase.column_sums.push_back({partial, panels, cols, sums});
  return partial;
}

void Schedule::add(const ReconstructionLoss& op) {
  const std::size_t row_sums = row_sums_.size();
  row_sums_.resize(row_sums + static_cast<std::size_t>(op.z.rows));
  add_row_operation(LossRows{op, row_sums, 0}, op.z.rows);
  Phase& phase = phases_[used_phases_ - 1];
  std::get<LossRows>(phase.row_operations.back()).partial =
      add_column_sums(phase, op.z.rows, op.z.cols, op.dbias);
  phase.loss_sums.push_back({row_sums, op.z.rows, op.loss_sum});
}

void Schedule::add(const DenseBackward& op) {
  // A backward pass alternates both kinds; its input gradients overwrite nothing that its weight
  // gradients read, so all of it fits one phase.
  Phase& phase = phase_for_rows(op.dz.rows);
  phase.weight_gradients.push_back(op);
  if (op.dx.data == nullptr) return;
  const std::size_t partial = add_column_sums(phase, op.dx.rows, op.dx.cols, op.dbias_below);
  phase.row_operations.emplace_back(InputGradientRows{op, partial});
}

void Schedule::add(const ClipScale& op) {
  const std::size_t partial = row_sums_.size();
  row_sums_.resize(partial + static_cast<std::size_t>(pieces(op.count, kParametersPerTask)));
  last_phase().updates.emplace_back(ClipScaleWork{op, partial});
}

void Schedule::add(const OptimizerStep& op) {
  last_phase().updates.emplace_back(op);
}

void Schedule::clear() {
  for (std::size_t i = 0; i < used_phases_; ++i) {
    Phase& phase = phases_[i];
    phase.row_operations.clear();
    phase.weight_gradients.clear();
    phase.column_sums.clear();
    phase.loss_sums.clear();
    phase.updates.clear();
  }
  used_phases_ = 0;
  partials_.clear();
  row_sums_.clear();
}

// ── Running ─────────────────────────────────────────────────────────────────────────────────────

void Schedule::run(ThreadPool& pool, const VectorKernels& kernels) {
  for (std::size_t i = 0; i < used_phases_; ++i) {
    const Phase& phase = phases_[i];
    run_row_operations(phase, pool, kernels);
    run_sums_over_rows(phase, pool, kernels);
    for (const auto& update : phase.updates) {
      std::visit([&](const auto& work) { run(work, pool, kernels); }, update);
    }
  }
}

void Schedule::run_row_operations(const Phase& phase, ThreadPool& pool,
                                  const VectorKernels& kernels) {
  pool.for_each(pieces(phase.rows, kPanelRows), [&](std::int64_t panel) {
    const std::int64_t begin = panel * kPanelRows;
    const Range rows{begin, std::min(kPanelRows, phase.rows - begin)};
    for (const RowOperation& operation : phase.row_operations) {
      std::visit([&](const auto& op) { run(op, kernels, rows); }, operation);
    }
  });
}

void Schedule::run_sums_over_rows(const Phase& phase, ThreadPool& pool,
                                  const VectorKernels& kernels) {
  std::int64_t stripes = 0;
  for (const DenseBackward& op : phase.weight_gradients) stripes += stripe_count(op);
  const auto columns = static_cast<std::int64_t>(phase.column_sums.size());
  const auto losses = static_cast<std::int64_t>(phase.loss_sums.size());

  pool.for_each(stripes + columns + losses, [&](std::int64_t task) {
    for (const DenseBackward& op : phase.weight_gradients) {
      if (task < stripe_count(op)) return run_weight_gradient(op, kernels, task);
      task -= stripe_count(op);
    }
    if (task < columns) {
      const ColumnSums& work = phase.column_sums[static_cast<std::size_t>(task)];
      std::fill_n(work.sums, work.cols, 0.0F);
      for (std::int64_t panel = 0; panel < work.panels; ++panel) {
        const float* part = partials_.data() + work.partial + panel * work.cols;
        for (std::int64_t c = 0; c < work.cols; ++c) work.sums[c] += part[c];
      }
      return;
    }
    const LossSum& work = phase.loss_sums[static_cast<std::size_t>(task - columns)];
    double sum = 0;
    for (std::int64_t row = 0; row < work.rows; ++row) {
      sum += row_sums_[work.row_sums + static_cast<std::size_t>(row)];
    }
    *work.sum += sum;
  });
}

void Schedule::run(const ClipScaleWork& work, ThreadPool& pool, const VectorKernels& kernels) {
  const ClipScale& op = work.op;
  const std::int64_t tasks = pieces(op.count, kParametersPerTask);
  double* const partials = row_sums_.data() + work.partial;
  pool.for_each(tasks, [&](std::int64_t task) {
    const std::int64_t begin = task * kParametersPerTask;
    partials[task] = kernels.sum_of_squares(op.gradients + begin,
                                            std::min(kParametersPerTask, op.count - begin));
  });
  double squares = 0;
  for (std::int64_t task = 0; task < tasks; ++task) squares += partials[task];
  *op.scale = optimizers::clip_scale(squares, op.max_norm);
}

void Schedule::run(const OptimizerStep& op, ThreadPool& pool, const VectorKernels& kernels) {
  const OptimizerOptions& options = op.options;
  optimizers::StepRates rates = optimizers::constant_rates(options);
  if (op.learning_rates != nullptr) {
    rates.learning_rate = op.learning_rates[*op.step % op.steps_per_epoch];
  }
  const auto t = static_cast<double>(++*op.step);
  rates.adam_rate =
      static_cast<float>(static_cast<double>(rates.learning_rate) *
                         std::sqrt(1 - std::pow(static_cast<double>(options.beta2), t)) /
                         (1 - std::pow(static_cast<double>(options.beta1), t)));
  pool.for_each(pieces(op.count, kParametersPerTask), [&](std::int64_t task) {
    const std::int64_t begin = task * kParametersPerTask;
    const auto from = [begin](float* state) { return state == nullptr ? nullptr : state + begin; };
    kernels.optimize({.optimizer = options.kind,
                      .rates = rates,
                      .count = std::min(kParametersPerTask, op.count - begin),
                      .parameters = op.parameters + begin,
                      .gradients = op.gradients + begin,
                      .first = from(op.first),
                      .second = from(op.second),
                      .gradient_scale = op.gradient_scale,
                      .average = from(op.average),
                      .average_decay = op.average_decay});
  });
}

void Schedule::run(const GatherBatch& op, const VectorKernels& kernels, Range rows) {
  const std::int32_t* chosen = op.permutation + *op.step % op.steps_per_epoch * op.batch_size;
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
  if (op.bias != nullptr || op.activation != Activation::identity) {
    float* const z =
        op.reserve == nullptr ? nullptr : static_cast<float*>(op.reserve) + rows.begin * units;
    kernels.bias_activation(op.activation, op.bias, {y, rows.size, units, units}, z);
  }
}

void Schedule::run(const RowLosses& op, const VectorKernels& kernels, Range rows) {
  const std::int64_t cols = op.z.cols;
  const std::int64_t offset = rows.begin * cols;
  kernels.loss({op.loss,
                op.activation,
                {op.z.data + offset, rows.size, cols, cols},
                op.bias,
                op.target.data + offset,
                0.0F,
                nullptr,
                nullptr},
               op.sums + rows.begin);
}

void Schedule::run(const LossRows& work, const VectorKernels& kernels, Range rows) {
  const ReconstructionLoss& op = work.op;
  const std::int64_t cols = op.z.cols;
  const std::int64_t offset = rows.begin * cols;
  const std::int64_t panel = rows.begin / kPanelRows;
  kernels.loss({op.loss,
                op.activation,
                {op.z.data + offset, rows.size, cols, cols},
                op.bias,
                op.target.data + offset,
                op.gradient_scale,
                op.dz.data + offset,
                partials_.data() + work.partial + panel * cols},
               row_sums_.data() + work.row_sums + rows.begin);
}

/// dx = (dz·Wᵀ) ⊙ f'(z) of the layer below, whose output is x, and the panel's column sums of it.
void Schedule::run(const InputGradientRows& work, const VectorKernels& kernels, Range rows) {
  const DenseBackward& op = work.op;
  const std::int64_t inputs = op.x.cols;
  const std::int64_t units = op.dz.cols;
  const std::int64_t panel = rows.begin / kPanelRows;
  float* dx = op.dx.data + rows.begin * inputs;
  gemm(Transpose::no, Transpose::yes, rows.size, inputs, units, op.dz.data + rows.begin * units,
       units, op.w.data, units, dx, inputs);
  kernels.activation_gradient(
      op.activation_below, {saved_output(op) + rows.begin * inputs, rows.size, inputs, inputs},
      {dx, rows.size, inputs, inputs}, partials_.data() + work.partial + panel * inputs);
}

}  // namespace ae::cpu
