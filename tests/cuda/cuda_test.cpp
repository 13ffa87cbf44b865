// What only a GPU has: how often the host takes part in an epoch, data that do not fit, cuDNN as a
// second opinion, errors. The operations are judged by ops_test.cpp like those of any device.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "activation/activation_kernels.hpp"
#include "convolution/convolution_kernels.hpp"
#include "cuda_variants.hpp"
#include "dense/gemm.hpp"
#include "device/cuda/blas.hpp"
#include "device/cuda/cuda_device.hpp"
#include "device/device.hpp"
#if AE_HAS_CUDNN
#include "device/cuda/dnn.hpp"
#include "device/cuda/dnn_convolution.hpp"
#endif
#include "cuda/calls.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/memory.hpp"
#include "device/cuda/stream_context.hpp"
#include "device/cuda/upload.hpp"
#include "error_message.hpp"
#include "executors/make_device.hpp"
#include "guarded.hpp"
#include "numbers.hpp"

namespace ae {
namespace {

using test::CudaCalls;
using test::error_of;
using test::HostMatrix;
using test::Numbers;
using test::says;

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const DeviceInfo gpu = list_cuda_devices().front();
    if (gpu.usable) return;
    if (std::getenv("AE_REQUIRE_GPU") != nullptr)
      FAIL() << "AE_REQUIRE_GPU is set, but " << gpu.why_not;
    GTEST_SKIP() << "nothing ran on a GPU: " << gpu.why_not;
  }
};

/// An image of random bytes a row, about a fifth of them not zero.
Dataset random_images(std::int64_t rows, Shape shape, std::uint32_t seed) {
  Numbers numbers(seed);
  std::vector<std::uint8_t> values(static_cast<std::size_t>(rows * element_count(shape)));
  for (std::uint8_t& value : values) {
    if (numbers.unit() < 0.2F) value = static_cast<std::uint8_t>(numbers.uniform(1, 255));
  }
  return {"random images", std::move(shape), std::move(values)};
}

// ── The host's part in an epoch ─────────────────────────────────────────────────────────────────

struct Counted {
  std::vector<CudaCalls> after_step;
  std::vector<std::size_t> graph_sizes;
  std::vector<float> parameters;  ///< in the end
};

/// Trains a model, three full batches and a short one an epoch, and counts after each step.
Counted count_training(const ModelSpec& spec, TrainOptions options) {
  const Dataset rows =
      random_images(3 * options.batch_size + 2 * options.batch_size / 5, spec.input_shape, 1);
  const std::size_t graphs_before = test::graph_sizes().size();
  Counted counted;
  options.epochs = 3;
  options.stop_requested = [&] {
    counted.after_step.push_back(test::cuda_calls());
    return false;
  };
  options.on_progress = [](const StepProgress&) {};
  Model model = Model::initialize(spec, 1);
  train(model, rows, nullptr, options);
  const std::vector<std::size_t> sizes = test::graph_sizes();
  counted.graph_sizes.assign(sizes.begin() + static_cast<std::ptrdiff_t>(graphs_before),
                             sizes.end());
  counted.parameters = model.parameters;
  return counted;
}

Counted count_seed_training(const std::string& gemm, TrainOptions options = {}) {
  options.device = {.device = "cuda", .gemm = gemm};
  return count_training(dense_autoencoder({28, 28}, {32}), options);
}

