#include "backend/kernel/kernel_backend.hpp"

#include <functional>

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

/// The part of a backward pass that both normalisations have in common.
template <typename Backward>
NormGradientArguments gradient_arguments(const Backward& op, bool of_channels) {
  return {.activation = op.activation,
          .of_channels = of_channels,
          .x = op.x.data,
          .gamma = op.gamma,
          .beta = op.beta,
          .statistics = op.statistics,
          .y = op.y.data,
          .dy = op.dy.data,
          .dgamma = op.dgamma,
          .dbeta = op.dbeta};
}

template <typename Backward>
InputGradientArguments input_gradient_arguments(const Backward& op) {
  return {.x = op.x.data,
          .gamma = op.gamma,
          .statistics = op.statistics,
          .dz = op.dy.data,
          .dx = op.dx.data};
}

ConvolutionResult result_of(Towards towards) {
  return towards == Towards::map ? ConvolutionResult::maps : ConvolutionResult::images;
}

}  // namespace

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

void KernelBackend::transpose(const Transpose& op) {
  if (planning_) return;
  join();
  const Range range(*this, "transpose", op.layer);
  ae::AE_DEVICE_NAMESPACE::transpose(op.from.data, op.from.rows, op.from.cols, op.to.data, op.add,
                                     stream());
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
      op.dbias_below == nullptr ? ColumnSumScratch{} : scratch_for(op.dx.rows, op.dx.cols);
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
  if (op.dbias_below == nullptr) return;
  activation_gradient(op.activation_below, saved_output(op), op.dx.data, op.dx.rows, op.dx.cols,
                      op.dbias_below, scratch, stream());
}

void KernelBackend::convolution_forward(const ConvolutionForward& op) {
  const Convolution& convolution = op.convolution;
  const Towards towards = convolution.transposed ? Towards::image : Towards::map;
  LibraryConvolution* const library =
      library_convolution(convolution, result_of(towards), op.y.rows);
  if (planning_) return;
  join();
  const Range range(*this, "forward", op.layer);
  if (library != nullptr) {
    library->run(op.x.data, op.w, op.y.data);
  } else {
    convolve(convolution, towards, op.x.data, op.w, op.y.data, op.y.rows, stream());
  }
  const std::int64_t channels = convolution.output().channels;
  const std::int64_t cols = columns_of_repeats(op.y.cols, channels);
  if (cols == 0) return;
  bias_activation(op.activation, op.bias, op.y.data, static_cast<float*>(op.reserve),
                  op.y.size() / cols, cols, stream(), channels);
}

void KernelBackend::convolution_backward(const ConvolutionBackward& op) {
  const Convolution& convolution = op.convolution;
  const Towards towards = convolution.transposed ? Towards::map : Towards::image;
  const float* const images = convolution.transposed ? op.dz.data : op.x.data;
  const float* const maps = convolution.transposed ? op.x.data : op.dz.data;
  const std::int64_t batch = op.dz.rows;
  const bool has_dx = op.dx.data != nullptr;
  LibraryConvolution* const to_weights =
      library_convolution(convolution, ConvolutionResult::weights, batch);
  LibraryConvolution* const to_dx =
      has_dx ? library_convolution(convolution, result_of(towards), batch) : nullptr;
  const ColumnSumScratch scratch =
      to_weights != nullptr ? ColumnSumScratch{}
                            : scratch_for(convolution_weights_scratch(convolution, batch));
  if (planning_) return;
  join();
  const Range range(*this, "backward", op.layer);
  if (to_weights != nullptr) {
    to_weights->run(images, maps, op.dw);
  } else {
    convolution_weights(convolution, images, maps, op.dw, batch, scratch, stream());
  }
  if (!has_dx) return;
  if (to_dx != nullptr) {
    to_dx->run(op.dz.data, op.w, op.dx.data);
  } else {
    convolve(convolution, towards, op.dz.data, op.w, op.dx.data, batch, stream());
  }
}

