#include "backend/check_backend.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "backend/called_step.hpp"
#include "optimizers.hpp"

namespace ae {

namespace {

class PairedData final : public ResidentData {
 public:
  PairedData(std::unique_ptr<ResidentData> judged, std::unique_ptr<ResidentData> reference)
      : judged_(std::move(judged)), reference_(std::move(reference)) {}
  [[nodiscard]] std::int64_t rows() const override { return reference_->rows(); }
  [[nodiscard]] std::int64_t row_size() const override { return reference_->row_size(); }
  [[nodiscard]] ResidentData* judged() const { return judged_.get(); }
  [[nodiscard]] ResidentData* reference() const { return reference_.get(); }

 private:
  std::unique_ptr<ResidentData> judged_;
  std::unique_ptr<ResidentData> reference_;
};

/// Blocks that lie in both backends, known by their addresses in the reference.
class PairedMemory {
 public:
  void* allocate(Backend& judged, Backend& reference, std::size_t bytes) {
    // An empty block needs an address of its own, too.
    const auto size = static_cast<std::int64_t>(std::max(bytes, std::size_t{1}));
    Block block{DeviceArray<std::byte>(judged, size), DeviceArray<std::byte>(reference, size)};
    std::byte* begin = block.reference.data();
    blocks_.emplace(begin, std::move(block));
    return begin;
  }

  void deallocate(const void* memory) noexcept {
    blocks_.erase(static_cast<const std::byte*>(memory));
  }

  /// Where the judged backend has what the reference has at `memory`, anywhere within a block.
  [[nodiscard]] void* judged(const void* memory, std::size_t bytes) const {
    const auto* address = static_cast<const std::byte*>(memory);
    const auto after = blocks_.upper_bound(address);
    if (after != blocks_.begin()) {
      const auto& [begin, block] = *std::prev(after);
      const auto offset = static_cast<std::size_t>(address - begin);
      const auto size = static_cast<std::size_t>(block.judged.size());
      if (offset <= size && bytes <= size - offset) return block.judged.data() + offset;
    }
    throw Error(
        fmt::format("{} bytes at {} are not within one block of allocated memory, give operations "
                    "memory from allocate() that was not freed",
                    bytes, memory));
  }

 private:
  struct Block {
    DeviceArray<std::byte> judged;
    DeviceArray<std::byte> reference;
  };

  std::map<const std::byte*, Block> blocks_;
};

class CheckBackend final : public Backend {
 public:
  CheckBackend(std::unique_ptr<Backend> judged, std::unique_ptr<Backend> reference,
               std::function<void(std::span<const CheckedOutput>)> on_end)
      : judged_(std::move(judged)), reference_(std::move(reference)), on_end_(std::move(on_end)) {}
  ~CheckBackend() override {
    if (!on_end_) return;
    try {
      on_end_(outputs_.worst_first());
    } catch (...) {  // NOLINT(bugprone-empty-catch): a destructor has nobody to tell
    }
  }
  CheckBackend(const CheckBackend&) = delete;
  CheckBackend& operator=(const CheckBackend&) = delete;

  [[nodiscard]] std::string name() const override { return "check"; }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    return memory_.allocate(*judged_, *reference_, bytes);
  }
  void deallocate(void* memory) noexcept override { memory_.deallocate(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    judged_->upload(memory_.judged(to, bytes), from, bytes);
    reference_->upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    judged_->download(to, memory_.judged(from, bytes), bytes);
  }
  void clear(void* memory, std::size_t bytes) override {
    judged_->clear(memory_.judged(memory, bytes), bytes);
    reference_->clear(memory, bytes);
  }
  [[nodiscard]] double peek(const double* value) const override { return reference_->peek(value); }
  void synchronize() override {
    judged_->synchronize();
    reference_->synchronize();
  }
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    return std::make_unique<PairedData>(judged_->make_resident(data),
                                        reference_->make_resident(data));
  }

