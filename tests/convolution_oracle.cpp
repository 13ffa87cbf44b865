#include "convolution_oracle.hpp"

#include <cstddef>

namespace ae::test {

namespace {

/// Calls visit(value of the image, value of the map, weight) for all that a convolution joins, as
/// numbers of elements: the definition of it, with neither direction nor order.
template <typename Visit>
void for_joined(const Convolution& c, const Visit& visit) {
  for (std::int64_t oy = 0; oy < c.map.height; ++oy) {
    for (std::int64_t ox = 0; ox < c.map.width; ++ox) {
      for (std::int64_t ky = 0; ky < c.kernel_height; ++ky) {
        for (std::int64_t kx = 0; kx < c.kernel_width; ++kx) {
          const std::int64_t iy = oy * c.stride + ky - c.top;
          const std::int64_t ix = ox * c.stride + kx - c.left;
          if (iy < 0 || iy >= c.image.height || ix < 0 || ix >= c.image.width) continue;
          for (std::int64_t i = 0; i < c.image.channels; ++i) {
            for (std::int64_t o = 0; o < c.map.channels; ++o) {
              visit((iy * c.image.width + ix) * c.image.channels + i,
                    (oy * c.map.width + ox) * c.map.channels + o,
                    ((ky * c.kernel_width + kx) * c.image.channels + i) * c.map.channels + o);
            }
          }
        }
      }
    }
  }
}

double at(std::span<const float> values, std::int64_t index) {
  return static_cast<double>(values[static_cast<std::size_t>(index)]);
}

template <typename Sum>
std::vector<Expected> results(const std::vector<Sum>& sums) {
  std::vector<Expected> values;
  values.reserve(sums.size());
  for (const Sum& sum : sums) values.push_back(sum.result());
  return values;
}

/// Calls visit(large, small) for every value of images, as numbers of elements: `small` is the one
/// that stands for the square which `large` is in.
template <typename Visit>
void for_squares(std::int64_t rows, const ImageShape& large, std::int64_t size,
                 const Visit& visit) {
  const std::int64_t small_height = (large.height + size - 1) / size;
  const std::int64_t small_width = (large.width + size - 1) / size;
  std::int64_t value = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t y = 0; y < large.height; ++y) {
      for (std::int64_t x = 0; x < large.width; ++x) {
        for (std::int64_t c = 0; c < large.channels; ++c) {
          const std::int64_t pixel = (row * small_height + y / size) * small_width + x / size;
          visit(static_cast<std::size_t>(value++),
                static_cast<std::size_t>(pixel * large.channels + c));
        }
      }
    }
  }
}

std::int64_t pooled_values(std::int64_t rows, const ImageShape& large, std::int64_t size) {
  return rows * ((large.height + size - 1) / size) * ((large.width + size - 1) / size) *
         large.channels;
}

constexpr std::size_t kNone = ~std::size_t{0};

/// For each window, the number of its first largest value.
std::vector<std::size_t> largest(const ImageShape& input, std::int64_t size, const HostMatrix& x) {
  std::vector<std::size_t> found(static_cast<std::size_t>(pooled_values(x.rows, input, size)),
                                 kNone);
  for_squares(x.rows, input, size, [&](std::size_t value, std::size_t window) {
    std::size_t& best = found[window];
    if (best == kNone || x.values[value] > x.values[best]) best = value;
  });
  return found;
}

}  // namespace

std::vector<Expected> ConvolutionOracle::pre_activation(const Convolution& convolution,
                                                        const HostMatrix& x,
                                                        std::span<const float> w,
                                                        std::span<const float> bias) const {
  const std::int64_t size = convolution.output().size();
  std::vector<Sum> z(static_cast<std::size_t>(x.rows * size), Sum(precision()));
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for_joined(convolution, [&](std::int64_t image, std::int64_t map, std::int64_t weight) {
      const std::int64_t from = convolution.transposed ? map : image;
      const std::int64_t to = convolution.transposed ? image : map;
      z[static_cast<std::size_t>(row * size + to)].add_product(x.at(row, from), at(w, weight));
    });
  }
  if (!bias.empty()) {
    for (std::size_t i = 0; i < z.size(); ++i) {
      z[i].add({static_cast<double>(bias[i % bias.size()]), precision().smallest});
    }
  }
  return results(z);
}