TEST_F(CudaTest, AnEpochIsGraphLaunchesAndNothingElse) {
  constexpr std::size_t kStepsAnEpoch = 4;
  for (const char* gemm : {"cublas", "cublaslt"}) {
    SCOPED_TRACE(gemm);
    const std::vector<CudaCalls> after = count_seed_training(gemm).after_step;
    ASSERT_EQ(after.size(), 3 * kStepsAnEpoch);
    EXPECT_GT(after.front().kernels, 0) << "recording the steps was not counted";
    EXPECT_GT(after.front().allocations, 0);
    for (std::size_t step = 1; step < after.size(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step + 1));
      const CudaCalls made = after[step] - after[step - 1];
      EXPECT_EQ(made.launches, 1);
      EXPECT_EQ(made.kernels, 0);
      EXPECT_EQ(made.allocations, 0);
      if (step % kStepsAnEpoch != 0) {
        EXPECT_EQ(made.copies, 0);
        EXPECT_EQ(made.synchronizations, 0);
      } else {
        // Between two epochs: the loss is read, the next order of rows brought, the sum cleared.
        EXPECT_EQ(made.copies, 3);
        EXPECT_LE(made.synchronizations, 2);  // for the loss, and for the buffer of an earlier copy
      }
    }
  }
}

/// A stop takes effect soon, however short the steps are.
TEST_F(CudaTest, TheHostIsNeverManyStepsAhead) {
  const Dataset rows = random_images(1201, {28, 28}, 1);
  TrainOptions options;
  options.batch_size = 4;
  options.epochs = 1;
  options.device = {.device = "cuda"};
  Model model = Model::initialize(dense_autoencoder({28, 28}, {8}), 1);
  static_cast<void>(test::most_launches_ahead());
  const CudaCalls before = test::cuda_calls();
  train(model, rows, nullptr, options);
  const CudaCalls made = test::cuda_calls() - before;
  EXPECT_EQ(made.launches, 301);
  EXPECT_LE(test::most_launches_ahead(), kMaxStepsAhead);
  EXPECT_LE(made.synchronizations, 301 / (kMaxStepsAhead / 2) + 10) << "it waits too often";
}

/// A schedule's learning rates come with the order of rows, where they are others than before; no
/// step costs more for them, nor for the average, and clipping is one kernel.
TEST_F(CudaTest, SchedulesCostACopyAnEpochAndClippingAKernelAStep) {
  constexpr std::size_t kStepsAnEpoch = 4;
  const auto between_epochs = [&](const TrainOptions& options) {
    const std::vector<CudaCalls> after = count_seed_training("cublas", options).after_step;
    std::vector<int> copies;
    for (std::size_t step = 1; step < after.size(); ++step) {
      const CudaCalls made = after[step] - after[step - 1];
      EXPECT_EQ(made.launches, 1);
      EXPECT_EQ(made.kernels, 0);
      EXPECT_EQ(made.allocations, 0);
      if (step % kStepsAnEpoch == 0) {
        copies.push_back(made.copies);
        EXPECT_LE(made.synchronizations, 3);  // and for one more buffer
      } else {
        EXPECT_EQ(made.copies, 0);
        EXPECT_EQ(made.synchronizations, 0);
      }
    }
    return copies;
  };
  TrainOptions options;
  options.clip_norm = 1;
  options.ema_decay = 0.9F;
  EXPECT_EQ(between_epochs(options), (std::vector<int>{3, 3}));
  options.schedule.kind = Schedule::cosine;
  EXPECT_EQ(between_epochs(options), (std::vector<int>{4, 4}));
  options.schedule = {.warm_up = 1.0F};
  EXPECT_EQ(between_epochs(options), (std::vector<int>{4, 3}));

  const auto recorded = [](const TrainOptions& with) {
    const CudaCalls before = test::cuda_calls();
    return (count_seed_training("cublas", with).after_step.front() - before).kernels;
  };
  const auto plain = recorded({});
  options.clip_norm = 0;
  EXPECT_EQ(recorded(options), plain);
  options.clip_norm = 1;
  EXPECT_EQ(recorded(options), plain + 2);  // in each of the two steps that are recorded
}

