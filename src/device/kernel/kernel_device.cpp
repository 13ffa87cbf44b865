#include "device/kernel/kernel_device.hpp"

#include <algorithm>
#include <variant>

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

/// The part of a backward pass that both normalisations have in common.
template <typename Backward>
NormGradientArguments gradient_arguments(const Backward& op, const ConstMatrix& statistics,
                                         bool of_channels) {
  return {.activation = op.activation,
          .of_channels = of_channels,
          .x = op.x.data,
          .gamma = op.gamma.data,
          .beta = op.beta.data,
          .statistics = statistics.data,
          .y = op.y.data,
          .dy = op.dy.data,
          .dgamma = op.dgamma.data,
          .dbeta = op.dbeta.data};
}

template <typename Backward>
InputGradientArguments input_gradient_arguments(const Backward& op, const ConstMatrix& statistics) {
  return {.x = op.x.data,
          .gamma = op.gamma.data,
          .statistics = statistics.data,
          .dz = op.dy.data,
          .dx = op.dx.data};
}

ConvolutionResult result_of(Towards towards) {
  return towards == Towards::map ? ConvolutionResult::maps : ConvolutionResult::images;
}

Towards forward_towards(const Convolution& convolution) {
  return convolution.transposed ? Towards::image : Towards::map;
}
Towards backward_towards(const Convolution& convolution) {
  return convolution.transposed ? Towards::map : Towards::image;
}

// How much scratch memory operations need that sum over the whole batch.
ColumnSumScratchSizes scratch_sizes(const DenseBackward& op) {
  return op.dbias_below.exists() ? column_sum_scratch(op.dx.rows, op.dx.cols)
                                 : ColumnSumScratchSizes{};
}
ColumnSumScratchSizes scratch_sizes(const ActivationBackward& op) {
  const std::int64_t cols = columns_of_repeats(op.y.cols, op.channels);
  return column_sum_scratch(cols == 0 ? 0 : op.y.size() / cols, cols);
}
ColumnSumScratchSizes scratch_sizes(const ReconstructionLoss& op) {
  return column_sum_scratch(op.z.rows, op.z.cols);
}
ColumnSumScratchSizes scratch_sizes(const SparsityBackward& op) {
  return column_sum_scratch(op.y.rows, op.y.cols);
}
ColumnSumScratchSizes scratch_sizes(const GaussianBackward& op) {
  return column_sum_scratch(op.h.rows, op.h.cols);
}
template <typename Normalization>
ColumnSumScratchSizes norm_scratch_sizes(const Normalization& op) {
  return norm_scratch(normalized_groups(op), op.channels);
}
ColumnSumScratchSizes scratch_sizes(const LayerNormBackward& op) {
  return norm_scratch_sizes(op);
}
ColumnSumScratchSizes scratch_sizes(const BatchNormForward& op) {
  return norm_scratch_sizes(op);
}
ColumnSumScratchSizes scratch_sizes(const BatchNormBackward& op) {
  return norm_scratch_sizes(op);
}

}  // namespace

DeviceData::DeviceData(Device& device, const Dataset& data)
    : ResidentData(data.rows(), data.row_size()) {
  if (data.is_bytes()) {
    bytes_ = DeviceArray<std::uint8_t>(device, rows() * row_size());
    bytes_.upload(data.bytes());
  } else {
    floats_ = DeviceArray<float>(device, rows() * row_size());
    floats_.upload(data.floats());
  }
  set_values(bytes_.data(), floats_.data());
}

std::unique_ptr<ResidentData> KernelDevice::make_resident(const Dataset& data) {
  return std::make_unique<DeviceData>(*this, data);
}

void KernelDevice::launch(const GatherBatch& op) {
  gather({op.data->bytes(), op.data->floats()},
         {.permutation = op.permutation.data,
          .step = op.step.data,
          .steps_per_epoch = op.steps_per_epoch,
          .batch_size = op.batch_size},
         op.x.data, op.x.rows, op.x.cols, stream());
}