void KernelBackend::max_pool_forward(const MaxPoolForward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "forward", op.layer);
  max_pool(op.input, op.size, op.x.data, op.y.data, op.x.rows, stream());
}

void KernelBackend::max_pool_backward(const MaxPoolBackward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "backward", op.layer);
  max_pool_gradient(op.input, op.size, op.x.data, op.dy.data, op.dx.data, op.x.rows, stream());
}

void KernelBackend::upsample_forward(const UpsampleForward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "forward", op.layer);
  upsample(op.input, op.factor, op.x.data, op.y.data, op.x.rows, stream());
}

void KernelBackend::upsample_backward(const UpsampleBackward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "backward", op.layer);
  upsample_gradient(op.input, op.factor, op.dy.data, op.dx.data, op.dx.rows, stream());
}

void KernelBackend::activation_backward(const ActivationBackward& op) {
  const std::int64_t cols = columns_of_repeats(op.y.cols, op.channels);
  const std::int64_t rows = cols == 0 ? 0 : op.y.size() / cols;
  const ColumnSumScratch scratch = scratch_for(rows, cols);
  if (planning_) return;
  join();
  const Range range(*this, "activation backward", op.layer);
  activation_gradient(op.activation, saved_output(op), op.dy.data, rows, cols, op.dbias, scratch,
                      stream(), op.channels);
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
                                                .channels = op.channels,
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
                                      op.sums, op.z.rows, op.z.cols, stream(), op.channels);
}

void KernelBackend::corrupt_batch(const CorruptBatch& op) {
  if (planning_) return;
  join();
  const Range range(*this, "noise");
  corrupt(op.noise, {op.seed, op.step, op.first_row * op.clean.cols}, op.clean.data, op.noisy.data,
          op.clean.size(), stream());
}

void KernelBackend::keep_largest(const KeepLargest& op) {
  if (planning_) return;
  join();
  const Range range(*this, "keep largest");
  ae::AE_DEVICE_NAMESPACE::keep_largest(op.k, op.y.data, op.y.rows, op.y.cols, stream());
}

void KernelBackend::dropout_forward(const DropoutForward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "dropout", op.layer);
  drop(op.mask.rate, {op.mask.seed, op.mask.step}, op.mask.layer, op.x.data, op.y.data, op.y.size(),
       stream());
}

void KernelBackend::dropout_backward(const DropoutBackward& op) {
  if (planning_) return;
  const Range range(*this, "dropout backward", op.layer);
  drop(op.mask.rate, {op.mask.seed, op.mask.step}, op.mask.layer, op.dy.data, op.dx.data,
       op.dx.size(), stream());
}

void KernelBackend::layer_norm_forward(const LayerNormForward& op) {
  if (planning_) return;
  join();
  const Range range(*this, "layer norm", op.layer);
  layer_norm({.activation = op.activation,
              .x = op.x.data,
              .gamma = op.gamma,
              .beta = op.beta,
              .y = op.y.data,
              .statistics = op.statistics},
             normalized_groups(op), op.channels, stream());
}

void KernelBackend::layer_norm_backward(const LayerNormBackward& op) {
  const std::int64_t groups = normalized_groups(op);
  const ColumnSumScratch scratch = scratch_for(norm_scratch(groups, op.channels));
  if (planning_) return;
  const Range range(*this, "layer norm backward", op.layer);
  norm_gradient(gradient_arguments(op, /*of_channels=*/false), groups, op.channels, scratch,
                stream());
  if (op.dx.data == nullptr) return;
  layer_norm_gradient(input_gradient_arguments(op), groups, op.channels, stream());
}

void KernelBackend::batch_norm_forward(const BatchNormForward& op) {
  const std::int64_t groups = normalized_groups(op);
  const ColumnSumScratch scratch = scratch_for(norm_scratch(groups, op.channels));
  if (planning_) return;
  join();
  const Range range(*this, "batch norm", op.layer);
  if (op.statistics != nullptr) {
    batch_statistics(op.x.data, op.statistics, op.running, groups, op.channels, scratch, stream());
  }
  batch_norm({.activation = op.activation,
              .x = op.x.data,
              .gamma = op.gamma,
              .beta = op.beta,
              .statistics = op.statistics != nullptr ? op.statistics : op.running,
              .y = op.y.data},
             groups, op.channels, stream());
}