/// Gather; two products forward and a kernel between them; loss; three products backward and a
/// kernel; the optimiser. cublasLt takes the kernels beside the products into them. A product is
/// one node where the library makes it in one kernel; it may take another for a sum it has split.
TEST_F(CudaTest, AStepOfTheSeedModelIsFiveProductsAndAsManyKernels) {
  constexpr int kProducts = 5;
  for (const auto& [gemm, kernels] : {std::pair{"cublas", 5}, std::pair{"cublaslt", 3}}) {
    SCOPED_TRACE(gemm);
    const CudaCalls before = test::cuda_calls();
    const Counted counted = count_seed_training(gemm);
    ASSERT_EQ(counted.graph_sizes.size(), 2U);  // the full batch's step and the short one's
    EXPECT_EQ((counted.after_step.front() - before).kernels, 2 * kernels);
    for (const std::size_t nodes : counted.graph_sizes) {
      EXPECT_GE(nodes, static_cast<std::size_t>(kernels + kProducts));
      EXPECT_LE(nodes, static_cast<std::size_t>(kernels + 2 * kProducts));
    }
  }
}

#if AE_HAS_CUDNN
/// The model of the recipe `conv` with less in it. Of its five convolutions, three have as many
/// zeros on each side: those are cuDNN's, a call and a transposition each time where one of our
/// kernels would be. It trains the same model each time, and nearly the one that our kernels train.
TEST_F(CudaTest, CudnnsConvolutionsTakeNothingFromTheHostEither) {
  const ModelSpec spec =
      parse_model({12, 12}, {"conv 6 3x3 relu", "max_pool 2", "conv 5 3x3 relu", "max_pool 2"},
                  {"transposed_conv 7 3x3 stride 2 relu", "transposed_conv 6 3x3 stride 2 relu",
                   "conv 1 3x3 sigmoid"});
  TrainOptions options;
  options.batch_size = 25;
  const auto count_with = [&](const char* convolution) {
    options.device = {.device = "cuda", .convolution = convolution};
    Counted counted = count_training(spec, options);
    for (std::size_t step = 1; step < counted.after_step.size(); ++step) {
      SCOPED_TRACE(std::string(convolution) + ", step " + std::to_string(step + 1));
      const CudaCalls made = counted.after_step[step] - counted.after_step[step - 1];
      EXPECT_EQ(made.launches, 1);
      EXPECT_EQ(made.kernels, 0);
      EXPECT_EQ(made.allocations, 0);
    }
    return counted;
  };
  const Counted own = count_with("own");
  const Counted cudnn = count_with("cudnn");
  ASSERT_EQ(own.graph_sizes.size(), 2U);
  ASSERT_EQ(cudnn.graph_sizes.size(), 2U);
  for (std::size_t i = 0; i < own.graph_sizes.size(); ++i) {
    EXPECT_GT(cudnn.graph_sizes[i], own.graph_sizes[i]);
  }
  EXPECT_TRUE(test::same_bits<float>(count_with("cudnn").parameters, cudnn.parameters));
  EXPECT_TRUE(test::same_bits<float>(count_with("auto").parameters, cudnn.parameters));
  EXPECT_FALSE(test::same_bits<float>(own.parameters, cudnn.parameters)) << "both are the same one";
  ASSERT_EQ(own.parameters.size(), cudnn.parameters.size());
  for (std::size_t i = 0; i < own.parameters.size(); ++i) {
    ASSERT_NEAR(own.parameters[i], cudnn.parameters[i], 1e-4F) << "parameter " << i;
  }
}
#endif

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────