void KernelDevice::launch(const GatherRows& op) {
  gather({op.data->bytes(), op.data->floats()}, {.first_row = op.first_row}, op.x.data, op.x.rows,
         op.x.cols, stream());
}

void KernelDevice::launch(const Transpose& op) {
  ae::AE_DEVICE_NAMESPACE::transpose(op.from.data, op.from.rows, op.from.cols, op.to.data, op.add,
                                     stream());
}

void KernelDevice::launch(const DenseForward& op) {
  const Product product{.m = op.y.rows,
                        .n = op.y.cols,
                        .k = op.x.cols,
                        .a = op.x.data,
                        .b = op.w.data,
                        .c = op.y.data};
  if (multiply_and_activate(product, op)) return;
  multiply(product);
  bias_activation(op.activation, op.bias.data, op.y.data, op.z.data, op.y.rows, op.y.cols,
                  stream());
}

void KernelDevice::launch(const DenseBackward& op) {
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  const Product weight_gradient{.transpose_a = true,
                                .m = op.dw.rows,
                                .n = op.dw.cols,
                                .k = op.dz.rows,
                                .a = op.x.data,
                                .b = op.dz.data,
                                .c = op.dw.data};
  if (!op.dx.exists()) {
    multiply(weight_gradient);
    return;
  }
  // The two products share an operand and nothing else.
  multiply_beside(weight_gradient);
  const auto note = [&](const auto& tensor, bool is_written) {
    beside_.push_back({reinterpret_cast<const std::byte*>(tensor.data),
                       reinterpret_cast<const std::byte*>(tensor.data + tensor.size()),
                       is_written});
  };
  note(op.x, false);
  note(op.dz, false);
  note(op.dw, true);
  const Product input_gradient{.transpose_b = true,
                               .m = op.dx.rows,
                               .n = op.dx.cols,
                               .k = op.dz.cols,
                               .a = op.dz.data,
                               .b = op.w.data,
                               .c = op.dx.data};
  if (multiply_and_differentiate(input_gradient, op)) return;
  multiply(input_gradient);
  if (!op.dbias_below.exists()) return;
  activation_gradient(op.activation_below, saved_output(op), op.dx.data, op.dx.rows, op.dx.cols,
                      op.dbias_below.data, scratch, stream());
}

void KernelDevice::launch(const ConvolutionForward& op) {
  const Convolution& convolution = op.convolution;
  const Towards towards = forward_towards(convolution);
  LibraryConvolution* const library =
      library_convolution(convolution, result_of(towards), op.y.rows);
  if (library != nullptr) {
    library->run(op.x.data, op.w.data, op.y.data);
  } else {
    convolve(convolution, towards, op.x.data, op.w.data, op.y.data, op.y.rows, stream());
  }
  const std::int64_t channels = convolution.output().channels;
  const std::int64_t cols = columns_of_repeats(op.y.cols, channels);
  if (cols == 0) return;
  bias_activation(op.activation, op.bias.data, op.y.data, op.z.data, op.y.size() / cols, cols,
                  stream(), channels);
}

void KernelDevice::launch(const ConvolutionBackward& op) {
  const Convolution& convolution = op.convolution;
  const Towards towards = backward_towards(convolution);
  const float* const images = convolution.transposed ? op.dz.data : op.x.data;
  const float* const maps = convolution.transposed ? op.x.data : op.dz.data;
  const std::int64_t batch = op.dz.rows;
  const bool has_dx = op.dx.exists();
  LibraryConvolution* const to_weights =
      library_convolution(convolution, ConvolutionResult::weights, batch);
  LibraryConvolution* const to_dx =
      has_dx ? library_convolution(convolution, result_of(towards), batch) : nullptr;
  const ColumnSumScratch scratch =
      to_weights != nullptr ? ColumnSumScratch{}
                            : scratch_for(convolution_weights_scratch(convolution, batch));
  if (to_weights != nullptr) {
    to_weights->run(images, maps, op.dw.data);
  } else {
    convolution_weights(convolution, images, maps, op.dw.data, batch, scratch, stream());
  }
  if (!has_dx) return;
  if (to_dx != nullptr) {
    to_dx->run(op.dz.data, op.w.data, op.dx.data);
  } else {
    convolve(convolution, towards, op.dz.data, op.w.data, op.dx.data, batch, stream());
  }
}

