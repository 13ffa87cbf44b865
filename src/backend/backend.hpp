#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/error.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "activations.hpp"
#include "convolution.hpp"

namespace ae {

/// Row-major floats in a backend's memory, contiguous. A view: it owns nothing.
struct Matrix {
  float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  [[nodiscard]] std::int64_t size() const { return rows * cols; }
};

struct ConstMatrix {
  const float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  ConstMatrix() = default;
  ConstMatrix(const float* data_, std::int64_t rows_, std::int64_t cols_)
      : data(data_), rows(rows_), cols(cols_) {}
  ConstMatrix(const Matrix& m)  // NOLINT(google-explicit-constructor): as T* to const T*
      : data(m.data), rows(m.rows), cols(m.cols) {}

  [[nodiscard]] std::int64_t size() const { return rows * cols; }
};

/// A data set where a backend can gather batches from it, in its own element type.
class ResidentData {
 public:
  virtual ~ResidentData() = default;
  [[nodiscard]] virtual std::int64_t rows() const = 0;
  [[nodiscard]] virtual std::int64_t row_size() const = 0;
};

/// The next batch of an epoch, chosen by a counter in backend memory so that one recorded step
/// serves every batch:
///   x[i, :] = data[permutation[(step mod steps_per_epoch)·batch_size + i], :],  i < x.rows.
/// The short last batch of an epoch is a step of its own with fewer rows in x. Bytes become
/// value / 255.
struct GatherBatch {
  ResidentData* data = nullptr;
  const std::int32_t* permutation = nullptr;  ///< data->rows() row numbers
  const std::int64_t* step = nullptr;         ///< steps done since training began
  std::int64_t steps_per_epoch = 0;
  std::int64_t batch_size = 0;
  Matrix x{};
};

/// Consecutive rows: x[i, :] = data[first_row + i, :].
struct GatherRows {
  ResidentData* data = nullptr;
  std::int64_t first_row = 0;
  Matrix x{};
};

/// y = activation(x·W + b);  x (batch, in), W (in, out), y (batch, out).
/// A null bias is a zero bias. `reserve` is Backend::reserve_bytes() of memory in which a backend
/// keeps what will save it work in the backward pass; null where there is no such pass.
struct DenseForward {
  std::string_view layer{};  ///< "encoder.0", for profiles and messages
  ConstMatrix x{};
  ConstMatrix w{};
  const float* bias = nullptr;
  Activation activation = Activation::identity;
  Matrix y{};
  void* reserve = nullptr;
  double x_density = 1;  ///< about what fraction of x is not zero: a backend may skip zeros
};

/// to = fromᵀ, or where `add`, to += fromᵀ. They share no memory.
struct Transpose {
  std::string_view layer{};
  ConstMatrix from{};  ///< (rows, cols)
  Matrix to{};         ///< (cols, rows)
  bool add = false;
};

/// Given dz = ∂loss/∂z of a layer z = x·W + b:
///   dW = xᵀ·dz,  and for the layer below, whose output x = f(z') is:
///   dz' = (dz·Wᵀ) ⊙ f'(z'),  db' = column sums of dz'.
/// The layer's own db was made by whoever made dz. A null dx.data ends the chain. `reserve_below`
/// is what the forward pass of the layer below was given as `reserve`. Where dbias_below is null,
/// activation_below is identity and dx is plain ∂loss/∂x: what lies below takes it on from there.
struct DenseBackward {
  std::string_view layer{};
  ConstMatrix x{};   ///< (batch, in)
  ConstMatrix w{};   ///< (in, out)
  ConstMatrix dz{};  ///< (batch, out)
  Matrix dw{};       ///< (in, out)
  Matrix dx{};       ///< (batch, in): becomes dz'
  Activation activation_below = Activation::identity;
  float* dbias_below = nullptr;  ///< (in)
  const void* reserve_below = nullptr;
  double x_density = 1;
};

/// y = activation(convolution(x, W) + b), a bias a channel of the output.
struct ConvolutionForward {
  std::string_view layer{};
  Convolution convolution{};
  ConstMatrix x{};  ///< (batch, input().size())
  const float* w = nullptr;
  const float* bias = nullptr;  ///< null is zero
  Activation activation = Activation::identity;
  Matrix y{};               ///< (batch, output().size())
  void* reserve = nullptr;  ///< as of DenseForward
};

/// Given dz = ∂loss/∂z of z = convolution(x, W) + b: dW, and dx = ∂loss/∂x where dx.data is not
/// null. What lies before takes dx through its own activation (ActivationBackward).
struct ConvolutionBackward {
  std::string_view layer{};
  Convolution convolution{};
  ConstMatrix x{};
  const float* w = nullptr;
  ConstMatrix dz{};
  float* dw = nullptr;
  Matrix dx{};
};

/// Non-overlapping windows of size × size values of a channel; those at the lower and right edge
/// may be cut off, so that the output is ⌈height/size⌉ × ⌈width/size⌉.
///   y = the largest value of a window
struct MaxPoolForward {
  std::string_view layer{};
  ImageShape input{};
  std::int64_t size = 2;
  ConstMatrix x{};
  Matrix y{};
};

/// dx is dy where x is the window's first largest value in row-major order, 0 elsewhere.
struct MaxPoolBackward {
  std::string_view layer{};
  ImageShape input{};
  std::int64_t size = 2;
  ConstMatrix x{};
  ConstMatrix dy{};
  Matrix dx{};
};

/// Nearest-neighbour upsampling, each value becomes a square of factor × factor.
struct UpsampleForward {
  std::string_view layer{};
  ImageShape input{};
  std::int64_t factor = 2;
  ConstMatrix x{};
  Matrix y{};
};

/// dx = the sum over each square of dy.
struct UpsampleBackward {
  std::string_view layer{};
  ImageShape input{};
  std::int64_t factor = 2;
  ConstMatrix dy{};
  Matrix dx{};
};

/// Through the activation of a layer y = f(z + b), whose biases repeat along a row every `channels`
/// columns:  dz = dy ⊙ f'(z),  dbias[c] = Σ over rows, and over columns ≡ c mod channels, of dz.
struct ActivationBackward {
  std::string_view layer{};
  Activation activation = Activation::identity;
  ConstMatrix y{};
  const void* reserve = nullptr;  ///< what the forward pass of the layer was given
  Matrix dy{};                    ///< becomes dz
  std::int64_t channels = 0;      ///< divides y.cols
  float* dbias = nullptr;         ///< (channels)
};

/// The output layer's bias, activation, loss, gradient and bias gradient in one pass, from logits
/// without bias z (batch, out) and targets of the same shape:
///   *loss_sum += Σ loss(z + b, target)
///   dz = gradient_scale · ∂loss/∂(z + b),  dbias = column sums of dz.
/// dz may be the memory of z. The bias must be there.
struct ReconstructionLoss {
  Loss loss = Loss::bce;
  Activation activation = Activation::sigmoid;
  ConstMatrix z{};
  const float* bias = nullptr;
  std::int64_t channels = 0;  ///< biases: they repeat along a row; 0 is one a column
  ConstMatrix target{};
  float gradient_scale = 1;
  Matrix dz{};
  float* dbias = nullptr;
  double* loss_sum = nullptr;
};

/// Each row's Σ loss(z + b, target), without gradients: evaluation. The bias must be there.
struct RowLosses {
  Loss loss = Loss::bce;
  Activation activation = Activation::sigmoid;
  ConstMatrix z{};
  const float* bias = nullptr;
  std::int64_t channels = 0;  ///< as of ReconstructionLoss
  ConstMatrix target{};
  double* sums = nullptr;  ///< (batch)
};

/// A noisy copy of a batch, see NoiseOptions. Value number e = (first_row + row)·cols + col < 2^34
/// draws word e of the stream (RandomPurpose::noise, *step) of `seed`, or normal number e (see
/// normal.hpp) where the noise is; a null step is stream 0.
struct CorruptBatch {
  NoiseOptions noise{};
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  std::int64_t first_row = 0;
  ConstMatrix clean{};
  Matrix noisy{};  ///< may be the memory of `clean`
};

/// The k largest values of each row stay, the others become zero, in place; of equal ones the first
/// stay. NaN is larger than any number. k ≥ cols changes nothing. Source: Makhzani & Frey,
/// "k-sparse autoencoders", ICLR 2014.
struct KeepLargest {
  std::int64_t k = 0;
  Matrix y{};
};

/// What a dropout layer drops: value number e = row·cols + col < 2^34 of a batch where word e of
/// the stream (RandomPurpose::dropout, *step) of `seed` and `layer`, as a fraction of its range, is
/// below `rate`. A null step is stream 0.
struct DropoutMask {
  float rate = 0;  ///< in [0, 1)
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  std::uint32_t layer = 0;  ///< its number in the model, < 2^24: each layer draws its own
};

/// y is 0 where x is dropped, whatever x is, and x/(1 - rate) elsewhere. Source: Srivastava et al.,
/// "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
struct DropoutForward {
  std::string_view layer{};
  DropoutMask mask{};
  ConstMatrix x{};
  Matrix y{};
};

/// dx is 0 where x was dropped, dy/(1 - rate) elsewhere; the mask is drawn again.
struct DropoutBackward {
  std::string_view layer{};
  DropoutMask mask{};
  ConstMatrix dy{};
  Matrix dx{};
};

/// Of each group of `channels` neighbouring values x, a row or a pixel of it, with the mean μ and
/// the variance σ² of its values:
///   x̂ = (x - μ)/√(σ² + ε),  z = γ·x̂ + β,  y = f(z),  σ² = mean of (x - μ)²,  ε = 1e-5.
/// `statistics` of group number g are μ at 2·g and 1/√(σ² + ε) behind it; null where there is no
/// backward pass. Source: Ba, Kiros & Hinton, "Layer normalization", 2016.
struct LayerNormForward {
  std::string_view layer{};
  Activation activation = Activation::identity;
  std::int64_t channels = 0;     ///< divides x.cols
  ConstMatrix x{};               ///< (batch, cols)
  const float* gamma = nullptr;  ///< (channels)
  const float* beta = nullptr;   ///< (channels)
  Matrix y{};
  float* statistics = nullptr;  ///< (x.size()/channels, 2)
};

/// Given dy = ∂loss/∂y of that:
///   dz = dy ⊙ f'(z),  dγ = Σ over groups of dz·x̂,  dβ = Σ over groups of dz,
///   dx = (g - mean of g - x̂·mean of g·x̂)/√(σ² + ε),  g = γ·dz, the means over a group.
/// A null dx.data ends the chain.
struct LayerNormBackward {
  std::string_view layer{};
  Activation activation = Activation::identity;
  std::int64_t channels = 0;
  ConstMatrix x{};
  const float* gamma = nullptr;
  const float* beta = nullptr;
  ConstMatrix y{};
  const float* statistics = nullptr;
  Matrix dy{};  ///< becomes dz
  float* dgamma = nullptr;
  float* dbeta = nullptr;
  Matrix dx{};
};

/// The same of each channel, the columns that are the same modulo `channels`, over the whole batch:
/// N = x.size()/channels values. Where `statistics` is not null, μ and σ² are the batch's; they go
/// to statistics = [μ | σ²], and the running ones, [μ | σ²] too, become
///   running + 0.1·(the batch's - running), of σ²·N/(N - 1), of one value σ² itself;
/// of no values the statistics are 0 and the running ones stay. Where it is null, μ and σ² are the
/// running ones. Source: Ioffe & Szegedy, "Batch normalization", ICML 2015.
struct BatchNormForward {
  std::string_view layer{};
  Activation activation = Activation::identity;
  std::int64_t channels = 0;  ///< divides x.cols
  ConstMatrix x{};
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float* running = nullptr;     ///< (2, channels)
  float* statistics = nullptr;  ///< (2, channels)
  Matrix y{};
};

/// As LayerNormBackward, by the batch's statistics; the means are over a channel.
struct BatchNormBackward {
  std::string_view layer{};
  Activation activation = Activation::identity;
  std::int64_t channels = 0;
  ConstMatrix x{};
  const float* gamma = nullptr;
  const float* beta = nullptr;
  ConstMatrix y{};
  const float* statistics = nullptr;
  Matrix dy{};  ///< becomes dz
  float* dgamma = nullptr;
  float* dbeta = nullptr;
  Matrix dx{};
};

/// The gradient through a code y = f(z), with what its sparsity costs. Given dy = ∂loss/∂y:
///   dz = (dy + l1/N·sign(y) + kl/N·((1-ρ)/(1-ρ̂) - ρ/ρ̂)) ⊙ f'(z),  N = y.rows,
///   dbias = column sums of dz,  *penalty_sum += N·(what SparsityOptions writes).
/// ρ̂ is kept within [1e-6, 1 - 1e-6], and left alone where kl is 0. Where `kept_largest`, values
/// that are zero, as KeepLargest makes them, pass no gradient on, penalties included.
struct SparsityBackward {
  std::string_view layer{};
  SparsityOptions sparsity{};
  bool kept_largest = false;
  Activation activation = Activation::identity;
  ConstMatrix y{};                ///< (batch, units), after KeepLargest
  const void* reserve = nullptr;  ///< what the forward pass of the layer was given
  Matrix dy{};                    ///< becomes dz
  float* dbias = nullptr;         ///< (units)
  double* penalty_sum = nullptr;
};

/// A draw from the Gaussian code that h = [μ | λ] describes, λ = ln σ²:
///   z = μ + e^(λ/2)·ε,  ε normal; or z = μ where `mean_only`.
/// ε of z[row, col] is normal number (first_row + row)·latent + col < 2^34 of the stream
/// (RandomPurpose::code, *step) of `seed`; a null step is stream 0. Where `kl` is not null:
///   kl[row] = Σ over cols of ½·(μ² + e^λ - 1 - λ).
/// Source: Kingma & Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B.
struct GaussianSample {
  ConstMatrix h{};  ///< (batch, 2·latent)
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  std::int64_t first_row = 0;
  bool mean_only = false;
  Matrix z{};            ///< (batch, latent)
  double* kl = nullptr;  ///< (batch)
};

/// Given dz = ∂loss/∂z of such a draw, not mean_only and from row 0 on, from identity units h,
/// N = h.rows, a null step step 0:
///   dμ = dz + wⱼ·μ,  dλ = dz·ε·½·e^(λ/2) + wⱼ·½·(e^λ - 1),  dbias = column sums of dh,
///   *kl_sum += Σ over rows and cols of KL, whatever it weighs.
/// wⱼ = kl_scale·min(1, (*step + 1)/warm_up_steps), the warm-up left out where warm_up_steps is 0;
/// and 0 for a column whose mean KL over the batch is below `free_bits` (nats; Kingma et al.,
/// "Improving variational inference with inverse autoregressive flow", 2016, appendix C.8). A
/// free_bits of 0 or less frees none.
struct GaussianBackward {
  std::string_view layer{};
  ConstMatrix h{};   ///< (batch, 2·latent)
  ConstMatrix dz{};  ///< (batch, latent)
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  float kl_scale = 1;
  std::int64_t warm_up_steps = 0;
  float free_bits = 0;
  Matrix dh{};             ///< (batch, 2·latent)
  float* dbias = nullptr;  ///< (2·latent)
  double* kl_sum = nullptr;
};

/// What clips gradients to a norm of `max_norm` > 0:
///   *scale = min(1, max_norm/(√Σ gradients² + 1e-6)),
/// summed in double, so that no square overflows or vanishes; NaN where a gradient is.
struct ClipScale {
  const float* gradients = nullptr;
  std::int64_t count = 0;
  float max_norm = 0;
  float* scale = nullptr;
};

/// An optimiser's step over a flat parameter buffer, as step number *step + 1; then *step is one
/// more. `first` and `second` are the numbers it keeps, as many as optimizer_states() says, in the
/// order of its rule; the others may be null.
///   η = learning_rates[*step mod steps_per_epoch], or the options' where `learning_rates` is null,
///   g = gradients·*gradient_scale, or the gradients where that is null,
///   average ← d·average + (1-d)·parameters, of the new ones, where `average` is not null.
struct OptimizerStep {
  OptimizerOptions options{};
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* first = nullptr;
  float* second = nullptr;
  std::int64_t count = 0;
  std::int64_t* step = nullptr;
  const float* learning_rates = nullptr;  ///< (steps_per_epoch)
  std::int64_t steps_per_epoch = 1;
  const float* gradient_scale = nullptr;
  float* average = nullptr;
  float average_decay = 0;  ///< d
};

/// What the gradient of the activation below is computed from: its outputs, or its inputs where the
/// forward pass kept them.
inline const float* saved_output(const DenseBackward& op) {
  return slope_from_input(op.activation_below) ? static_cast<const float*>(op.reserve_below)
                                               : op.x.data;
}
inline const float* saved_output(const ActivationBackward& op) {
  return slope_from_input(op.activation) ? static_cast<const float*>(op.reserve) : op.y.data;
}
inline const float* saved_output(const SparsityBackward& op) {
  return slope_from_input(op.activation) ? static_cast<const float*>(op.reserve) : op.y.data;
}

/// How many groups, or values of a channel, an operation normalises.
template <typename Normalization>
std::int64_t normalized_groups(const Normalization& op) {
  return op.channels == 0 ? 0 : op.x.size() / op.channels;
}

/// Whether a gradient needs column means over the whole batch before it.
inline bool needs_means(const SparsityBackward& op) {
  return op.sparsity.kl > 0;
}
inline bool needs_means(const GaussianBackward& op) {
  return op.free_bits > 0;
}

/// A step that was recorded once and runs again at each replay.
class RecordedStep {
 public:
  virtual ~RecordedStep() = default;
  virtual void replay() = 0;
};

/// A device: its memory and the fused operations of training on it. Everything above this boundary
/// exists once for all devices and knows none of them.
///
/// Operations are ordered as they were called; a backend may run them later, up to the next
/// download() or synchronize(). All pointers in operations are of the backend's memory, from
/// allocate(). Sizes may be any, zero included. Results do not depend on the number of threads.
class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] virtual std::string name() const = 0;

  /// Memory of `bytes` bytes, zeroed, aligned to 64 bytes. @throws Error if there is not enough.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* memory) noexcept = 0;
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  virtual void clear(void* memory, std::size_t bytes) = 0;
  /// A value in backend memory as it stands, or NaN where looking would hold the device up.
  [[nodiscard]] virtual double peek(const double* value) const = 0;
  virtual void synchronize() = 0;

  /// What is called until end_range() is one thing of that name to a profiler. Ranges nest.
  virtual void begin_range(std::string_view /*what*/, std::string_view /*layer*/ = {}) {}
  virtual void end_range() {}

  /// `data` must outlive the result.
  [[nodiscard]] virtual std::unique_ptr<ResidentData> make_resident(const Dataset& data) = 0;

  /// Memory that the forward pass of a layer with this output needs for the backward pass: its
  /// inputs, where the activation's slope is computed from them. A backend may want more.
  [[nodiscard]] virtual std::size_t reserve_bytes(std::int64_t rows, std::int64_t units,
                                                  Activation activation) const {
    return slope_from_input(activation) ? static_cast<std::size_t>(rows * units) * sizeof(float)
                                        : 0;
  }

  virtual void gather_batch(const GatherBatch& op) = 0;
  virtual void gather_rows(const GatherRows& op) = 0;
  virtual void transpose(const Transpose& op) = 0;
  virtual void dense_forward(const DenseForward& op) = 0;
  virtual void dense_backward(const DenseBackward& op) = 0;
  virtual void convolution_forward(const ConvolutionForward& op) = 0;
  virtual void convolution_backward(const ConvolutionBackward& op) = 0;
  virtual void max_pool_forward(const MaxPoolForward& op) = 0;
  virtual void max_pool_backward(const MaxPoolBackward& op) = 0;
  virtual void upsample_forward(const UpsampleForward& op) = 0;
  virtual void upsample_backward(const UpsampleBackward& op) = 0;
  virtual void activation_backward(const ActivationBackward& op) = 0;
  virtual void reconstruction_loss(const ReconstructionLoss& op) = 0;
  virtual void row_losses(const RowLosses& op) = 0;
  virtual void corrupt_batch(const CorruptBatch& op) = 0;
  virtual void keep_largest(const KeepLargest& op) = 0;
  virtual void dropout_forward(const DropoutForward& op) = 0;
  virtual void dropout_backward(const DropoutBackward& op) = 0;
  virtual void layer_norm_forward(const LayerNormForward& op) = 0;
  virtual void layer_norm_backward(const LayerNormBackward& op) = 0;
  virtual void batch_norm_forward(const BatchNormForward& op) = 0;
  virtual void batch_norm_backward(const BatchNormBackward& op) = 0;
  virtual void sparsity_backward(const SparsityBackward& op) = 0;
  virtual void gaussian_sample(const GaussianSample& op) = 0;
  virtual void gaussian_backward(const GaussianBackward& op) = 0;
  virtual void clip_scale(const ClipScale& op) = 0;
  virtual void optimizer_step(const OptimizerStep& op) = 0;

  /// Whether operations return before they are done.
  [[nodiscard]] virtual bool is_asynchronous() const { return false; }

  /// Records the operations that `step` calls, without running them.
  [[nodiscard]] virtual std::unique_ptr<RecordedStep> record(std::function<void()> step) = 0;
};

