// Where the system refuses threads, or more are asked for than are of use, the work goes on with
// fewer and gives the same numbers.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "device/cpu/cpu_device.hpp"
#include "device/cpu/thread_pool.hpp"
#include "error_message.hpp"
#include "report/principal_components.hpp"
#include "test_data.hpp"

namespace ae {
namespace {

using test::digits;
using test::says;

/// From here on this process may have so many threads.
void allow_threads(rlim_t threads) {
  // No limit holds for root.
  if (::geteuid() == 0 && ::setuid(65534) != 0) std::abort();
  const rlimit limit{threads, threads};
  if (::setrlimit(RLIMIT_NPROC, &limit) != 0) std::abort();
}

class RefusedThreads : public ::testing::Test {
 protected:
  // A process of its own for what is refused: OpenMP's threads would be missing in a forked one.
  void SetUp() override {
    saved_ = GTEST_FLAG_GET(death_test_style);
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
  void TearDown() override { GTEST_FLAG_SET(death_test_style, saved_); }

 private:
  std::string saved_;
};

std::vector<float> trained(int threads, std::string* notice = nullptr) {
  TrainOptions options;
  options.epochs = 1;
  options.batch_size = 100;
  options.device = {"cpu", threads};
  if (notice != nullptr)
    options.device.on_notice = [=](const std::string& line) { *notice = line; };
  Model model = Model::initialize(dense_autoencoder({28, 28}, {32}), 1);
  train(model, digits(), nullptr, options);
  return model.parameters;
}

TEST_F(RefusedThreads, APoolWorksWithThoseThatThereAre) {
  const auto run = [] {
    allow_threads(2);
    cpu::ThreadPool pool(8);
    std::vector<std::atomic<int>> times(100);
    pool.for_each(100, [&](std::int64_t task) { ++times[static_cast<std::size_t>(task)]; });
    for (const std::atomic<int>& once : times) {
      if (once != 1) std::_Exit(1);
    }
    std::_Exit(pool.threads() <= 2 ? 0 : 2);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST_F(RefusedThreads, ATrainingGivesTheSameNumbersAndSaysSo) {
  const std::vector<float> due = trained(1);
  const auto run = [&] {
    allow_threads(2);
    std::string notice;
    const bool same = trained(4, &notice) == due;
    std::_Exit(same && says(notice, "the system starts") && says(notice, " of 4 threads") ? 0 : 1);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST_F(RefusedThreads, DoNotEndTheSearchForPrincipalComponents) {
  const auto run = [] {
    const std::vector<double> mean = report::column_means(digits());
    allow_threads(1);
    const report::PrincipalComponents pca(digits(), mean, 8);
    std::_Exit(pca.components() == 8 ? 0 : 1);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST_F(RefusedThreads, NobodyNeedsAHundredThousand) {
  std::string notice;
  EXPECT_EQ(trained(100000, &notice), trained(1));
  EXPECT_TRUE(says(notice, "100000 threads are of no use on"));
  EXPECT_TRUE(says(notice, "the numbers are the same"));
  notice.clear();
  trained(available_cores(), &notice);
  EXPECT_EQ(notice, "");
  // What a device is said to be agrees with that.
  EXPECT_EQ(describe_cpu(100000), describe_cpu(4 * available_cores()));
}

}  // namespace
}  // namespace ae