/// Of bytes and of floats, with a short last batch, through several epochs.
TEST_F(CudaTest, StreamedDataTrainTheSameModel) {
  constexpr std::int64_t kRows = 3010;
  const Dataset bytes = random_images(kRows, {64, 64}, 2);
  std::vector<float> values(static_cast<std::size_t>(bytes.rows() * bytes.row_size()));
  for (std::int64_t row = 0; row < kRows; ++row) {
    bytes.copy_row(row, std::span(values).subspan(static_cast<std::size_t>(row * bytes.row_size()),
                                                  static_cast<std::size_t>(bytes.row_size())));
  }
  const Dataset floats("random floats", {64, 64}, std::move(values));

  for (const Dataset* data : {&bytes, &floats}) {
    SCOPED_TRACE(data->source());
    const Dataset held_out = data->first(70);
    const auto trained = [&](std::int64_t gpu_memory, int notices) {
      int noticed = 0;
      TrainOptions options;
      options.epochs = 2;
      options.batch_size = 200;
      options.device = {.device = "cuda", .gpu_memory = gpu_memory};
      options.device.on_notice = [&](const std::string& line) {
        ++noticed;
        EXPECT_TRUE(says(line, data->source()));
        EXPECT_TRUE(says(line, "streamed"));
      };
      Model model = Model::initialize(dense_autoencoder({64, 64}, {8}), 3);
      const TrainResult result = train(model, *data, &held_out, options);
      EXPECT_EQ(noticed, notices);
      return std::pair(result, model.parameters);
    };
    const auto [resident, resident_parameters] = trained(0, 0);
    // 64 MiB are the products' workspaces; model and batches take less than what is left.
    const auto [streamed, streamed_parameters] = trained(data->is_bytes() ? 78 : 90, 1);
    EXPECT_TRUE(test::same_bits<float>(streamed_parameters, resident_parameters));
    for (std::size_t epoch = 0; epoch < resident.epochs.size(); ++epoch) {
      EXPECT_EQ(streamed.epochs.at(epoch).train_loss, resident.epochs[epoch].train_loss);
      EXPECT_EQ(streamed.epochs.at(epoch).validation_loss, resident.epochs[epoch].validation_loss);
    }
  }
}

TEST_F(CudaTest, MemoryHasTheLimitThatItIsGiven) {
  const std::unique_ptr<Device> device = make_device({.device = "cuda", .gpu_memory = 100});
  {
    const DeviceArray<float> fits(*device, 8 << 20);
    const std::string message =
        error_of([&] { static_cast<void>(device->allocate(std::size_t{5} << 20U)); });
    EXPECT_TRUE(says(message, "5.0 MiB"));
    EXPECT_TRUE(says(message, "of 100.0 MiB"));
    EXPECT_TRUE(says(message, "--gpu-memory"));
  }
  const DeviceArray<float> fits_again(*device, 8 << 20);  // what is freed can be had again
}

TEST_F(CudaTest, ErrorsNameCallPlaceAndCure) {
  const std::string message =
      error_of([] { cuda::check(cudaErrorNoKernelImageForDevice, "cudaLaunchKernel"); });
  EXPECT_TRUE(says(message, "cudaLaunchKernel"));
  EXPECT_TRUE(says(message, "cudaErrorNoKernelImageForDevice"));
  EXPECT_TRUE(says(message, "cuda_test.cpp:"));
  EXPECT_TRUE(says(message, "AE_CUDA_ARCHITECTURES"));
  EXPECT_TRUE(says(error_of([] { cuda::check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasGemmEx"); }),
                   "CUBLAS_STATUS_NOT_SUPPORTED"));
  EXPECT_TRUE(says(error_of([] { make_device({.device = "cuda:99"}); }), "there is no GPU 99"));
}

// ── Second opinions ─────────────────────────────────────────────────────────────────────────────

/// Arrays and a stream for launching kernels by hand.
class Bench {
 public:
  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
  [[nodiscard]] cuda::Memory& memory() { return memory_; }

  [[nodiscard]] float* upload(const std::vector<float>& values) {
    owned_.push_back(std::make_unique<cuda::Allocation>(memory_, values.size() * sizeof(float)));
    uploader_.upload(owned_.back()->data(), values.data(), values.size() * sizeof(float));
    return static_cast<float*>(owned_.back()->data());
  }
  template <typename T>
  [[nodiscard]] T* zeros(std::int64_t size) {
    const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(T);
    owned_.push_back(std::make_unique<cuda::Allocation>(memory_, bytes));
    cuda::check(cudaMemsetAsync(owned_.back()->data(), 0, bytes, stream_.get()), "cudaMemsetAsync");
    return static_cast<T*>(owned_.back()->data());
  }
  [[nodiscard]] cuda::LaunchContext& context() { return context_; }
  [[nodiscard]] std::vector<float> download(const float* from, std::int64_t size) const {
    std::vector<float> values(static_cast<std::size_t>(size));
    cuda::check(cudaMemcpyAsync(values.data(), from, values.size() * sizeof(float),
                                cudaMemcpyDeviceToHost, stream_.get()),
                "cudaMemcpyAsync");
    cuda::check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
    return values;
  }

 private:
  cuda::OwnedStream stream_ = cuda::make_stream();
  cuda::Memory memory_{0, stream_.get(), 0};
  cuda::Uploader uploader_{stream_.get()};
  std::vector<std::unique_ptr<cuda::Allocation>> owned_;
  cuda::StreamContext context_{memory_, stream_.get()};
};

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected,
                 float tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "element " << i;
  }
}

