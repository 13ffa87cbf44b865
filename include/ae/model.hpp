#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/layers.hpp"

namespace ae {

/// What a model is, without its numbers: the encoder ends in the latent code, the decoder in a
/// reconstruction of the input.
struct ModelSpec {
  Shape input_shape;
  std::vector<LayerSpec> encoder;
  std::vector<LayerSpec> decoder;

  /// Values in one sample.
  [[nodiscard]] std::int64_t inputs() const { return element_count(input_shape); }
  /// The shape of one latent code, and its numbers. These and what follows @throw UsageError where
  /// validate() would and there is no answer.
  [[nodiscard]] Shape code_shape() const;
  [[nodiscard]] std::int64_t latent() const { return element_count(code_shape()); }
  /// Which of the encoder's layers makes the code: its last, or the one that a top_k chooses from.
  [[nodiscard]] std::size_t code_layer() const;
  /// Whether the code is a Gaussian's: the model is a variational autoencoder.
  [[nodiscard]] bool is_variational() const;
  /// The activation of what the decoder ends in.
  [[nodiscard]] Activation output_activation() const;
  /// Encoder and decoder, in the order in which data passes through them.
  [[nodiscard]] std::vector<LayerSpec> layers() const;
  /// Trainable numbers.
  [[nodiscard]] std::int64_t parameter_count() const;
  /// @throws UsageError if there is no encoder or decoder, a number of a layer is out of range, a
  /// layer cannot work on what the one before makes, a code's layer is not the encoder's last, a
  /// tied layer has no partner of its widths, or the last layer is not a dense or convolutional one
  /// that makes as many values as the input has.
  void validate() const;

  bool operator==(const ModelSpec&) const = default;
};

/// The symmetric stack: encoder widths `hidden`, the decoder mirrors them back to the input.
/// `activation` follows every hidden layer, the code included; `output_activation` the last one.
/// {784}, {32} is the Keras example: 784 → 32 → 784. `tied`: the decoder's weights are the
/// encoder's, see DenseSpec.
ModelSpec dense_autoencoder(Shape input_shape, const std::vector<std::int64_t>& hidden,
                            Activation activation = Activation::relu,
                            Activation output_activation = Activation::sigmoid, bool tied = false);

/// A model from the readable forms of its layers. Those that name no activation take `activation`,
/// the decoder's last `output_activation`. An empty decoder mirrors an encoder of dense layers, of
/// which the last may be a gaussian or followed by a top_k; where `tied`, every layer but the one
/// that mirrors a gaussian is tied.
/// @throws UsageError as parse_layer and ModelSpec::validate, and if a decoder that is given is to
/// be tied: its layers say so themselves.
ModelSpec parse_model(Shape input_shape, const std::vector<std::string>& encoder,
                      const std::vector<std::string>& decoder,
                      Activation activation = Activation::relu,
                      Activation output_activation = Activation::sigmoid, bool tied = false);

/// The slices of every layer, encoder first. @throws UsageError as output_shape. Each tensor starts
/// at a multiple of 16 floats (64 bytes), so that kernels may use aligned vector accesses; the gaps
/// between are zero. What layers keep without learning it by gradients comes after all that they
/// learn.
std::vector<LayerSlice> layer_slices(const ModelSpec& spec);

/// The length of that buffer in floats, gaps included.
std::int64_t parameter_floats(const ModelSpec& spec);

/// How much of it, from its begin, optimisers change.
std::int64_t trainable_floats(const ModelSpec& spec);

/// A model in host memory: its description and its numbers, in one flat buffer laid out by
/// `layer_slices`.
struct Model {
  ModelSpec spec;
  std::vector<float> parameters;
  /// How it was trained; saved with the model and shown by `ae info`. train() writes what `ae
  /// evaluate` goes by: "loss", "reduction", "noise", … A program may add keys of its own.
  std::map<std::string, std::string> training;

  /// Every function that takes a model does this first.
  /// @throws UsageError as ModelSpec::validate, and unless there are parameter_floats(spec)
  /// parameters.
  void validate() const;

  /// Glorot uniform weights, U(-√(6/(fan_in+fan_out)), +√(6/(fan_in+fan_out))), and zero biases,
  /// as Keras has them: fans are inputs and units, and in convolutions channels × kernel area. The
  /// numbers depend on `seed` alone, not on the device.
  /// Source: Glorot & Bengio, AISTATS 2010, eq. 16. Normalisations begin as they are without one:
  /// γ = 1, β = 0, and running means of 0 and variances of 1.
  /// @throws UsageError as ModelSpec::validate.
  static Model initialize(const ModelSpec& spec, std::uint64_t seed);
};

/// Writes `model` as safetensors: tensors `encoder.0.weight`, `encoder.0.bias`, … with PyTorch's
/// shapes, [units, inputs] of a dense layer, [out, in, height, width] of a convolution ([in, out,
/// height, width] of a transposed one), [channels] of a normalisation, where batch_norm also has
/// running_mean and running_var; a tied layer has a bias alone. A dense layer on an image counts
/// its inputs channels innermost; a gaussian's units are [μ | ln σ²]. The description, `training`
/// and a checksum go into the header's metadata. The same model gives the same bytes. The file
/// appears whole or not at all.
/// @throws UsageError as Model::validate; Error if it cannot be written.
void save_model(const Model& model, const std::filesystem::path& path);

/// @throws Error if the file is missing, cut, altered, or not a model of this program.
Model load_model(const std::filesystem::path& path);

}  // namespace ae