void KernelBackend::batch_norm_backward(const BatchNormBackward& op) {
  const std::int64_t groups = normalized_groups(op);
  const ColumnSumScratch scratch = scratch_for(norm_scratch(groups, op.channels));
  if (planning_) return;
  const Range range(*this, "batch norm backward", op.layer);
  norm_gradient(gradient_arguments(op, /*of_channels=*/true), groups, op.channels, scratch,
                stream());
  if (op.dx.data == nullptr) return;
  batch_norm_gradient(input_gradient_arguments(op), op.dgamma, op.dbeta, groups, op.channels,
                      stream());
}

void KernelBackend::sparsity_backward(const SparsityBackward& op) {
  const std::int64_t rows = op.y.rows;
  const std::int64_t units = op.y.cols;
  const ColumnSumScratch scratch = scratch_for(rows, units);
  float* const sums = needs_means(op) ? code_statistics(units) : nullptr;
  if (planning_) return;
  const Range range(*this, "sparsity", op.layer);
  if (sums != nullptr) sum_activations(op.y.data, rows, units, sums, scratch, stream());
  sparsity_gradient({.sparsity = op.sparsity,
                     .kept_largest = op.kept_largest,
                     .activation = op.activation,
                     .y = op.y.data,
                     .saved = saved_output(op),
                     .activation_sums = sums,
                     .dy = op.dy.data,
                     .dbias = op.dbias,
                     .penalty_sum = op.penalty_sum},
                    rows, units, scratch, stream());
}

void KernelBackend::gaussian_sample(const GaussianSample& op) {
  if (planning_) return;
  join();
  const Range range(*this, "sample");
  ae::AE_DEVICE_NAMESPACE::gaussian_sample({.h = op.h.data,
                                            .random = {op.seed, op.step, op.first_row * op.z.cols},
                                            .mean_only = op.mean_only,
                                            .z = op.z.data,
                                            .kl = op.kl},
                                           op.z.rows, op.z.cols, stream());
}

void KernelBackend::gaussian_backward(const GaussianBackward& op) {
  const std::int64_t rows = op.dz.rows;
  const std::int64_t latent = op.dz.cols;
  const ColumnSumScratch scratch = scratch_for(rows, 2 * latent);
  float* const sums = needs_means(op) ? code_statistics(latent) : nullptr;
  if (planning_) return;
  const Range range(*this, "sample backward", op.layer);
  if (sums != nullptr) sum_divergences(op.h.data, rows, latent, sums, scratch, stream());
  gaussian_gradient({.h = op.h.data,
                     .dz = op.dz.data,
                     .random = {op.seed, op.step},
                     .kl_scale = op.kl_scale,
                     .warm_up_steps = op.warm_up_steps,
                     .free_bits = op.free_bits,
                     .divergence_sums = sums,
                     .dh = op.dh.data,
                     .dbias = op.dbias,
                     .kl_sum = op.kl_sum},
                    rows, latent, scratch, stream());
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

ColumnSumScratch KernelBackend::scratch_for(const ColumnSumScratchSizes& sizes) {
  grow(columns_, sizes.columns, /*zeroed=*/false);
  grow(losses_, sizes.losses, /*zeroed=*/false);
  grow(counters_, sizes.counters, /*zeroed=*/true);
  return {columns_.data, losses_.data, counters_.data};
}

unsigned* KernelBackend::update_counter() {
  grow(update_counter_, 1, /*zeroed=*/true);
  return update_counter_.data;
}

float* KernelBackend::code_statistics(std::int64_t cols) {
  grow(code_statistics_, cols, /*zeroed=*/false);
  return code_statistics_.data;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
