#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "device/cpu/aligned_floats.hpp"
#include "device/cpu/convolution.hpp"
#include "device/cpu/thread_pool.hpp"
#include "device/cpu/vector_kernels.hpp"
#include "device/device.hpp"

namespace ae::cpu {

/// Operations in the order they were asked for, run together.
///
/// Nearly all of a step works on each row of the batch by itself: gather, forward, loss, and the
/// gradient of each layer's input. So a phase takes a panel of rows through all of these, while the
/// panel is in a core's own cache, before the next panel; only then come the weight gradients,
/// which sum over all rows, and last the optimiser. A step is three parallel regions that way,
/// however deep the model, instead of several for each layer, each sweeping the whole batch through
/// memory. Only what needs means over the batch first, some gradients and batch_norm, costs a phase
/// more.
///
/// Images are larger than other rows: where there are convolutions, panels are of a few rows only.
/// And the weight gradient of a convolution is summed panel by panel as its turn comes, from images
/// that are in cache then, and the panels' sums are added up at the end. Where the weights are the
/// larger part, panels are as tall as elsewhere, so that there are few such sums.
///
/// Panels and stripes are cut by shape alone, so that results do not depend on the threads.
class Schedule {
 public:
  void add(const GatherBatch& op) { add_row_operation(op, op.x.rows); }
  void add(const GatherRows& op) { add_row_operation(op, op.x.rows); }
  void add(const ae::Transpose& op);
  void add(const DenseForward& op) { add_row_operation(op, op.y.rows, kPanelRows); }
  void add(const ConvolutionForward& op);
  void add(const ConvolutionBackward& op);
  void add(const MaxPoolForward& op) { add_row_operation(op, op.x.rows); }
  void add(const MaxPoolBackward& op) { add_row_operation(op, op.x.rows); }
  void add(const UpsampleForward& op) { add_row_operation(op, op.x.rows); }
  void add(const UpsampleBackward& op) { add_row_operation(op, op.dx.rows); }
  void add(const ActivationBackward& op);
  void add(const RowLosses& op);
  void add(const CorruptBatch& op) { add_row_operation(op, op.noisy.rows); }
  void add(const KeepLargest& op) { add_row_operation(op, op.y.rows); }
  void add(const GaussianSample& op) { add_row_operation(op, op.z.rows); }
  void add(const DropoutForward& op) { add_row_operation(op, op.y.rows); }
  void add(const DropoutBackward& op);
  void add(const LayerNormForward& op) { add_row_operation(op, op.y.rows); }
  void add(const LayerNormBackward& op);
  void add(const BatchNormForward& op);
  void add(const BatchNormBackward& op);
  void add(const SparsityBackward& op);
  void add(const GaussianBackward& op);
  void add(const ReconstructionLoss& op);
  void add(const DenseBackward& op);
  void add(const ClipScale& op);
  void add(const OptimizerStep& op);

  void run(ThreadPool& pool, const VectorKernels& kernels);

  /// Makes the memory that run() needs, so that a recorded step has it before its first replay.
  void make_scratch(const ThreadPool& pool);

  /// Forgets the operations, keeps the memory.
  void clear();

 private:
  /// Rows of a panel: what a panel touches fits a core's own cache, eight threads can share a batch
  /// of 256, and oneDNN still runs at full speed.
  static constexpr std::int64_t kPanelRows = 32;
  /// Of a panel of images.
  static constexpr std::int64_t kPanelImages = 4;
  /// What has no sums over panels goes with its neighbours.
  static constexpr std::int64_t kAnyPanel = 0;