std::vector<Expected> ConvolutionOracle::forward(const Convolution& convolution,
                                                 const HostMatrix& x, std::span<const float> w,
                                                 std::span<const float> bias,
                                                 Activation activation) const {
  std::vector<Expected> y = pre_activation(convolution, x, w, bias);
  for (Expected& value : y) value = activate(activation, value);
  return y;
}

ConvolutionOracle::Gradients ConvolutionOracle::backward(const Convolution& convolution,
                                                         const HostMatrix& x,
                                                         std::span<const float> w,
                                                         const HostMatrix& dz) const {
  std::vector<Sum> dw(w.size(), Sum(precision()));
  std::vector<Sum> dx(x.values.size(), Sum(precision()));
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for_joined(convolution, [&](std::int64_t image, std::int64_t map, std::int64_t weight) {
      const std::int64_t from = convolution.transposed ? map : image;
      const std::int64_t to = convolution.transposed ? image : map;
      dw[static_cast<std::size_t>(weight)].add_product(x.at(row, from), dz.at(row, to));
      dx[static_cast<std::size_t>(row * x.cols + from)].add_product(dz.at(row, to), at(w, weight));
    });
  }
  return {results(dw), results(dx)};
}

std::vector<Expected> ConvolutionOracle::fold(std::span<const Expected> columns,
                                              std::int64_t channels) const {
  const auto count = static_cast<std::size_t>(channels);
  std::vector<Sum> sums(count, Sum(precision()));
  for (std::size_t i = 0; i < columns.size(); ++i) sums[i % count].add(columns[i]);
  return results(sums);
}

ConvolutionOracle::BiasGradients ConvolutionOracle::activation_backward(
    Activation activation, const HostMatrix& saved, const HostMatrix& dy,
    std::int64_t channels) const {
  const bool from_input = activation == Activation::gelu || activation == Activation::silu;
  BiasGradients result;
  for (std::size_t i = 0; i < dy.values.size(); ++i) {
    const auto value = static_cast<double>(saved.values[i]);
    const Expected factor =
        from_input ? slope(activation, {value, 0}) : slope_from_output(activation, value);
    result.dz.push_back(through({static_cast<double>(dy.values[i]), 0}, factor));
  }
  result.dbias = fold(result.dz, channels);
  return result;
}

std::vector<Expected> ConvolutionOracle::upsample_backward(const ImageShape& input,
                                                           std::int64_t factor,
                                                           const HostMatrix& dy) const {
  std::vector<Sum> sums(static_cast<std::size_t>(dy.rows * input.size()), Sum(precision()));
  for_squares(dy.rows, {input.height * factor, input.width * factor, input.channels}, factor,
              [&](std::size_t value, std::size_t pixel) {
                sums[pixel].add({static_cast<double>(dy.values[value]), precision().smallest});
              });
  return results(sums);
}

std::vector<float> max_pool_forward(const ImageShape& input, std::int64_t size,
                                    const HostMatrix& x) {
  std::vector<float> y;
  for (const std::size_t value : largest(input, size, x)) y.push_back(x.values[value]);
  return y;
}

std::vector<float> max_pool_backward(const ImageShape& input, std::int64_t size,
                                     const HostMatrix& x, const HostMatrix& dy) {
  std::vector<float> dx(x.values.size());
  const std::vector<std::size_t> found = largest(input, size, x);
  for (std::size_t window = 0; window < found.size(); ++window) {
    dx[found[window]] = dy.values[window];
  }
  return dx;
}

std::vector<float> upsample_forward(const ImageShape& input, std::int64_t factor,
                                    const HostMatrix& x) {
  std::vector<float> y(x.values.size() * static_cast<std::size_t>(factor * factor));
  for_squares(x.rows, {input.height * factor, input.width * factor, input.channels}, factor,
              [&](std::size_t value, std::size_t pixel) { y[value] = x.values[pixel]; });
  return y;
}

}  // namespace ae::test