void KernelDevice::launch(const MaxPoolForward& op) {
  max_pool(op.input, op.size, op.x.data, op.y.data, op.x.rows, stream());
}

void KernelDevice::launch(const MaxPoolBackward& op) {
  max_pool_gradient(op.input, op.size, op.x.data, op.dy.data, op.dx.data, op.x.rows, stream());
}

void KernelDevice::launch(const UpsampleForward& op) {
  upsample(op.input, op.factor, op.x.data, op.y.data, op.x.rows, stream());
}

void KernelDevice::launch(const UpsampleBackward& op) {
  upsample_gradient(op.input, op.factor, op.dy.data, op.dx.data, op.dx.rows, stream());
}

void KernelDevice::launch(const ActivationBackward& op) {
  const std::int64_t cols = columns_of_repeats(op.y.cols, op.channels);
  const std::int64_t rows = cols == 0 ? 0 : op.y.size() / cols;
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  activation_gradient(op.activation, saved_output(op), op.dy.data, rows, cols, op.dbias.data,
                      scratch, stream(), op.channels);
}

void KernelDevice::launch(const ReconstructionLoss& op) {
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  ae::AE_DEVICE_NAMESPACE::reconstruction_loss({.loss = op.loss,
                                                .activation = op.activation,
                                                .z = op.z.data,
                                                .bias = op.bias.data,
                                                .channels = op.channels(),
                                                .target = op.target.data,
                                                .gradient_scale = op.gradient_scale,
                                                .dz = op.dz.data,
                                                .dbias = op.dbias.data,
                                                .loss_sum = op.loss_sum.data},
                                               op.z.rows, op.z.cols, scratch, stream());
}

void KernelDevice::launch(const RowLosses& op) {
  ae::AE_DEVICE_NAMESPACE::row_losses(op.loss, op.activation, op.z.data, op.bias.data,
                                      op.target.data, op.sums.data, op.z.rows, op.z.cols, stream(),
                                      op.channels());
}

void KernelDevice::launch(const CorruptBatch& op) {
  corrupt(op.noise, {op.seed, op.step.data, op.first_row * op.clean.cols}, op.clean.data,
          op.noisy.data, op.clean.size(), stream());
}

void KernelDevice::launch(const KeepLargest& op) {
  ae::AE_DEVICE_NAMESPACE::keep_largest(op.k, op.y.data, op.y.rows, op.y.cols, stream());
}

void KernelDevice::launch(const DropoutForward& op) {
  drop(op.mask.rate, {op.mask.seed, op.mask.step.data}, op.mask.layer, op.x.data, op.y.data,
       op.y.size(), stream());
}

void KernelDevice::launch(const DropoutBackward& op) {
  drop(op.mask.rate, {op.mask.seed, op.mask.step.data}, op.mask.layer, op.dy.data, op.dx.data,
       op.dx.size(), stream());
}

void KernelDevice::launch(const LayerNormForward& op) {
  layer_norm({.activation = op.activation,
              .x = op.x.data,
              .gamma = op.gamma.data,
              .beta = op.beta.data,
              .y = op.y.data,
              .statistics = op.mean_rstd.data},
             normalized_groups(op), op.channels, stream());
}

void KernelDevice::launch(const LayerNormBackward& op) {
  const std::int64_t groups = normalized_groups(op);
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  norm_gradient(gradient_arguments(op, op.mean_rstd, /*of_channels=*/false), groups, op.channels,
                scratch, stream());
  if (!op.dx.exists()) return;
  layer_norm_gradient(input_gradient_arguments(op, op.mean_rstd), groups, op.channels, stream());
}

void KernelDevice::launch(const BatchNormForward& op) {
  const std::int64_t groups = normalized_groups(op);
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  if (op.mean_var.exists()) {
    batch_statistics(op.x.data, op.mean_var.data, op.running.data, groups, op.channels, scratch,
                     stream());
  }
  batch_norm({.activation = op.activation,
              .x = op.x.data,
              .gamma = op.gamma.data,
              .beta = op.beta.data,
              .statistics = op.mean_var.exists() ? op.mean_var.data : op.running.data,
              .y = op.y.data},
             groups, op.channels, stream());
}

