// That an epoch allocates nothing. This program replaces operator new to count, which is why it
// stands alone.

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "test_data.hpp"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The forms that do not throw call these. Inlined into their callers, GCC would take the pair of
// malloc and delete for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
// By default the array forms call the others, but AddressSanitizer brings its own.
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace ae {
namespace {

/// How often operator new was called up to the end of each step.
std::vector<std::size_t> count_by_step(const ModelSpec& spec, int threads, TrainOptions options) {
  constexpr std::size_t kMostSteps = 1000;
  const Dataset& digits = test::digits();
  const Dataset held_out = digits.first(50);
  Model model = Model::initialize(spec, 1);
  std::vector<std::size_t> counts;
  counts.reserve(kMostSteps);
  options.epochs = 5;
  options.batch_size = 64;  // six batches and a short one
  options.device = {"cpu", threads};
  options.stop_requested = [&] {
    counts.push_back(allocations);
    return false;
  };
  options.on_progress = [](const StepProgress&) {};
  train(model, digits, &held_out, options);
  EXPECT_EQ(counts.size(), 5U * 7U);
  return counts;
}

TEST(Allocations, AreCounted) {
  const std::size_t before = allocations;
  ::operator delete(::operator new(10));  // called by name, it cannot be optimised away
  EXPECT_EQ(allocations, before + 1);
  ::operator delete[](::operator new[](10));
  EXPECT_EQ(allocations, before + 2);
}

void expect_none_in_an_epoch(const TrainOptions& options) {
  for (const ModelSpec& spec :
       {dense_autoencoder({28, 28}, {32}), dense_autoencoder({28, 28}, {33, 20, 8}),
        parse_model({28, 28}, {"dense 20 identity", "batch_norm relu", "dropout 0.1", "dense 8"},
                    {"layer_norm relu", "dense 784"}),
        parse_model({28, 28}, {"conv 3 3x3 stride 2", "max_pool 2", "dense 30", "gaussian 5"},
                    {"dense 49", "reshape 7x7x1", "transposed_conv 2 3x3 stride 2", "upsample 2",
                     "conv 1 3x3"}),
        parse_model({28, 28}, {"dense 20 sigmoid", "top_k 7"}, {}),
        parse_model({28, 28}, {"dense 20", "dense 8"}, {"dense 20 tied", "dense 784 tied"})}) {
    for (const int threads : {1, 2}) {
      const std::vector<std::size_t> counts = count_by_step(spec, threads, options);
      for (std::size_t step = 1; step < counts.size(); ++step) {
        const std::size_t made = counts[step] - counts[step - 1];
        const std::size_t epoch = step / 7 + 1;
        // Between two epochs, shuffle and validation, the list of results alone may grow; and the
        // first validation makes itself its memory.
        const bool between = step % 7 == 0;
        if (between && epoch == 2) continue;
        EXPECT_LE(made, between ? 1U : 0U)
            << "step " << step % 7 + 1 << " of epoch " << epoch << ", " << threads << " threads, "
            << to_string(spec.encoder);
      }
    }
  }
}

TEST(Allocations, AnEpochMakesNone) {
  expect_none_in_an_epoch({});
}

TEST(Allocations, NoiseAndSparsityMakeNone) {
  TrainOptions options;
  options.noise = {Noise::gaussian, 0.3F};
  options.variational.free_bits = 0.1F;
  expect_none_in_an_epoch(options);
}

TEST(Allocations, AScheduleClippingAndAnAverageMakeNone) {
  TrainOptions options;
  options.schedule = {.kind = Schedule::cosine, .warm_up = 1.5F};
  options.clip_norm = 0.01F;
  options.ema_decay = 0.9F;
  expect_none_in_an_epoch(options);
}

}  // namespace
}  // namespace ae
