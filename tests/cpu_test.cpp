// What the CPU device stands on: its threads, its choice of an instruction set, its GEMM.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ae/device.hpp"
#include "ae/error.hpp"

#include "cpu/gemm.hpp"
#include "cpu/instruction_set.hpp"
#include "device/cpu/cpu_device.hpp"
#include "device/cpu/float_mode.hpp"
#include "device/cpu/thread_pool.hpp"
#include "error_message.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using cpu::ThreadPool;
using test::error_of;
using test::says;

// ── The thread pool ─────────────────────────────────────────────────────────────────────────────

class ThreadPoolTest : public ::testing::TestWithParam<int> {
 protected:
  ThreadPool pool_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, ::testing::Values(1, 2, 3, 4, 8),
                         ::testing::PrintToStringParamName());

TEST_P(ThreadPoolTest, HasTheThreadsItWasAskedFor) {
  EXPECT_EQ(pool_.threads(), GetParam());
}

TEST_P(ThreadPoolTest, RunsEachTaskOnce) {
  for (const std::int64_t count : {0, 1, 2, 3, 7, 8, 9, 100, 1001}) {
    std::vector<std::atomic<int>> times(static_cast<std::size_t>(count));
    pool_.for_each(count, [&](std::int64_t task) { ++times.at(static_cast<std::size_t>(task)); });
    for (std::size_t task = 0; task < times.size(); ++task) {
      EXPECT_EQ(times[task], 1) << "task " << task << " of " << count;
    }
  }
}

TEST_P(ThreadPoolTest, ManyRegionsFollowEachOther) {
  // Plain memory: what one region wrote, on whichever thread, the next one and the caller see.
  std::vector<std::int64_t> values(64);
  constexpr int kRegions = 500;
  for (int region = 0; region < kRegions; ++region) {
    pool_.for_each(64, [&](std::int64_t task) { ++values[static_cast<std::size_t>(task)]; });
    pool_.for_each(64, [&](std::int64_t task) { ++values[static_cast<std::size_t>(63 - task)]; });
    EXPECT_EQ(values.front(), 2 * region + 2);
    EXPECT_EQ(values.back(), 2 * region + 2);
  }
  EXPECT_EQ(values, std::vector<std::int64_t>(64, 2 * kRegions));
}

TEST_P(ThreadPoolTest, WorksAfterItsThreadsWentToSleep) {
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> done = 0;
    pool_.for_each(50, [&](std::int64_t) { ++done; });
    EXPECT_EQ(done, 50);
  }
}

TEST_P(ThreadPoolTest, HandsAnExceptionOnAndGoesOnWorking) {
  for (const std::int64_t count : {1, 2, 100}) {
    for (const std::int64_t thrower : {std::int64_t{0}, count - 1}) {
      std::atomic<int> running = 0;
      const auto task = [&](std::int64_t index) {
        ++running;
        if (index == thrower) {
          --running;
          throw std::runtime_error("task " + std::to_string(index));
        }
        --running;
      };
      try {
        pool_.for_each(count, task);
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), "task " + std::to_string(thrower));
      }
      EXPECT_EQ(running, 0) << "a task was still running";
    }
  }
  // All at once: one of them arrives, and nothing is left over for the next region.
  EXPECT_THROW(pool_.for_each(64, [](std::int64_t) { throw std::logic_error("all"); }),
               std::logic_error);
  std::atomic<int> done = 0;
  EXPECT_NO_THROW(pool_.for_each(64, [&](std::int64_t) { ++done; }));
  EXPECT_EQ(done, 64);
}

TEST_P(ThreadPoolTest, ThreadsHelpTheOneThatIsLate) {
  // The first thread's share is slow. Whoever is done with its own takes tasks of it.
  constexpr std::int64_t kSlow = 40;
  std::mutex mutex;
  std::set<std::thread::id> helpers;
  pool_.for_each(kSlow * GetParam(), [&](std::int64_t task) {
    if (task >= kSlow) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::lock_guard lock(mutex);
    helpers.insert(std::this_thread::get_id());
  });
  if (GetParam() == 1) {
    EXPECT_EQ(helpers.size(), 1U);
  } else {
    EXPECT_GT(helpers.size(), 1U);
  }
}

TEST(ThreadPool, TwoPoolsWorkSideBySide) {
  ThreadPool outer(2);
  std::atomic<int> done = 0;
  outer.for_each(4, [&](std::int64_t) {
    ThreadPool inner(2);
    inner.for_each(8, [&](std::int64_t) { ++done; });
  });
  EXPECT_EQ(done, 32);
}

TEST(ThreadPool, ComesAndGoesWithoutWork) {
  for (int round = 0; round < 50; ++round) {
    const ThreadPool pool(round % 4 + 1);
    EXPECT_EQ(pool.threads(), round % 4 + 1);
  }
}

// ── Denormals ───────────────────────────────────────────────────────────────────────────────────

float half_of(float value) {
  const volatile float input = value;  // computed when the program runs, in its mode of that time
  const volatile float half = input * 0.5F;
  return half;
}

TEST(FloatMode, FlushesDenormalsWhileItLives) {
  constexpr float kSmallest = std::numeric_limits<float>::min();
  EXPECT_GT(half_of(kSmallest), 0.0F);
  {
    const cpu::FloatMode mode;
#if defined(__x86_64__) || defined(__aarch64__)
    EXPECT_EQ(half_of(kSmallest), 0.0F);
#endif
  }
  EXPECT_GT(half_of(kSmallest), 0.0F);
}

