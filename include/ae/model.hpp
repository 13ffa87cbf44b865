#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ae/dataset.hpp"

namespace ae {

/// Elementwise functions after a layer's affine map.
///   identity    z                      sigmoid   1/(1+e^-z)
///   relu        max(z, 0)              tanh      (e^z - e^-z)/(e^z + e^-z)
///   leaky_relu  max(z, 0.01·z)         softplus  ln(1+e^z)
///   elu         z, below 0: e^z - 1    silu      z/(1+e^-z)
///   gelu        z·Φ(z), Φ the normal distribution's cumulative function, exact
/// The constants are PyTorch's defaults.
enum class Activation : std::uint8_t {
  identity,
  relu,
  sigmoid,
  tanh,
  leaky_relu,
  elu,
  gelu,
  silu,
  softplus
};

std::string_view to_string(Activation activation);
/// @throws UsageError naming the known ones.
Activation parse_activation(std::string_view name);

/// y = activation(x·W + b), W of shape (inputs, units).
struct DenseSpec {
  std::int64_t units = 0;
  Activation activation = Activation::identity;

  bool operator==(const DenseSpec&) const = default;
};

/// What a model is, without its numbers: the encoder ends in the latent code, the decoder in a
/// reconstruction of the input.
struct ModelSpec {
  Shape input_shape;
  std::vector<DenseSpec> encoder;
  std::vector<DenseSpec> decoder;

  /// Values in one sample.
  [[nodiscard]] std::int64_t inputs() const { return element_count(input_shape); }
  /// Numbers in one latent code.
  [[nodiscard]] std::int64_t latent() const;
  /// Encoder and decoder, in the order in which data passes through them.
  [[nodiscard]] std::vector<DenseSpec> layers() const;
  /// Trainable numbers: Σ (inputs·units + units).
  [[nodiscard]] std::int64_t parameter_count() const;
  /// @throws UsageError if a width is not positive, there is no encoder or decoder layer, or the
  /// last layer is not as wide as the input.
  void validate() const;

  bool operator==(const ModelSpec&) const = default;
};

/// The symmetric stack: encoder widths `hidden`, the decoder mirrors them back to the input.
/// `activation` follows every hidden layer, the code included; `output_activation` the last one.
/// {784}, {32} is the Keras example: 784 → 32 → 784.
ModelSpec dense_autoencoder(Shape input_shape, const std::vector<std::int64_t>& hidden,
                            Activation activation = Activation::relu,
                            Activation output_activation = Activation::sigmoid);

/// Where one layer's weights lie in `Model::parameters`.
struct LayerSlice {
  std::string name;  ///< "encoder.0", "decoder.1", …
  std::int64_t inputs = 0;
  std::int64_t units = 0;
  std::int64_t weight = 0;  ///< offset of W: inputs·units floats, row-major (inputs, units)
  std::int64_t bias = 0;    ///< offset of b: units floats
};

/// The slices of every layer, encoder first. Each tensor starts at a multiple of 16 floats (64
/// bytes), so that kernels may use aligned vector accesses; the gaps between are zero.
std::vector<LayerSlice> layer_slices(const ModelSpec& spec);

/// The length of that buffer in floats, gaps included.
std::int64_t parameter_floats(const ModelSpec& spec);

/// A model in host memory: its description and its numbers, in one flat buffer laid out by
/// `layer_slices`.
struct Model {
  ModelSpec spec;
  std::vector<float> parameters;
  /// How it was trained, free-form; saved with the model and shown by `ae info`.
  std::map<std::string, std::string> training;

  /// Glorot uniform weights, U(-√(6/(inputs+units)), +√(6/(inputs+units))), and zero biases, as
  /// Keras's Dense has them. The numbers depend on `seed` alone, not on the device.
  /// Source: Glorot & Bengio, AISTATS 2010, eq. 16.
  static Model initialize(const ModelSpec& spec, std::uint64_t seed);
};

/// Writes `model` as safetensors: tensors `encoder.0.weight` with shape [units, inputs] as PyTorch
/// has them, `encoder.0.bias`, …; the description, `training` and a checksum go into the header's
/// metadata. The same model gives the same bytes. The file appears whole or not at all.
/// @throws Error if it cannot be written.
void save_model(const Model& model, const std::filesystem::path& path);

/// @throws Error if the file is missing, cut, altered, or not a model of this program.
Model load_model(const std::filesystem::path& path);

}  // namespace ae