  /// Column sums of a panel after the other, to be added up when all panels are done: to `sums`, or
  /// where that is null, in place of the first panel's.
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
    std::optional<std::size_t> transposed{};  ///< where W is so in packed_, if it is
  };
  /// What a gradient in the next phase needs of the whole batch.
  template <typename Operation>
  struct StatisticRows {
    Operation op;
    std::size_t partial = 0;
  };
  template <typename Operation>
  struct CodeGradientRows {
    Operation op;
    std::size_t statistics = 0;  ///< where in partials_, if needs_means(op)
    std::size_t row_sums = 0;
    std::size_t partial = 0;
  };
  template <typename Operation>
  struct NormGradientRows {
    Operation op;
    std::size_t gamma_partial = 0;
    std::size_t beta_partial = 0;
  };
  /// What batch_norm needs of the whole batch first: of each panel, [μ | Σ (x - μ)²].
  struct BatchMoments {
    BatchNormForward op;
    std::size_t partial = 0;  ///< where in partials_: (panels, 2, channels)
    std::int64_t panels = 0;
    std::int64_t panel_groups = 0;  ///< of a panel but the last
  };
  /// And its gradients after the sums.
  struct NormInputGradientRows {
    BatchNormBackward op;
  };
  struct ConvolutionRows {
    ForwardConvolution convolution;
    std::size_t packed = 0;  ///< where in packed_
  };
  struct ConvolutionGradientRows {
    BackwardConvolution convolution;
    std::size_t packed = 0;
    std::size_t partial = 0;
  };
  struct ActivationGradientRows {
    ActivationBackward op;
    std::int64_t cols = 0;  ///< the batch is seen as rows of as many
    std::size_t partial = 0;
  };
  struct ClipScaleWork {
    ClipScale op;
    std::size_t partial = 0;  ///< where in row_sums_: a sum of squares a task
  };
  using RowOperation =
      std::variant<GatherBatch, GatherRows, DenseForward, ConvolutionRows, MaxPoolForward,
                   UpsampleForward, RowLosses, LossRows, InputGradientRows, ConvolutionGradientRows,
                   MaxPoolBackward, UpsampleBackward, ActivationGradientRows, CorruptBatch,
                   KeepLargest, GaussianSample, StatisticRows<SparsityBackward>,
                   StatisticRows<GaussianBackward>, CodeGradientRows<SparsityBackward>,
                   CodeGradientRows<GaussianBackward>, DropoutForward, DropoutBackward,
                   LayerNormForward, NormGradientRows<LayerNormBackward>, BatchMoments,
                   BatchNormForward, NormGradientRows<BatchNormBackward>, NormInputGradientRows>;

  /// Weights that a phase's convolutions want in another order.
  struct Packing {
    DirectedConvolution convolution;
    const float* w = nullptr;
    std::size_t packed = 0;
  };

  /// And those that its dense layers want transposed: oneDNN would do it in every panel.
  struct Transposition {
    ConstMatrix w;
    std::size_t transposed = 0;
  };

  struct Phase {
    std::int64_t rows = 0;
    std::int64_t panel_rows = kAnyPanel;
    std::vector<Packing> packings;
    std::vector<Transposition> transpositions;
    std::vector<RowOperation> row_operations;
    std::vector<DenseBackward> weight_gradients;
    std::vector<ColumnSums> column_sums;
    std::vector<LossSum> loss_sums;
    std::vector<BatchMoments> batch_moments;
    /// What is not of the batch comes last, one after the other; nothing else is added to the phase
    /// then.
    std::vector<std::variant<ae::Transpose, ClipScaleWork, OptimizerStep>> updates;
  };

  /// Rows of a panel, and memory for whoever works on them.
  struct Range {
    std::int64_t begin;
    std::int64_t size;
    std::int64_t panel;
    float* scratch;
  };

  // An operation's panel follows from its own shape alone: whatever is summed over panels is the
  // same in any company. Rows are images where biases repeat along them.
  static std::int64_t panel_of_images(const Convolution& convolution);
  static std::int64_t panel_of_rows(std::int64_t cols, std::int64_t biases);
  Phase& phase_for_rows(std::int64_t rows, std::int64_t panel_rows);
  Phase& new_phase(std::int64_t rows, std::int64_t panel_rows);
  Phase& add_row_operation(const RowOperation& operation, std::int64_t rows,
                           std::int64_t panel_rows = kAnyPanel);
  void need_scratch(std::int64_t floats);
  std::size_t add_packing(Phase& phase, const DirectedConvolution& convolution, const float* w);
  template <typename Operation>
  void add_norm_gradient(const Operation& op);
  template <typename Operation>
  NormGradientTile gradient_tile(const NormGradientRows<Operation>& work, Range rows);
  template <typename Operation>
  void add_code_gradient(const Operation& op, std::int64_t rows, std::int64_t statistics,
                         std::int64_t row_sums, std::int64_t cols, double* sum);
  Phase& last_phase();
  std::size_t add_column_sums(Phase& phase, std::int64_t rows, std::int64_t cols, float* sums);