TEST_F(CudaTest, OurProductAndCublasAgree) {
  struct Extents {
    std::int64_t m, n, k;
  };
  Bench bench;
  const cuda::Allocation workspace(bench.memory(), cuda::kBlasWorkspaceBytes);
  const cuda::Blas blas(workspace, bench.stream(), /*tf32=*/false);
  Numbers numbers(30);
  for (const Extents& e : {Extents{1, 1, 1}, Extents{33, 65, 17}, Extents{256, 32, 784},
                           Extents{257, 784, 31}, Extents{5, 3, 0}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        SCOPED_TRACE(std::to_string(e.m) + " x " + std::to_string(e.n) + " x " +
                     std::to_string(e.k) + (transpose_a ? " Aᵀ" : "") + (transpose_b ? " Bᵀ" : ""));
        const float* a = bench.upload(numbers.vector(e.m * e.k));
        const float* b = bench.upload(numbers.vector(e.k * e.n));
        const std::vector<float> poison(static_cast<std::size_t>(e.m * e.n), NAN);
        float* ours = bench.upload(poison);
        float* theirs = bench.upload(poison);
        cuda::gemm({transpose_a, transpose_b, e.m, e.n, e.k, a, b, ours}, bench.context());
        blas.multiply({transpose_a, transpose_b, e.m, e.n, e.k, a, b, theirs});
        expect_near(bench.download(ours, e.m * e.n), bench.download(theirs, e.m * e.n),
                    1e-6F * static_cast<float>(e.k + 1));
      }
    }
  }
}

#if AE_HAS_CUDNN
TEST_F(CudaTest, OurActivationsAndCudnnsAgree) {
  Bench bench;
  const cuda::Dnn dnn(bench.stream());
  Numbers numbers(31);
  for (const auto& [rows, cols] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {33, 31}, {257, 784}}) {
    for (const Activation activation : {Activation::relu, Activation::sigmoid, Activation::tanh}) {
      SCOPED_TRACE(std::string(to_string(activation)) + " " + std::to_string(rows) + " x " +
                   std::to_string(cols));
      const std::vector<float> z = numbers.vector(rows * cols, -4, 4);
      const float* bias = bench.upload(numbers.vector(cols));
      float* ours = bench.upload(z);
      float* theirs = bench.upload(z);
      cuda::bias_activation(activation, bias, ours, nullptr, rows, cols, bench.context());
      dnn.add_bias(bias, theirs, rows, cols);
      dnn.activate(activation, theirs, rows, cols);
      expect_near(bench.download(ours, rows * cols), bench.download(theirs, rows * cols), 1e-6F);

      const std::vector<float> dy = numbers.vector(rows * cols);
      float* our_dx = bench.upload(dy);
      float* their_dx = bench.upload(dy);
      float* our_dbias = bench.zeros<float>(cols);
      float* their_dbias = bench.zeros<float>(cols);
      cuda::activation_gradient(activation, ours, our_dx, rows, cols, our_dbias, bench.context());
      dnn.activation_gradient(activation, ours, their_dx, rows, cols);
      dnn.column_sums(their_dx, rows, cols, their_dbias);
      expect_near(bench.download(our_dx, rows * cols), bench.download(their_dx, rows * cols),
                  1e-6F);
      expect_near(bench.download(our_dbias, cols), bench.download(their_dbias, cols),
                  1e-6F * static_cast<float>(rows + 1));
    }
  }
}