TEST(FloatMode, HoldsOnEveryThreadOfAPoolAndNowhereElse) {
#if defined(__x86_64__) || defined(__aarch64__)
  ThreadPool pool(4);
  std::atomic<int> flushed = 0;
  pool.for_each(100, [&](std::int64_t) {
    if (half_of(std::numeric_limits<float>::min()) == 0.0F) ++flushed;
  });
  EXPECT_EQ(flushed, 100);
#endif
  EXPECT_GT(half_of(std::numeric_limits<float>::min()), 0.0F);
}

// ── Instruction sets ────────────────────────────────────────────────────────────────────────────

TEST(InstructionSets, EndWithTheBaselineAndHaveNamesOfTheirOwn) {
  const std::span<const cpu::InstructionSet> usable = cpu::usable_instruction_sets();
  ASSERT_FALSE(usable.empty());
  EXPECT_EQ(to_string(usable.back()), "baseline");
  std::set<std::string_view> names;
  for (const cpu::InstructionSet set : usable) names.insert(to_string(set));
  EXPECT_EQ(names.size(), usable.size());
}

TEST(InstructionSets, TheBestIsTakenUnlessTheEnvironmentSaysOtherwise) {
  const std::span<const cpu::InstructionSet> usable = cpu::usable_instruction_sets();
  {
    const test::EnvironmentVariable isa("AE_ISA", "");
    EXPECT_EQ(cpu::select_instruction_set(), usable.front());
  }
  for (const cpu::InstructionSet set : usable) {
    const test::EnvironmentVariable isa("AE_ISA", std::string(to_string(set)));
    EXPECT_EQ(cpu::select_instruction_set(), set);
    EXPECT_TRUE(says(describe_cpu(2), std::string(to_string(set))));
    EXPECT_TRUE(says(describe_cpu(2), "2 threads"));
  }
  const test::EnvironmentVariable isa("AE_ISA", "abacus");
  const std::string message = error_of([] { cpu::select_instruction_set(); });
  EXPECT_TRUE(says(message, "AE_ISA"));
  EXPECT_TRUE(says(message, "abacus"));
  EXPECT_TRUE(says(message, "baseline"));
  EXPECT_THROW(make_cpu_device(1), UsageError);
}

// ── GEMM ────────────────────────────────────────────────────────────────────────────────────────

TEST(Gemm, StaysWithinItsRowsAndTransposes) {
  // Matrices within larger ones, all of small integers: every product and sum is exact.
  constexpr std::int64_t kStride = 20;
  const auto integers = [](std::int64_t rows) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < rows * kStride; ++i) {
      values.push_back(static_cast<float>(i * i % 13 - 6));
    }
    return values;
  };
  for (const std::int64_t m : {1, 5, 17}) {
    for (const std::int64_t n : {1, 7, 18}) {
      for (const std::int64_t k : {0, 1, 19}) {
        const std::vector<float> a = integers(20);
        const std::vector<float> b = integers(20);
        for (const bool transpose_a : {false, true}) {
          for (const bool transpose_b : {false, true}) {
            constexpr float kUntouched = 1234;
            std::vector<float> c(20 * kStride, kUntouched);
            cpu::gemm(transpose_a ? cpu::Transposed::yes : cpu::Transposed::no,
                      transpose_b ? cpu::Transposed::yes : cpu::Transposed::no, m, n, k, a.data(),
                      kStride, b.data(), kStride, c.data(), kStride);
            for (std::int64_t row = 0; row < 20; ++row) {
              for (std::int64_t col = 0; col < kStride; ++col) {
                float due = row < m && col < n ? 0 : kUntouched;
                for (std::int64_t i = 0; row < m && col < n && i < k; ++i) {
                  const std::int64_t at_a = transpose_a ? i * kStride + row : row * kStride + i;
                  const std::int64_t at_b = transpose_b ? col * kStride + i : i * kStride + col;
                  due += a[static_cast<std::size_t>(at_a)] * b[static_cast<std::size_t>(at_b)];
                }
                ASSERT_EQ(c[static_cast<std::size_t>(row * kStride + col)], due)
                    << m << "x" << n << "x" << k << " at " << row << ", " << col;
              }
            }
          }
        }
      }
    }
  }
}

// ── Devices ─────────────────────────────────────────────────────────────────────────────────────

TEST(Devices, TheCpuIsAlwaysThere) {
  EXPECT_EQ(resolve_device({"cpu", 3}).name, "cpu");
  EXPECT_TRUE(resolve_device({"cpu", 3}).usable);
  EXPECT_TRUE(says(resolve_device({"cpu", 3}).description, "3 threads"));
  EXPECT_TRUE(resolve_device({}).usable);
  EXPECT_GE(available_cores(), 1);
}

TEST(Devices, UnknownOnesAndUnusableOnesAreRefused) {
  for (const char* name : {"", "abacus", "cpu:0", "cuda:", "cuda:x", "CPU"}) {
    EXPECT_THROW(resolve_device({name, 0}), UsageError) << name;
  }
  EXPECT_THROW(resolve_device({"cpu", -1}), UsageError);
  for (const DeviceInfo& device : list_devices()) {
    if (device.usable) continue;
    const std::string message = error_of([&] { resolve_device({device.name, 0}); });
    EXPECT_TRUE(says(message, device.name));
    EXPECT_TRUE(says(message, device.why_not));
  }
}

}  // namespace
}  // namespace ae
