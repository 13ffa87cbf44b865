#include "backend/timing_backend.hpp"

#include <chrono>
#include <utility>

#include "backend/called_step.hpp"

namespace ae {

namespace {

constexpr int kRepeats = 50;

class TimingBackend final : public Backend {
 public:
  TimingBackend(Backend& timed, std::function<void(const TimedOperation&)> on_operation)
      : timed_(timed), on_operation_(std::move(on_operation)) {}

  [[nodiscard]] std::string name() const override { return timed_.name(); }
  [[nodiscard]] void* allocate(std::size_t bytes) override { return timed_.allocate(bytes); }
  void deallocate(void* memory) noexcept override { timed_.deallocate(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    timed_.upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    timed_.download(to, from, bytes);
  }
  void clear(void* memory, std::size_t bytes) override { timed_.clear(memory, bytes); }
  [[nodiscard]] double peek(const double* value) const override { return timed_.peek(value); }
  void synchronize() override { timed_.synchronize(); }
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    return timed_.make_resident(data);
  }

  void gather_batch(const GatherBatch& op) override {
    time({.stage = "gather", .rows = op.x.rows}, [&] { timed_.gather_batch(op); });
  }
  void gather_rows(const GatherRows& op) override {
    time({.stage = "gather", .rows = op.x.rows}, [&] { timed_.gather_rows(op); });
  }
  void transpose(const Transpose& op) override {
    time({.layer = op.layer, .stage = "transpose"}, [&] { timed_.transpose(op); });
  }
  void dense_forward(const DenseForward& op) override {
    time({.layer = op.layer,
          .stage = "forward",
          .rows = op.x.rows,
          .flop = product_flop(op.x.rows, op.w)},
         [&] { timed_.dense_forward(op); });
  }
  void dense_backward(const DenseBackward& op) override {
    const int products = op.dx.data != nullptr ? 2 : 1;
    time({.layer = op.layer,
          .stage = "backward",
          .rows = op.x.rows,
          .flop = products * product_flop(op.x.rows, op.w)},
         [&] { timed_.dense_backward(op); });
  }
  void convolution_forward(const ConvolutionForward& op) override {
    time({.layer = op.layer,
          .stage = "forward",
          .rows = op.x.rows,
          .flop = product_flop(op.x.rows, op.convolution)},
         [&] { timed_.convolution_forward(op); });
  }
  void convolution_backward(const ConvolutionBackward& op) override {
    const int products = op.dx.data != nullptr ? 2 : 1;
    time({.layer = op.layer,
          .stage = "backward",
          .rows = op.x.rows,
          .flop = products * product_flop(op.x.rows, op.convolution)},
         [&] { timed_.convolution_backward(op); });
  }
  void max_pool_forward(const MaxPoolForward& op) override {
    time({.layer = op.layer, .stage = "forward", .rows = op.x.rows},
         [&] { timed_.max_pool_forward(op); });
  }
  void max_pool_backward(const MaxPoolBackward& op) override {
    time({.layer = op.layer, .stage = "backward", .rows = op.x.rows},
         [&] { timed_.max_pool_backward(op); });
  }
  void upsample_forward(const UpsampleForward& op) override {
    time({.layer = op.layer, .stage = "forward", .rows = op.x.rows},
         [&] { timed_.upsample_forward(op); });
  }
  void upsample_backward(const UpsampleBackward& op) override {
    time({.layer = op.layer, .stage = "backward", .rows = op.dx.rows},
         [&] { timed_.upsample_backward(op); });
  }
  void activation_backward(const ActivationBackward& op) override {
    time({.layer = op.layer, .stage = "backward", .rows = op.y.rows},
         [&] { timed_.activation_backward(op); });
  }
  void reconstruction_loss(const ReconstructionLoss& op) override {
    time({.stage = "loss", .rows = op.z.rows}, [&] { timed_.reconstruction_loss(op); });
  }
  void row_losses(const RowLosses& op) override {
    time({.stage = "loss", .rows = op.z.rows}, [&] { timed_.row_losses(op); });
  }
  void corrupt_batch(const CorruptBatch& op) override {
    time({.stage = "noise", .rows = op.clean.rows}, [&] { timed_.corrupt_batch(op); });
  }
  void keep_largest(const KeepLargest& op) override {
    time({.stage = "keep largest", .rows = op.y.rows}, [&] { timed_.keep_largest(op); });
  }
  void dropout_forward(const DropoutForward& op) override {
    time({.layer = op.layer, .stage = "dropout", .rows = op.x.rows},
         [&] { timed_.dropout_forward(op); });
  }
  void dropout_backward(const DropoutBackward& op) override {
    time({.layer = op.layer, .stage = "dropout backward", .rows = op.dy.rows},
         [&] { timed_.dropout_backward(op); });
  }
  void layer_norm_forward(const LayerNormForward& op) override {
    time({.layer = op.layer, .stage = "layer norm", .rows = op.x.rows},
         [&] { timed_.layer_norm_forward(op); });
  }
  void layer_norm_backward(const LayerNormBackward& op) override {
    time({.layer = op.layer, .stage = "layer norm backward", .rows = op.x.rows},
         [&] { timed_.layer_norm_backward(op); });
  }
  void batch_norm_forward(const BatchNormForward& op) override {
    time({.layer = op.layer, .stage = "batch norm", .rows = op.x.rows},
         [&] { timed_.batch_norm_forward(op); });
  }
  void batch_norm_backward(const BatchNormBackward& op) override {
    time({.layer = op.layer, .stage = "batch norm backward", .rows = op.x.rows},
         [&] { timed_.batch_norm_backward(op); });
  }
  void sparsity_backward(const SparsityBackward& op) override {
    time({.layer = op.layer, .stage = "sparsity", .rows = op.y.rows},
         [&] { timed_.sparsity_backward(op); });
  }
  void gaussian_sample(const GaussianSample& op) override {
    time({.stage = "sample", .rows = op.h.rows}, [&] { timed_.gaussian_sample(op); });
  }
  void gaussian_backward(const GaussianBackward& op) override {
    time({.layer = op.layer, .stage = "sample backward", .rows = op.h.rows},
         [&] { timed_.gaussian_backward(op); });
  }
  void clip_scale(const ClipScale& op) override {
    time({.stage = "clip"}, [&] { timed_.clip_scale(op); });
  }
  void optimizer_step(const OptimizerStep& op) override {
    time({.stage = "update"}, [&] { timed_.optimizer_step(op); });
  }