/// Kernels, strides and zeros that cuDNN takes, at sizes that fit nothing.
std::vector<Convolution> convolutions_for_cudnn() {
  return {
      {{7, 5, 3}, {7, 5, 4}, 3, 3, 1, 1, 1},     // as "same" has it
      {{9, 6, 5}, {9, 6, 1}, 5, 1, 1, 2, 0},     // a kernel that is not square, one map channel
      {{8, 11, 1}, {6, 10, 17}, 3, 2, 1, 0, 0},  // "valid"
      {{7, 9, 4}, {4, 5, 3}, 3, 3, 2, 1, 1},     // a stride, "same" on odd sizes
      {{11, 8, 2}, {3, 2, 33}, 5, 4, 3, 0, 0},   // what lies behind the last window is unseen
      {{6, 6, 33}, {3, 3, 7}, 2, 2, 2, 0, 0},    // windows side by side
      {{4, 3, 2}, {6, 7, 3}, 1, 1, 1, 1, 2},     // more zeros than the kernel reaches
      {{1, 1, 1}, {1, 1, 1}, 1, 1, 1, 0, 0},
  };
}

TEST_F(CudaTest, OurConvolutionsAndCudnnsAgree) {
  Bench bench;
  const std::unique_ptr<cuda::DnnConvolutions> cudnn =
      cuda::make_dnn_convolutions(bench.memory(), bench.stream(), /*tf32=*/false);
  std::map<cuda::ConvolutionResult, int> compared;
  Numbers numbers(32);
  for (const Convolution& convolution : convolutions_for_cudnn()) {
    for (const std::int64_t batch : {1, 7, 33}) {
      SCOPED_TRACE(std::to_string(convolution.image.height) + "x" +
                   std::to_string(convolution.image.width) + ", kernel " +
                   std::to_string(convolution.kernel_height) + "x" +
                   std::to_string(convolution.kernel_width) + ", stride " +
                   std::to_string(convolution.stride) + ", batch " + std::to_string(batch));
      struct Operand {
        std::int64_t size;
        const float* data;
        float terms;  ///< in the sum that makes one of its values, at most
      };
      const auto operand = [&](std::int64_t size, std::int64_t terms) {
        return Operand{size, bench.upload(numbers.vector(size)), static_cast<float>(terms)};
      };
      const std::int64_t taps = convolution.kernel_height * convolution.kernel_width;
      const Operand images =
          operand(batch * convolution.image.size(), taps * convolution.map.channels);
      const Operand maps =
          operand(batch * convolution.map.size(), taps * convolution.image.channels);
      const Operand weights =
          operand(convolution.weights(), batch * convolution.map.height * convolution.map.width);
      const auto nans = [&](const Operand& like) {
        return bench.upload(std::vector<float>(static_cast<std::size_t>(like.size), NAN));
      };
      const auto expect_agreement = [&](cuda::ConvolutionResult which, const Operand& first,
                                        const Operand& second, const Operand& like,
                                        const float* ours) {
        cuda::LibraryConvolution* const theirs = cudnn->find(convolution, which, batch);
        if (theirs == nullptr) return;  // whether it can is for a GPU's cuDNN to say
        ++compared[which];
        const CudaCalls before = test::cuda_calls();
        EXPECT_EQ(cudnn->find(convolution, which, batch), theirs);
        EXPECT_EQ((test::cuda_calls() - before).allocations, 0) << "tried out a second time";
        theirs->run(nans(first), nans(second), nans(like));  // leaves NaNs where cuDNN works
        float* once = nans(like);
        float* twice = nans(like);
        theirs->run(first.data, second.data, once);
        theirs->run(first.data, second.data, twice);
        const std::vector<float> values = bench.download(once, like.size);
        expect_near(bench.download(ours, like.size), values, 1e-6F * (like.terms + 1));
        EXPECT_TRUE(test::same_bits<float>(values, bench.download(twice, like.size)));
      };

      float* our_maps = nans(maps);
      cuda::convolve(convolution, Towards::map, images.data, weights.data, our_maps, batch,
                     bench.context());
      expect_agreement(cuda::ConvolutionResult::maps, images, weights, maps, our_maps);

      float* our_images = nans(images);
      cuda::convolve(convolution, Towards::image, maps.data, weights.data, our_images, batch,
                     bench.context());
      expect_agreement(cuda::ConvolutionResult::images, maps, weights, images, our_images);

      float* our_weights = nans(weights);
      cuda::convolution_weights(convolution, images.data, maps.data, our_weights, batch,
                                bench.context());
      expect_agreement(cuda::ConvolutionResult::weights, images, maps, weights, our_weights);
    }
  }
  EXPECT_EQ(compared.size(), 3U) << "cuDNN does some of them, each of the three";
}