/// The backend for a resolved device name. @throws Error if it cannot be used here.
std::unique_ptr<Backend> make_backend(const DeviceOptions& options);

/// A profiler's range, for as long as it lives.
class Range {
 public:
  Range(Backend& backend, std::string_view what, std::string_view layer = {}) : backend_(backend) {
    backend_.begin_range(what, layer);
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
  ~Range() { backend_.end_range(); }

 private:
  Backend& backend_;
};

/// An array in a backend's memory, freed with its owner.
template <typename T>
class DeviceArray {
 public:
  DeviceArray() = default;
  DeviceArray(Backend& backend, std::int64_t size)
      : backend_(&backend),
        data_(static_cast<T*>(backend.allocate(static_cast<std::size_t>(size) * sizeof(T)))),
        size_(size) {}
  DeviceArray(DeviceArray&& other) noexcept { swap(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    DeviceArray(std::move(other)).swap(*this);
    return *this;
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    if (data_ != nullptr) backend_->deallocate(data_);
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::int64_t size() const { return size_; }

  void upload(std::span<const T> values) {
    backend_->upload(data_, values.data(), values.size_bytes());
  }
  void download(std::span<T> values) const {
    backend_->download(values.data(), data_, values.size_bytes());
  }
  void clear() { backend_->clear(data_, static_cast<std::size_t>(size_) * sizeof(T)); }

 private:
  void swap(DeviceArray& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  Backend* backend_ = nullptr;
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace ae