void KernelDevice::launch(const BatchNormBackward& op) {
  const std::int64_t groups = normalized_groups(op);
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  norm_gradient(gradient_arguments(op, op.mean_var, /*of_channels=*/true), groups, op.channels,
                scratch, stream());
  if (!op.dx.exists()) return;
  batch_norm_gradient(input_gradient_arguments(op, op.mean_var), op.dgamma.data, op.dbeta.data,
                      groups, op.channels, stream());
}

void KernelDevice::launch(const SparsityBackward& op) {
  const std::int64_t rows = op.y.rows;
  const std::int64_t units = op.y.cols;
  const ColumnSumScratchSizes sizes = scratch_sizes(op);
  const ColumnSumScratch scratch = scratch_for(sizes);
  float* const sums = needs_means(op) ? code_statistics(units) : nullptr;
  if (sums != nullptr) sum_activations(op.y.data, rows, units, sums, scratch, stream());
  // Without dbias its sums go to the last row of the scratch, which only folding kernels use.
  float* const unwanted_sums = scratch.columns + (sizes.columns - units);
  sparsity_gradient({.sparsity = op.sparsity,
                     .kept_largest = op.kept_largest,
                     .activation = op.activation,
                     .y = op.y.data,
                     .saved = saved_output(op),
                     .activation_sums = sums,
                     .dy = op.dy.data,
                     .dbias = op.dbias.exists() ? op.dbias.data : unwanted_sums,
                     .penalty_sum = op.penalty_sum.data},
                    rows, units, scratch, stream());
}

void KernelDevice::launch(const GaussianSample& op) {
  ae::AE_DEVICE_NAMESPACE::gaussian_sample(
      {.h = op.h.data,
       .random = {op.seed, op.step.data, op.first_row * op.z.cols},
       .mean_only = op.mean_only,
       .z = op.z.data,
       .kl = op.kl.data},
      op.z.rows, op.z.cols, stream());
}

void KernelDevice::launch(const GaussianBackward& op) {
  const std::int64_t rows = op.dz.rows;
  const std::int64_t latent = op.dz.cols;
  const ColumnSumScratch scratch = scratch_for(scratch_sizes(op));
  float* const sums = needs_means(op) ? code_statistics(latent) : nullptr;
  if (sums != nullptr) sum_divergences(op.h.data, rows, latent, sums, scratch, stream());
  gaussian_gradient({.h = op.h.data,
                     .dz = op.dz.data,
                     .random = {op.seed, op.step.data},
                     .kl_scale = op.kl_scale,
                     .warm_up_steps = op.warm_up_steps,
                     .free_bits = op.free_bits,
                     .divergence_sums = sums,
                     .dh = op.dh.data,
                     .dbias = op.dbias.data,
                     .kl_sum = op.kl_sum.data},
                    rows, latent, scratch, stream());
}

void KernelDevice::launch(const ClipScale& op) {
  unsigned* counter = update_counter();
  grow(losses_, clip_scale_partials(op.gradients.size()), /*zeroed=*/false);
  ae::AE_DEVICE_NAMESPACE::clip_scale(op.gradients.data, op.gradients.size(), op.max_norm,
                                      op.scale.data, losses_.data, counter, stream());
}

void KernelDevice::launch(const OptimizerStep& op) {
  unsigned* counter = update_counter();
  optimizer({.options = op.options,
             .parameters = op.parameters.data,
             .gradients = op.gradients.data,
             .first = op.first.data,
             .second = op.second.data,
             .step = op.step.data,
             .learning_rates = op.learning_rates.data,
             .steps_per_epoch = op.steps_per_epoch,
             .gradient_scale = op.gradient_scale.data,
             .average = op.average.data,
             .average_decay = op.average_decay,
             .counter = counter},
            op.parameters.size(), stream());
}