/// What cuDNN has no words for is left to our kernels.
TEST_F(CudaTest, CudnnIsNotAskedForWhatItDoesNotTake) {
  Bench bench;
  const std::unique_ptr<cuda::DnnConvolutions> cudnn =
      cuda::make_dnn_convolutions(bench.memory(), bench.stream(), /*tf32=*/false);
  constexpr std::int64_t kBatch = 3;
  const auto takes = [&](const Convolution& convolution, std::int64_t batch) {
    bool taken = false;
    for (const cuda::ConvolutionResult result :
         {cuda::ConvolutionResult::images, cuda::ConvolutionResult::maps,
          cuda::ConvolutionResult::weights}) {
      taken = taken || cudnn->find(convolution, result, batch) != nullptr;
    }
    return taken;
  };
  const Convolution even{{14, 14, 3}, {14, 14, 2}, 3, 3, 1, 1, 1};
  EXPECT_TRUE(takes(even, kBatch));
  EXPECT_FALSE(takes(even, 0));
  EXPECT_FALSE(takes(even, std::int64_t{1} << 23U));  // 2³¹ values and more
  // The odd zero is below and on the right; in one dimension alone; a map that leaves some away.
  EXPECT_FALSE(takes({{14, 14, 3}, {7, 7, 2}, 3, 3, 2, 0, 0}, kBatch));
  EXPECT_FALSE(takes({{14, 13, 3}, {7, 7, 2}, 3, 3, 2, 0, 1}, kBatch));
  EXPECT_FALSE(takes({{13, 14, 3}, {7, 7, 2}, 3, 3, 2, 1, 0}, kBatch));
  EXPECT_FALSE(takes({{14, 14, 3}, {11, 14, 2}, 3, 3, 1, 1, 1}, kBatch));
  EXPECT_FALSE(takes({{2, 2, 3}, {1, 1, 2}, 3, 3, 1, 0, 0}, kBatch));  // a kernel over the edge
}
#endif

/// The benchmark's variants run, each timed and one of each kind of work ours.
TEST_F(CudaTest, VariantsAreTimed) {
  const std::vector<VariantTime> times = time_cuda_variants({.device = "cuda"}, 33, 20, 7);
  ASSERT_FALSE(times.empty());
  std::string work;
  for (const VariantTime& time : times) {
    EXPECT_EQ(time.is_ours, time.work != work) << time.work << ": " << time.variant;
    work = time.work;
    EXPECT_GT(time.seconds, 0);
    EXPECT_LE(time.seconds_min, time.seconds);
    EXPECT_LE(time.seconds, time.seconds_max);
  }
}

}  // namespace
}  // namespace ae