  static void run(const GatherBatch& op, const VectorKernels& kernels, Range rows);
  static void run(const GatherRows& op, const VectorKernels& kernels, Range rows);
  static void run(const DenseForward& op, const VectorKernels& kernels, Range rows);
  static void run(const RowLosses& op, const VectorKernels& kernels, Range rows);
  static void run(const CorruptBatch& op, const VectorKernels& kernels, Range rows);
  static void run(const KeepLargest& op, const VectorKernels& kernels, Range rows);
  static void run(const GaussianSample& op, const VectorKernels& kernels, Range rows);
  static void run(const DropoutForward& op, const VectorKernels& kernels, Range rows);
  static void run(const DropoutBackward& op, const VectorKernels& kernels, Range rows);
  static void run(const LayerNormForward& op, const VectorKernels& kernels, Range rows);
  static void run(const BatchNormForward& op, const VectorKernels& kernels, Range rows);
  static void run(const NormInputGradientRows& work, const VectorKernels& kernels, Range rows);
  void run(const NormGradientRows<LayerNormBackward>& work, const VectorKernels& kernels,
           Range rows);
  void run(const NormGradientRows<BatchNormBackward>& work, const VectorKernels& kernels,
           Range rows);
  void run(const BatchMoments& work, const VectorKernels& kernels, Range rows);
  void run(const StatisticRows<SparsityBackward>& work, const VectorKernels& kernels, Range rows);
  void run(const StatisticRows<GaussianBackward>& work, const VectorKernels& kernels, Range rows);
  void run(const CodeGradientRows<SparsityBackward>& work, const VectorKernels& kernels,
           Range rows);
  void run(const CodeGradientRows<GaussianBackward>& work, const VectorKernels& kernels,
           Range rows);
  static void run(const MaxPoolForward& op, const VectorKernels& kernels, Range rows);
  static void run(const MaxPoolBackward& op, const VectorKernels& kernels, Range rows);
  static void run(const UpsampleForward& op, const VectorKernels& kernels, Range rows);
  static void run(const UpsampleBackward& op, const VectorKernels& kernels, Range rows);
  void run(const ConvolutionRows& work, const VectorKernels& kernels, Range rows);
  void run(const ConvolutionGradientRows& work, const VectorKernels& kernels, Range rows);
  void run(const ActivationGradientRows& work, const VectorKernels& kernels, Range rows);
  void run(const LossRows& work, const VectorKernels& kernels, Range rows);
  void run(const InputGradientRows& work, const VectorKernels& kernels, Range rows);

  void run_packings(const Phase& phase, ThreadPool& pool, const VectorKernels& kernels);
  void run_row_operations(const Phase& phase, ThreadPool& pool, const VectorKernels& kernels);
  void run_sums_over_rows(const Phase& phase, ThreadPool& pool, const VectorKernels& kernels);
  void join_moments(const BatchMoments& work) const;
  static void run(const ae::Transpose& op, ThreadPool& pool, const VectorKernels& kernels);
  void run(const ClipScaleWork& work, ThreadPool& pool, const VectorKernels& kernels);
  static void run(const OptimizerStep& op, ThreadPool& pool, const VectorKernels& kernels);

  std::vector<Phase> phases_;
  std::size_t used_phases_ = 0;  ///< the others wait, empty, with their memory
  std::vector<float> partials_;
  std::vector<double> row_sums_;  ///< and other partial sums in double
  AlignedFloats packed_;
  AlignedFloats scratch_;          ///< of a thread after the other
  std::int64_t scratch_size_ = 0;  ///< of each
};

}  // namespace ae::cpu
