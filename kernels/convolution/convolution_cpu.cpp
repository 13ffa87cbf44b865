#include <algorithm>

#include "activation/activation_simd.hpp"
#include "convolution/convolution.hpp"
#include "convolution/convolution_simd.hpp"
#include "convolution/directed_convolution.hpp"
#include "cpu/planner.hpp"
#include "cpu/repeats.hpp"

namespace ae::cpu {

namespace {

/// Where the weights are the larger part, panels are as tall as elsewhere: each panel has a sum of
/// their gradient.
PanelHeight panel_height(const Convolution& convolution) {
  const bool is_light = convolution.weights() <= convolution.image.size() + convolution.map.size();
  return is_light ? PanelHeight::images : PanelHeight::rows;
}

/// Weights in the order in which the convolution reads them, made before the panels.
Packed plan_packing(const DirectedConvolution& convolution, const float* w, Planner& planner) {
  const Packed packed = planner.packed(convolution.packed_size());
  planner.before_panels(1, [=](std::int64_t /*task*/, const StepMemory& memory) {
    convolution.pack(w, packed.of(memory));
  });
  return packed;
}

}  // namespace

void plan(const ConvolutionForward& op, Planner& planner) {
  const Convolution& convolution = op.convolution;
  const DirectedConvolution product(convolution,
                                    convolution.transposed ? Towards::image : Towards::map);
  const std::int64_t channels = convolution.output().channels;
  const std::int64_t repeats = columns_of_repeats(op.y.cols, channels);
  const std::int64_t frame_size = padded(product.frame().size());
  planner.begin_rows(op.y.rows, panel_height(convolution));
  planner.need_scratch(frame_size + padded(repeats));
  const Packed packed = plan_packing(product, op.w.data, planner);
  planner.each_panel(
      [=, &simd = convolution_simd(planner.instruction_set()),
       &activation = activation_simd(planner.instruction_set())](const Panel& panel) {
        float* const framed = panel.scratch;
        float* const bias = panel.scratch + frame_size;
        if (op.bias.exists()) repeat(op.bias.data, channels, repeats, bias);
        for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) {
          float* y = op.y.data + row * op.y.cols;
          product.frame().copy(op.x.data + row * op.x.cols, framed);
          product.run(simd, framed, packed.of(panel.memory), y);
          if (!op.bias.exists() && op.activation == Activation::identity) continue;
          if (repeats == 0) continue;
          float* const z = op.z.exists() ? op.z.data + row * op.y.cols : nullptr;
          activation.bias_activation(op.activation, op.bias.exists() ? bias : nullptr,
                                     {y, op.y.cols / repeats, repeats, repeats}, z);
        }
      });
}

void plan(const ConvolutionBackward& op, Planner& planner) {
  const Convolution& convolution = op.convolution;
  const bool is_transposed = convolution.transposed;
  const bool has_dx = op.dx.exists();
  // dW joins the image in its frame with the map.
  const DirectedConvolution gradient(convolution, Towards::map);
  const DirectedConvolution product(convolution, is_transposed ? Towards::map : Towards::image);
  const bool copies_map = convolution.map.channels % kImageSlack != 0;
  const std::int64_t image_size = padded(gradient.frame().size());
  const std::int64_t map_size = copies_map ? padded(convolution.map.size() + kImageSlack) : 0;
  // Transposed, both products take the image's gradient in the same frame.
  const bool shares_frame = is_transposed || !has_dx;

  planner.begin_rows(op.dz.rows, panel_height(convolution));
  planner.need_scratch(image_size + map_size + (shares_frame ? 0 : padded(product.frame().size())));
  const ColumnSums sums = planner.column_sums(convolution.weights(), op.dw.data);
  const Packed packed = has_dx ? plan_packing(product, op.w.data, planner) : Packed{};
  planner.each_panel([=, &simd = convolution_simd(planner.instruction_set())](const Panel& panel) {
    float* const framed_image = panel.scratch;
    float* const map_copy = framed_image + image_size;
    float* const framed_map = map_copy + map_size;
    float* const dw = sums.of(panel);
    std::fill_n(dw, op.convolution.weights(), 0.0F);
    for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) {
      const float* x = op.x.data + row * op.x.cols;
      const float* dz = op.dz.data + row * op.dz.cols;
      const float* map = is_transposed ? x : dz;
      gradient.frame().copy(is_transposed ? dz : x, framed_image);
      if (copies_map) {
        std::copy_n(map, op.convolution.map.size(), map_copy);
        map = map_copy;
      }
      simd.weight_gradient({.window = gradient.window(framed_image),
                            .dz = map,
                            .units = op.convolution.map.channels,
                            .dw = dw});
      if (!has_dx) continue;
      if (!is_transposed) product.frame().copy(dz, framed_map);
      product.run(simd, is_transposed ? framed_image : framed_map, packed.of(panel.memory),
                  op.dx.data + row * op.dx.cols);
    }
  });
}

}  // namespace ae::cpu
