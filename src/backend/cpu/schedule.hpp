#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "backend/backend.hpp"
#include "backend/cpu/thread_pool.hpp"
#include "backend/cpu/vector_kernels.hpp"

namespace ae::cpu {

/// A data set on the CPU: gathered from where it lies in host memory.
class HostData final : public ResidentData {
 public:
  explicit HostData(const Dataset& data) : data_(data) {}
  [[nodiscard]] std::int64_t rows() const override { return data_.rows(); }
  [[nodiscard]] std::int64_t row_size() const override { return data_.row_size(); }
  [[nodiscard]] const Dataset& dataset() const { return data_; }

 private:
  const Dataset& data_;
};

/// Operations in the order they were asked for, run together.
///
/// Nearly all of a step works on each row of the batch by itself: gather, forward, loss, and the
/// gradient of each layer's input. So a phase takes a panel of rows through all of these, while the
/// panel is in a core's own cache, before the next panel; only then come the weight gradients,
/// which sum over all rows, and last the optimiser. A step is three parallel regions that way,
/// however deep the model, instead of several for each layer, each sweeping the whole batch through
/// memory.
///
/// Panels and stripes are cut by shape alone, so that results do not depend on the threads.
class Schedule {
 public:
  void add(const GatherBatch& op) { add_row_operation(op, op.x.rows); }
  void add(const GatherRows& op) { add_row_operation(op, op.x.rows); }
  void add(const DenseForward& op) { add_row_operation(op, op.y.rows); }
  void add(const RowLosses& op) { add_row_operation(op, op.z.rows); }
  void add(const ReconstructionLoss& op);
  void add(const DenseBackward& op);
  void add(const ClipScale& op);
  void add(const OptimizerStep& op);

  void run(ThreadPool& pool, const VectorKernels& kernels);

  /// Forgets the operations, keeps the memory.
  void clear();

 private:
  /// Column sums of a panel after the other, to be added up when all panels are done.
  struct ColumnSums {
    std::size_t partial = 0;  ///< where in partials_: (panels, cols)
    std::int64_t panels = 0;
    std::int64_t cols = 0;
    float* sums = nullptr;
  };
  struct LossSum {
    std::size_t row_sums = 0;  ///< where in row_sums_
    std::int64_t rows = 0;
    double* sum = nullptr;
  };

  struct LossRows {
    ReconstructionLoss op;
    std::size_t row_sums = 0;
    std::size_t partial = 0;
  };
  struct InputGradientRows {
    DenseBackward op;
    std::size_t partial = 0;
  };
  struct ClipScaleWork {
    ClipScale op;
    std::size_t partial = 0;  ///< where in row_sums_: a sum of squares a task
  };
  using RowOperation =
      std::variant<GatherBatch, GatherRows, DenseForward, RowLosses, LossRows, InputGradientRows>;

  struct Phase {
    std::int64_t rows = 0;
    std::vector<RowOperation> row_operations;
    std::vector<DenseBackward> weight_gradients;
    std::vector<ColumnSums> column_sums;
    std::vector<LossSum> loss_sums;
    /// What comes last, one after the other; nothing else is added to the phase then.
    std::vector<std::variant<ClipScaleWork, OptimizerStep>> updates;
  };

  struct Range {
    std::int64_t begin;
    std::int64_t size;
  };

  Phase& phase_for_rows(std::int64_t rows);
  Phase& new_phase(std::int64_t rows);
  Phase& last_phase();
  void add_row_operation(const RowOperation& operation, std::int64_t rows);
  std::size_t add_column_sums(Phase& phase, std::int64_t rows, std::int64_t cols, float* sums);

  static void run(const GatherBatch& op, const VectorKernels& kernels, Range rows);
  static void run(const GatherRows& op, const VectorKernels& kernels, Range rows);
  static void run(const DenseForward& op, const VectorKernels& kernels, Range rows);
  static void run(const RowLosses& op, const VectorKernels& kernels, Range rows);
  void run(const LossRows& work, const VectorKernels& kernels, Range rows);
  void run(const InputGradientRows& work, const VectorKernels& kernels, Range rows);

  void run_row_operations(const Phase& phase, ThreadPool& pool, const VectorKernels& kernels);
  void run_sums_over_rows(const Phase& phase, ThreadPool& pool, const VectorKernels& kernels);
  void run(const ClipScaleWork& work, ThreadPool& pool, const VectorKernels& kernels);
  static void run(const OptimizerStep& op, ThreadPool& pool, const VectorKernels& kernels);

  std::vector<Phase> phases_;
  std::size_t used_phases_ = 0;  ///< the others wait, empty, with their memory
  std::vector<float> partials_;
  std::vector<double> row_sums_;  ///< and other partial sums in double
};

}  // namespace ae::cpu
