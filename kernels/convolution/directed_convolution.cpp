#include "convolution/directed_convolution.hpp"

#include <algorithm>

namespace ae::cpu {

namespace {

struct Extent {
  std::int64_t first = 0;
  std::int64_t size = 0;
};

/// The inputs, outside ones included, that are read along one dimension.
Extent extent(const ConvolvedLine& line, Towards towards) {
  std::int64_t first = 0;
  std::int64_t end = 0;
  bool is_empty = true;
  for (std::int64_t i = 0; i < gathered_count(line, towards); ++i) {
    const Gathered here = gathered(line, towards, i);
    if (here.outputs == 0 || here.taps == 0) continue;
    const std::int64_t here_end =
        here.first_input + (here.outputs - 1) * here.input_step + here.taps;
    first = is_empty ? here.first_input : std::min(first, here.first_input);
    end = is_empty ? here_end : std::max(end, here_end);
    is_empty = false;
  }
  return {first, end - first};
}

}  // namespace

// ── Frames ──────────────────────────────────────────────────────────────────────────────────────

void Frame::copy(const float* image, float* to) const {
  const std::int64_t channels = inside.channels;
  const std::int64_t begin = std::clamp(-first_col, std::int64_t{0}, cols);
  const std::int64_t end = std::clamp(inside.width - first_col, begin, cols);
  for (std::int64_t row = first_row; row < first_row + rows; ++row) {
    if (row < 0 || row >= inside.height) {
      to = std::fill_n(to, row_size(), 0.0F);
      continue;
    }
    to = std::fill_n(to, begin * channels, 0.0F);
    if (end > begin) {
      to = std::copy_n(image + (row * inside.width + first_col + begin) * channels,
                       (end - begin) * channels, to);
    }
    to = std::fill_n(to, (cols - end) * channels, 0.0F);
  }
}

// ── One direction ───────────────────────────────────────────────────────────────────────────────

DirectedConvolution::DirectedConvolution(const Convolution& convolution, Towards towards)
    : convolution_(convolution), towards_(towards) {
  const Extent rows = extent(rows_of(convolution), towards);
  const Extent cols = extent(cols_of(convolution), towards);
  frame_ = {towards == Towards::map ? convolution.image : convolution.map, rows.first, rows.size,
            cols.first, cols.size};
}

template <typename Visit>
void DirectedConvolution::for_gathered(const Visit& visit) const {
  const ConvolvedLine rows = rows_of(convolution_);
  const ConvolvedLine cols = cols_of(convolution_);
  for (std::int64_t i = 0; i < gathered_count(rows, towards_); ++i) {
    for (std::int64_t j = 0; j < gathered_count(cols, towards_); ++j) {
      visit(gathered(rows, towards_, i), gathered(cols, towards_, j));
    }
  }
}

bool DirectedConvolution::is_by_dots() const {
  return output().channels <= kDotUnits && frame_.inside.channels >= kDotChannels;
}

std::int64_t DirectedConvolution::packed_size() const {
  // Every tap is in one of the sets.
  const std::int64_t units = output().channels;
  return padded(convolution_.kernel_height * convolution_.kernel_width * frame_.inside.channels *
                (is_by_dots() ? units : padded(units)));
}

void DirectedConvolution::pack(const float* w, float* packed) const {
  const std::int64_t inputs = frame_.inside.channels;
  const std::int64_t units = output().channels;
  // Where W has input channel i and unit u of a tap.
  const std::int64_t input_step = towards_ == Towards::map ? units : 1;
  const std::int64_t unit_step = towards_ == Towards::map ? 1 : inputs;
  for_gathered([&](const Gathered& rows, const Gathered& cols) {
    const auto for_values = [&](const auto& visit) {  // of all taps, in the order of their inputs
      for (std::int64_t t = 0; t < rows.taps; ++t) {
        for (std::int64_t s = 0; s < cols.taps; ++s) {
          const std::int64_t tap =
              (rows.first_tap + t * rows.tap_step) * convolution_.kernel_width + cols.first_tap +
              s * cols.tap_step;
          for (std::int64_t i = 0; i < inputs; ++i)
            visit(w + tap * inputs * units + i * input_step);
        }
      }
    };
    if (is_by_dots()) {
      for (std::int64_t u = 0; u < units; ++u) {
        for_values([&](const float* value) { *packed++ = value[u * unit_step]; });
      }
    } else {
      for_values([&](const float* value) {
        for (std::int64_t u = 0; u < units; ++u) *packed++ = value[u * unit_step];
        packed = std::fill_n(packed, padded(units) - units, 0.0F);
      });
    }
  });
}

Window DirectedConvolution::window(const Gathered& rows, const Gathered& cols,
                                   const float* framed) const {
  const std::int64_t channels = frame_.inside.channels;
  const std::int64_t first = (rows.first_input - frame_.first_row) * frame_.row_size() +
                             (cols.first_input - frame_.first_col) * channels;
  const bool reads = rows.taps > 0 && cols.taps > 0;
  return {.input = framed + (reads ? first : 0),
          .output_row = rows.input_step * frame_.row_size(),
          .output_pixel = cols.input_step * channels,
          .rows = rows.outputs,
          .cols = cols.outputs,
          .tap_rows = reads ? rows.taps : 0,
          .tap_row = frame_.row_size(),
          .tap_values = reads ? cols.taps * channels : 0};
}

Window DirectedConvolution::window(const float* framed) const {
  return window(gathered(rows_of(convolution_), towards_, 0),
                gathered(cols_of(convolution_), towards_, 0), framed);
}

void DirectedConvolution::run(const ConvolutionSimd& simd, const float* framed, const float* packed,
                              float* y) const {
  const ImageShape& shape = output();
  const std::int64_t row_size = shape.width * shape.channels;
  const auto product = is_by_dots() ? simd.product_by_dots : simd.product;
  for_gathered([&](const Gathered& rows, const Gathered& cols) {
    const Window reads = window(rows, cols, framed);
    product({.window = reads,
             .weights = packed,
             .units = shape.channels,
             .y = y + rows.first_output * row_size + cols.first_output * shape.channels,
             .y_row = rows.output_step * row_size,
             .y_pixel = cols.output_step * shape.channels});
    packed += reads.tap_rows * reads.tap_values *
              (is_by_dots() ? shape.channels : padded(shape.channels));
  });
}

}  // namespace ae::cpu