  void gather_batch(const GatherBatch& op) override {
    const auto& data = static_cast<const PairedData&>(*op.data);
    GatherBatch judged = op;
    judged.data = data.judged();
    judged.permutation = in_judged(op.permutation, data.rows());
    judged.step = in_judged(op.step, 1);
    judged.x = in_judged(op.x);
    GatherBatch reference = op;
    reference.data = data.reference();
    judged_->gather_batch(judged);
    reference_->gather_batch(reference);
    compare("gather batch", op.x);
  }
  void gather_rows(const GatherRows& op) override {
    const auto& data = static_cast<const PairedData&>(*op.data);
    GatherRows judged = op;
    judged.data = data.judged();
    judged.x = in_judged(op.x);
    GatherRows reference = op;
    reference.data = data.reference();
    judged_->gather_rows(judged);
    reference_->gather_rows(reference);
    compare("gather rows", op.x);
  }
  void transpose(const Transpose& op) override {
    Transpose judged = op;
    judged.from = in_judged(op.from);
    judged.to = in_judged(op.to);
    judged_->transpose(judged);
    reference_->transpose(op);
    compare(of_layer(op.layer, op.add ? "transposed sum" : "transposed"), op.to);
  }
  void dense_forward(const DenseForward& op) override {
    DenseForward judged = op;
    judged.x = in_judged(op.x);
    judged.w = in_judged(op.w);
    judged.bias = in_judged(op.bias, op.w.cols);
    judged.y = in_judged(op.y);
    judged.reserve = in_judged(static_cast<std::byte*>(op.reserve),
                               reserved(op.y.rows, op.y.cols, op.activation));
    judged_->dense_forward(judged);
    reference_->dense_forward(op);
    compare(of_layer(op.layer, "forward"), op.y);
  }
  void dense_backward(const DenseBackward& op) override {
    DenseBackward judged = op;
    judged.x = in_judged(op.x);
    judged.w = in_judged(op.w);
    judged.dz = in_judged(op.dz);
    judged.dw = in_judged(op.dw);
    judged.dx = in_judged(op.dx);
    judged.dbias_below = in_judged(op.dbias_below, op.w.rows);
    judged.reserve_below = in_judged(static_cast<const std::byte*>(op.reserve_below),
                                     reserved(op.x.rows, op.x.cols, op.activation_below));
    judged_->dense_backward(judged);
    reference_->dense_backward(op);
    compare(of_layer(op.layer, "backward dw"), op.dw);
    compare(of_layer(op.layer, "backward dx"), op.dx);
    compare(of_layer(op.layer, "backward dbias below"), {op.dbias_below, 1, op.w.rows});
  }
  void convolution_forward(const ConvolutionForward& op) override {
    ConvolutionForward judged = op;
    judged.x = in_judged(op.x);
    judged.w = in_judged(op.w, op.convolution.weights());
    judged.bias = in_judged(op.bias, op.convolution.output().channels);
    judged.y = in_judged(op.y);
    judged.reserve = in_judged(static_cast<std::byte*>(op.reserve),
                               reserved(op.y.rows, op.y.cols, op.activation));
    judged_->convolution_forward(judged);
    reference_->convolution_forward(op);
    compare(of_layer(op.layer, "forward"), op.y);
  }
  void convolution_backward(const ConvolutionBackward& op) override {
    ConvolutionBackward judged = op;
    judged.x = in_judged(op.x);
    judged.w = in_judged(op.w, op.convolution.weights());
    judged.dz = in_judged(op.dz);
    judged.dw = in_judged(op.dw, op.convolution.weights());
    judged.dx = in_judged(op.dx);
    judged_->convolution_backward(judged);
    reference_->convolution_backward(op);
    compare(of_layer(op.layer, "backward dw"), {op.dw, 1, op.convolution.weights()});
    compare(of_layer(op.layer, "backward dx"), op.dx);
  }
  void max_pool_forward(const MaxPoolForward& op) override {
    MaxPoolForward judged = op;
    judged.x = in_judged(op.x);
    judged.y = in_judged(op.y);
    judged_->max_pool_forward(judged);
    reference_->max_pool_forward(op);
    compare(of_layer(op.layer, "forward"), op.y);
  }
  void max_pool_backward(const MaxPoolBackward& op) override {
    MaxPoolBackward judged = op;
    judged.x = in_judged(op.x);
    judged.dy = in_judged(op.dy);
    judged.dx = in_judged(op.dx);
    judged_->max_pool_backward(judged);
    reference_->max_pool_backward(op);
    compare(of_layer(op.layer, "backward dx"), op.dx);
  }
  void upsample_forward(const UpsampleForward& op) override {
    UpsampleForward judged = op;
    judged.x = in_judged(op.x);
    judged.y = in_judged(op.y);
    judged_->upsample_forward(judged);
    reference_->upsample_forward(op);
    compare(of_layer(op.layer, "forward"), op.y);
  }
  void upsample_backward(const UpsampleBackward& op) override {
    UpsampleBackward judged = op;
    judged.dy = in_judged(op.dy);
    judged.dx = in_judged(op.dx);
    judged_->upsample_backward(judged);
    reference_->upsample_backward(op);
    compare(of_layer(op.layer, "backward dx"), op.dx);
  }
  void activation_backward(const ActivationBackward& op) override {
    ActivationBackward judged = op;
    judged.y = in_judged(op.y);
    judged.reserve = in_judged(static_cast<const std::byte*>(op.reserve),
                               reserved(op.y.rows, op.y.cols, op.activation));
    judged.dy = in_judged(op.dy);
    judged.dbias = in_judged(op.dbias, op.channels);
    judged_->activation_backward(judged);
    reference_->activation_backward(op);
    compare(of_layer(op.layer, "activation dz"), op.dy);
    compare(of_layer(op.layer, "activation dbias"), {op.dbias, 1, op.channels});
  }
  void reconstruction_loss(const ReconstructionLoss& op) override {
    const std::int64_t biases = op.channels == 0 ? op.z.cols : op.channels;
    ReconstructionLoss judged = op;
    judged.z = in_judged(op.z);
    judged.bias = in_judged(op.bias, biases);
    judged.target = in_judged(op.target);
    judged.dz = in_judged(op.dz);
    judged.dbias = in_judged(op.dbias, biases);
    judged.loss_sum = in_judged(op.loss_sum, 1);
    judged_->reconstruction_loss(judged);
    reference_->reconstruction_loss(op);
    compare("loss dz", op.dz);
    compare("loss dbias", {op.dbias, 1, biases});
    compare("loss sum", op.loss_sum, 1, 1);
  }
  void row_losses(const RowLosses& op) override {
    RowLosses judged = op;
    judged.z = in_judged(op.z);
    judged.bias = in_judged(op.bias, op.channels == 0 ? op.z.cols : op.channels);
    judged.target = in_judged(op.target);
    judged.sums = in_judged(op.sums, op.z.rows);
    judged_->row_losses(judged);
    reference_->row_losses(op);
    compare("row losses", op.sums, op.z.rows, 1);
  }
  void corrupt_batch(const CorruptBatch& op) override {
    CorruptBatch judged = op;
    judged.step = in_judged(op.step, 1);
    judged.clean = in_judged(op.clean);
    judged.noisy = in_judged(op.noisy);
    judged_->corrupt_batch(judged);
    reference_->corrupt_batch(op);
    compare("noise", op.noisy);
  }
  void keep_largest(const KeepLargest& op) override {
    KeepLargest judged = op;
    judged.y = in_judged(op.y);
    judged_->keep_largest(judged);
    reference_->keep_largest(op);
    compare("keep largest", op.y);
  }
  void dropout_forward(const DropoutForward& op) override {
    DropoutForward judged = op;
    judged.mask.step = in_judged(op.mask.step, 1);
    judged.x = in_judged(op.x);
    judged.y = in_judged(op.y);
    judged_->dropout_forward(judged);
    reference_->dropout_forward(op);
    compare(of_layer(op.layer, "dropout"), op.y);
  }
  void dropout_backward(const DropoutBackward& op) override {
    DropoutBackward judged = op;
    judged.mask.step = in_judged(op.mask.step, 1);
    judged.dy = in_judged(op.dy);
    judged.dx = in_judged(op.dx);
    judged_->dropout_backward(judged);
    reference_->dropout_backward(op);
    compare(of_layer(op.layer, "dropout dx"), op.dx);
  }
  void layer_norm_forward(const LayerNormForward& op) override {
    LayerNormForward judged = op;
    judged.x = in_judged(op.x);
    judged.gamma = in_judged(op.gamma, op.channels);
    judged.beta = in_judged(op.beta, op.channels);
    judged.y = in_judged(op.y);
    judged.statistics = in_judged(op.statistics, 2 * normalized_groups(op));
    judged_->layer_norm_forward(judged);
    reference_->layer_norm_forward(op);
    compare(of_layer(op.layer, "norm statistics"), {op.statistics, normalized_groups(op), 2});
    compare(of_layer(op.layer, "norm y"), op.y);
  }
  void layer_norm_backward(const LayerNormBackward& op) override {
    LayerNormBackward judged = op;
    judged.x = in_judged(op.x);
    judged.gamma = in_judged(op.gamma, op.channels);
    judged.beta = in_judged(op.beta, op.channels);
    judged.y = in_judged(op.y);
    judged.statistics = in_judged(op.statistics, 2 * normalized_groups(op));
    judged.dy = in_judged(op.dy);
    judged.dgamma = in_judged(op.dgamma, op.channels);
    judged.dbeta = in_judged(op.dbeta, op.channels);
    judged.dx = in_judged(op.dx);
    judged_->layer_norm_backward(judged);
    reference_->layer_norm_backward(op);
    compare(of_layer(op.layer, "norm dz"), op.dy);
    compare(of_layer(op.layer, "norm dgamma"), {op.dgamma, 1, op.channels});
    compare(of_layer(op.layer, "norm dbeta"), {op.dbeta, 1, op.channels});
    compare(of_layer(op.layer, "norm dx"), op.dx);
  }
  void batch_norm_forward(const BatchNormForward& op) override {
    BatchNormForward judged = op;
    judged.x = in_judged(op.x);
    judged.gamma = in_judged(op.gamma, op.channels);
    judged.beta = in_judged(op.beta, op.channels);
    judged.y = in_judged(op.y);
    judged.running = in_judged(op.running, 2 * op.channels);
    judged.statistics = in_judged(op.statistics, 2 * op.channels);
    judged_->batch_norm_forward(judged);
    reference_->batch_norm_forward(op);
    compare(of_layer(op.layer, "norm running"), {op.running, 2, op.channels});
    compare(of_layer(op.layer, "norm statistics"), {op.statistics, 2, op.channels});
    compare(of_layer(op.layer, "norm y"), op.y);
  }
  void batch_norm_backward(const BatchNormBackward& op) override {
    BatchNormBackward judged = op;
    judged.x = in_judged(op.x);
    judged.gamma = in_judged(op.gamma, op.channels);
    judged.beta = in_judged(op.beta, op.channels);
    judged.y = in_judged(op.y);
    judged.statistics = in_judged(op.statistics, 2 * op.channels);
    judged.dy = in_judged(op.dy);
    judged.dgamma = in_judged(op.dgamma, op.channels);
    judged.dbeta = in_judged(op.dbeta, op.channels);
    judged.dx = in_judged(op.dx);
    judged_->batch_norm_backward(judged);
    reference_->batch_norm_backward(op);
    compare(of_layer(op.layer, "norm dz"), op.dy);
    compare(of_layer(op.layer, "norm dgamma"), {op.dgamma, 1, op.channels});
    compare(of_layer(op.layer, "norm dbeta"), {op.dbeta, 1, op.channels});
    compare(of_layer(op.layer, "norm dx"), op.dx);
  }
  void sparsity_backward(const SparsityBackward& op) override {
    SparsityBackward judged = op;
    judged.y = in_judged(op.y);
    judged.reserve = in_judged(static_cast<const std::byte*>(op.reserve),
                               reserved(op.y.rows, op.y.cols, op.activation));
    judged.dy = in_judged(op.dy);
    judged.dbias = in_judged(op.dbias, op.y.cols);
    judged.penalty_sum = in_judged(op.penalty_sum, 1);
    judged_->sparsity_backward(judged);
    reference_->sparsity_backward(op);
    compare(of_layer(op.layer, "sparsity dz"), op.dy);
    compare(of_layer(op.layer, "sparsity dbias"), {op.dbias, 1, op.y.cols});
    compare(of_layer(op.layer, "sparsity penalty"), op.penalty_sum, 1, 1);
  }
  void gaussian_sample(const GaussianSample& op) override {
    GaussianSample judged = op;
    judged.h = in_judged(op.h);
    judged.step = in_judged(op.step, 1);
    judged.z = in_judged(op.z);
    judged.kl = in_judged(op.kl, op.z.rows);
    judged_->gaussian_sample(judged);
    reference_->gaussian_sample(op);
    compare("sample", op.z);
    compare("sample kl", op.kl, op.z.rows, 1);
  }
  void gaussian_backward(const GaussianBackward& op) override {
    GaussianBackward judged = op;
    judged.h = in_judged(op.h);
    judged.dz = in_judged(op.dz);
    judged.step = in_judged(op.step, 1);
    judged.dh = in_judged(op.dh);
    judged.dbias = in_judged(op.dbias, op.dh.cols);
    judged.kl_sum = in_judged(op.kl_sum, 1);
    judged_->gaussian_backward(judged);
    reference_->gaussian_backward(op);
    compare(of_layer(op.layer, "sample dh"), op.dh);
    compare(of_layer(op.layer, "sample dbias"), {op.dbias, 1, op.dh.cols});
    compare(of_layer(op.layer, "sample kl sum"), op.kl_sum, 1, 1);
  }
  void clip_scale(const ClipScale& op) override {
    ClipScale judged = op;
    judged.gradients = in_judged(op.gradients, op.count);
    judged.scale = in_judged(op.scale, 1);
    judged_->clip_scale(judged);
    reference_->clip_scale(op);
    compare("clip scale", op.scale, 1, 1);
  }
  void optimizer_step(const OptimizerStep& op) override {
    const int states = optimizer_states(op.options.kind);
    OptimizerStep judged = op;
    judged.parameters = in_judged(op.parameters, op.count);
    judged.gradients = in_judged(op.gradients, op.count);
    judged.first = states > 0 ? in_judged(op.first, op.count) : nullptr;
    judged.second = states > 1 ? in_judged(op.second, op.count) : nullptr;
    judged.step = in_judged(op.step, 1);
    judged.learning_rates = in_judged(op.learning_rates, op.steps_per_epoch);
    judged.gradient_scale = in_judged(op.gradient_scale, 1);
    judged.average = in_judged(op.average, op.count);
    judged_->optimizer_step(judged);
    reference_->optimizer_step(op);
    compare("update parameters", {op.parameters, 1, op.count});
    if (states > 0) compare("update first state", {op.first, 1, op.count});
    if (states > 1) compare("update second state", {op.second, 1, op.count});
    compare("update average", op.average, 1, op.count);
    compare("update step", op.step, 1, 1);
  }

