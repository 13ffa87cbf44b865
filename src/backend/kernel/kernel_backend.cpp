#include "backend/kernel/kernel_backend.hpp"

#include <functional>

namespace ae::AE_DEVICE_NAMESPACE {

DeviceData::DeviceData(Backend& backend, const Dataset& data)
    : rows_(data.rows()), row_size_(data.row_size()) {
  if (data.is_bytes()) {
    bytes_ = DeviceArray<std::uint8_t>(backend, rows_ * row_size_);
    bytes_.upload(data.bytes());
  } else {
    floats_ = DeviceArray<float>(backend, rows_ * row_size_);
    floats_.upload(data.floats());
  }
}

std::unique_ptr<ResidentData> KernelBackend::make_resident(const Dataset& data) {
  return std::make_unique<DeviceData>(*this, data);
}

void KernelBackend::gather_batch(const GatherBatch& op) {
  if (planning_) return;
  const Range range(*this, "gather");
  gather(static_cast<const DeviceData&>(*op.data).source(),
         {.permutation = op.permutation,
          .step = op.step,
          .steps_per_epoch = op.steps_per_epoch,
          .batch_size = op.batch_size},
         op.x.data, op.x.rows, op.x.cols, stream());
}

void KernelBackend::gather_rows(const GatherRows& op) {
  if (planning_) return;
  const Range range(*this, "gather");
  gather(static_cast<const DeviceData&>(*op.data).source(), {.first_row = op.first_row}, op.x.data,
         op.x.rows, op.x.cols, stream());
}

void KernelBackend::dense_forward(const DenseForward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "forward", op.layer);
  const Product product{.m = op.y.rows,
                        .n = op.y.cols,
                        .k = op.x.cols,
                        .a = op.x.data,
                        .b = op.w.data,
                        .c = op.y.data};
  if (multiply_and_activate(product, op)) return;
  multiply(product);
  bias_activation(op.activation, op.bias, op.y.data, static_cast<float*>(op.reserve), op.y.rows,
                  op.y.cols, stream());
}

void KernelBackend::dense_backward(const DenseBackward& op) {
  const ColumnSumScratch scratch =
      op.dx.data == nullptr ? ColumnSumScratch{} : scratch_for(op.dx.rows, op.dx.cols);
  if (planning_) return;
  const Range range(*this, "backward", op.layer);
  const Product weight_gradient{.transpose_a = true,
                                .m = op.dw.rows,
                                .n = op.dw.cols,
                                .k = op.dz.rows,
                                .a = op.x.data,
                                .b = op.dz.data,
                                .c = op.dw.data};
  if (op.dx.data == nullptr) {
    multiply(weight_gradient);
    return;
  }
  // The two products share an operand and nothing else.
  multiply_beside(weight_gradient);
  const Product input_gradient{.transpose_b = true,
                               .m = op.dx.rows,
                               .n = op.dx.cols,
                               .k = op.dz.cols,
                               .a = op.dz.data,
                               .b = op.w.data,
                               .c = op.dx.data};
  if (multiply_and_differentiate(input_gradient, op)) return;
  multiply(input_gradient);
  activation_gradient(op.activation_below, saved_output(op), op.dx.data, op.dx.rows, op.dx.cols,
                      op.dbias_below, scratch, stream());
}

void KernelBackend::reconstruction_loss(const ReconstructionLoss& op) {
  const ColumnSumScratch scratch = scratch_for(op.z.rows, op.z.cols);
  if (planning_) return;
  join();
  const Range range(*this, "loss");
  ae::AE_DEVICE_NAMESPACE::reconstruction_loss({.loss = op.loss,
                                                .activation = op.activation,
                                                .z = op.z.data,
                                                .bias = op.bias,
                                                .target = op.target.data,
                                                .gradient_scale = op.gradient_scale,
                                                .dz = op.dz.data,
                                                .dbias = op.dbias,
                                                .loss_sum = op.loss_sum},
                                               op.z.rows, op.z.cols, scratch, stream());
}

void KernelBackend::row_losses(const RowLosses& op) {
  if (planning_) return;
  const Range range(*this, "row losses");
  ae::AE_DEVICE_NAMESPACE::row_losses(op.loss, op.activation, op.z.data, op.bias, op.target.data,
                                      op.sums, op.z.rows, op.z.cols, stream());
}

void KernelBackend::clip_scale(const ClipScale& op) {
  unsigned* counter = update_counter();
  grow(losses_, clip_scale_partials(op.count), /*zeroed=*/false);
  if (planning_) return;
  const Range range(*this, "clip");
  join();
  ae::AE_DEVICE_NAMESPACE::clip_scale(op.gradients, op.count, op.max_norm, op.scale, losses_.data,
                                      counter, stream());
}

void KernelBackend::optimizer_step(const OptimizerStep& op) {
  unsigned* counter = update_counter();
  if (planning_) return;
  const Range range(*this, "update");
  join();
  optimizer({.options = op.options,
             .parameters = op.parameters,
             .gradients = op.gradients,
             .first = op.first,
             .second = op.second,
             .step = op.step,
             .learning_rates = op.learning_rates,
             .steps_per_epoch = op.steps_per_epoch,
             .gradient_scale = op.gradient_scale,
             .average = op.average,
             .average_decay = op.average_decay,
             .counter = counter},
            op.count, stream());
}

void KernelBackend::plan(const std::function<void()>& step) {
  planning_ = true;
  try {
    step();
  } catch (...) {
    planning_ = false;
    throw;
  }
  planning_ = false;
}

void KernelBackend::release_scratch() noexcept {
  for (void* memory : owned_) deallocate(memory);
  owned_.clear();
}

template <typename T>
void KernelBackend::grow(Scratch<T>& scratch, std::int64_t size, bool zeroed) {
  if (scratch.size >= size) return;
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
  owned_.push_back(nullptr);
  owned_.back() = zeroed ? allocate(bytes) : allocate_unwritten(bytes);
  scratch = {static_cast<T*>(owned_.back()), size};
}

ColumnSumScratch KernelBackend::scratch_for(std::int64_t rows, std::int64_t cols) {
  const ColumnSumScratchSizes sizes = column_sum_scratch(rows, cols);
  grow(columns_, sizes.columns, /*zeroed=*/false);
  grow(losses_, sizes.losses, /*zeroed=*/false);
  grow(counters_, sizes.counters, /*zeroed=*/true);
  return {columns_.data, losses_.data, counters_.data};
}

unsigned* KernelBackend::update_counter() {
  grow(update_counter_, 1, /*zeroed=*/true);
  return update_counter_.data;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