void KernelDevice::plan(const Step& step) {
  for (const Node& node : step.nodes()) {
    std::visit([&](const auto& op) { plan_op(op); }, node.op);
  }
}

void KernelDevice::plan_op(const ConvolutionForward& op) {
  static_cast<void>(
      library_convolution(op.convolution, result_of(forward_towards(op.convolution)), op.y.rows));
}

void KernelDevice::plan_op(const ConvolutionBackward& op) {
  const std::int64_t batch = op.dz.rows;
  if (library_convolution(op.convolution, ConvolutionResult::weights, batch) == nullptr) {
    static_cast<void>(scratch_for(convolution_weights_scratch(op.convolution, batch)));
  }
  if (!op.dx.exists()) return;
  static_cast<void>(
      library_convolution(op.convolution, result_of(backward_towards(op.convolution)), batch));
}

void KernelDevice::plan_op(const SparsityBackward& op) {
  static_cast<void>(scratch_for(scratch_sizes(op)));
  if (needs_means(op)) static_cast<void>(code_statistics(op.y.cols));
}

void KernelDevice::plan_op(const GaussianBackward& op) {
  static_cast<void>(scratch_for(scratch_sizes(op)));
  if (needs_means(op)) static_cast<void>(code_statistics(op.dz.cols));
}

void KernelDevice::plan_op(const ClipScale& op) {
  static_cast<void>(update_counter());
  grow(losses_, clip_scale_partials(op.gradients.size()), /*zeroed=*/false);
}

void KernelDevice::plan_op(const OptimizerStep& /*op*/) {
  static_cast<void>(update_counter());
}

template <typename Operation>
void KernelDevice::plan_op(const Operation& op) {
  if constexpr (requires { scratch_sizes(op); }) static_cast<void>(scratch_for(scratch_sizes(op)));
}

void KernelDevice::enqueue(const Step& step) {
  try {
    for (const Node& node : step.nodes()) {
      std::visit(
          [&](const auto& op) {
            join_for(op);
            const Range range(*this, op.kName, node.layer);
            launch(op);
          },
          node.op);
    }
  } catch (...) {
    beside_.clear();
    throw;
  }
}

template <typename Operation>
void KernelDevice::join_for(const Operation& op) {
  if (beside_.empty()) return;
  bool conflicts = false;
  for_each_operand(op, [&](Operand operand, const auto& tensor) {
    const auto* const begin = reinterpret_cast<const std::byte*>(tensor.data);
    const auto* const end = reinterpret_cast<const std::byte*>(tensor.data + tensor.size());
    conflicts = conflicts || std::any_of(beside_.begin(), beside_.end(), [&](const Span& other) {
                  return (operand.is_written() || other.is_written) && begin < other.end &&
                         other.begin < end;
                });
  });
  if (conflicts) join();
}

void KernelDevice::join() {
  if (beside_.empty()) return;
  beside_.clear();
  join_side_stream();
}

void KernelDevice::release_scratch() noexcept {
  for (void* memory : owned_) deallocate(memory);
  owned_.clear();
}

template <typename T>
void KernelDevice::grow(Scratch<T>& scratch, std::int64_t size, bool zeroed) {
  if (scratch.size >= size) return;
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
  owned_.push_back(nullptr);
  owned_.back() = zeroed ? allocate(bytes) : allocate_unwritten(bytes);
  scratch = {static_cast<T*>(owned_.back()), size};
}

ColumnSumScratch KernelDevice::scratch_for(const ColumnSumScratchSizes& sizes) {
  grow(columns_, sizes.columns, /*zeroed=*/false);
  grow(losses_, sizes.losses, /*zeroed=*/false);
  grow(counters_, sizes.counters, /*zeroed=*/true);
  return {columns_.data, losses_.data, counters_.data};
}

unsigned* KernelDevice::update_counter() {
  grow(update_counter_, 1, /*zeroed=*/true);
  return update_counter_.data;
}

float* KernelDevice::code_statistics(std::int64_t cols) {
  grow(code_statistics_, cols, /*zeroed=*/false);
  return code_statistics_.data;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