  [[nodiscard]] std::unique_ptr<RecordedStep> record(std::function<void()> step) override {
    return std::make_unique<CalledStep>(std::move(step));
  }

 private:
  static std::string of_layer(std::string_view layer, std::string_view output) {
    return layer.empty() ? std::string(output) : fmt::format("{} {}", layer, output);
  }

  // What every backend reserves, and so both. A judged backend that would like more does without.
  [[nodiscard]] std::int64_t reserved(std::int64_t rows, std::int64_t units,
                                      Activation activation) const {
    return static_cast<std::int64_t>(reserve_bytes(rows, units, activation));
  }

  // The judged backend's own addresses of what operations work on; null stays null.
  template <typename T>
  [[nodiscard]] T* in_judged(T* data, std::int64_t count) const {
    if (data == nullptr) return nullptr;
    return static_cast<T*>(memory_.judged(data, static_cast<std::size_t>(count) * sizeof(T)));
  }
  [[nodiscard]] Matrix in_judged(const Matrix& matrix) const {
    return {in_judged(matrix.data, matrix.size()), matrix.rows, matrix.cols};
  }
  [[nodiscard]] ConstMatrix in_judged(const ConstMatrix& matrix) const {
    return {in_judged(matrix.data, matrix.size()), matrix.rows, matrix.cols};
  }