  [[nodiscard]] std::size_t reserve_bytes(std::int64_t rows, std::int64_t units,
                                          Activation activation) const override {
    return timed_.reserve_bytes(rows, units, activation);
  }
  [[nodiscard]] bool is_asynchronous() const override { return timed_.is_asynchronous(); }

  [[nodiscard]] std::unique_ptr<RecordedStep> record(std::function<void()> step) override {
    return std::make_unique<CalledStep>(std::move(step));
  }

 private:
  static double product_flop(std::int64_t rows, const ConstMatrix& w) {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(w.size());
  }

  /// As if no tap fell outside the image.
  static double product_flop(std::int64_t rows, const Convolution& convolution) {
    return 2.0 * static_cast<double>(rows) *
           static_cast<double>(convolution.map.height * convolution.map.width) *
           static_cast<double>(convolution.weights());
  }

  static double seconds_of(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  void time(TimedOperation timed, const std::function<void()>& operation) {
    if (timed_.is_asynchronous()) {
      const std::unique_ptr<RecordedStep> repeated = timed_.record([&] {
        for (int i = 0; i < kRepeats; ++i) operation();
      });
      repeated->replay();
      timed_.synchronize();
      timed.seconds = seconds_of([&] {
                        repeated->replay();
                        timed_.synchronize();
                      }) /
                      kRepeats;
    } else {
      timed.seconds = seconds_of(operation);
    }
    on_operation_(timed);
  }

  Backend& timed_;
  std::function<void(const TimedOperation&)> on_operation_;
};

}  // namespace

std::unique_ptr<Backend> make_timing_backend(
    Backend& timed, std::function<void(const TimedOperation&)> on_operation) {
  return std::make_unique<TimingBackend>(timed, std::move(on_operation));
}

}  // namespace ae