  /// Compares an output, if there is one, and has the judged backend go on from the reference's.
  template <typename T>
  void compare(std::string_view output, T* data, std::int64_t rows, std::int64_t cols) {
    if (data == nullptr) return;
    std::vector<T> judged(static_cast<std::size_t>(rows * cols));
    std::vector<T> reference(judged.size());
    const std::size_t bytes = judged.size() * sizeof(T);
    T* data_in_judged = in_judged(data, rows * cols);
    judged_->download(judged.data(), data_in_judged, bytes);
    reference_->download(reference.data(), data, bytes);
    outputs_.compare<T>(output, cols, judged, reference);
    judged_->upload(data_in_judged, reference.data(), bytes);
  }
  void compare(std::string_view output, const Matrix& matrix) {
    compare(output, matrix.data, matrix.rows, matrix.cols);
  }

  std::unique_ptr<Backend> judged_;
  std::unique_ptr<Backend> reference_;
  std::function<void(std::span<const CheckedOutput>)> on_end_;
  PairedMemory memory_;
  CheckedOutputs outputs_;
};

}  // namespace

std::unique_ptr<Backend> make_check_backend(
    std::unique_ptr<Backend> judged, std::unique_ptr<Backend> reference,
    std::function<void(std::span<const CheckedOutput>)> on_end) {
  return std::make_unique<CheckBackend>(std::move(judged), std::move(reference), std::move(on_end));
}

}  // namespace ae
