// That no signal reaches a thread while it computes: oneDNN's generated code leaves no room for a
// signal's frame (see BlockedSignals). A timer sends signals through trainings of every recipe,
// which must give the bits of a training that was left alone.

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "device/blocked_signals.hpp"
#include "device/cpu/thread_pool.hpp"
#include "report/principal_components.hpp"
#include "test_data.hpp"

namespace ae {
namespace {

using test::digits;

std::atomic<int> signals_taken{0};

void take_signal(int /*signal*/) {
  // As much of the stack as a profiler takes.
  volatile char room[2048];
  for (volatile char& byte : room) byte = 1;
  ++signals_taken;
}

/// While it lives, SIGPROF arrives every millisecond, whatever the process does.
class SignalTimer {
 public:
  SignalTimer() {
    struct sigaction action = {};
    action.sa_handler = take_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGPROF, &action, &saved_);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGPROF;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) throw std::runtime_error("no timer");
    const itimerspec each_millisecond{{0, 1'000'000}, {0, 1'000'000}};
    timer_settime(timer_, 0, &each_millisecond, nullptr);
  }
  ~SignalTimer() {
    timer_delete(timer_);
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;  // what is still under way
    sigaction(SIGPROF, &ignore, nullptr);
    sigaction(SIGPROF, &saved_, nullptr);
  }
  SignalTimer(const SignalTimer&) = delete;
  SignalTimer& operator=(const SignalTimer&) = delete;

 private:
  struct sigaction saved_ = {};
  timer_t timer_{};
};

/// 2,000 rows: the digits, five times.
const Dataset& rows() {
  static const Dataset repeated = [] {
    std::vector<std::uint8_t> values;
    for (int i = 0; i < 5; ++i) {
      const auto bytes = digits().bytes();
      values.insert(values.end(), bytes.begin(), bytes.end());
    }
    return Dataset("digits", {28, 28}, std::move(values));
  }();
  return repeated;
}

/// recipes/NAME.toml
struct Recipe {
  std::string name;
  std::vector<std::string> encoder;
  std::vector<std::string> decoder;
  void (*set)(TrainOptions& options) = nullptr;
};

const std::vector<Recipe>& recipes() {
  static const std::vector<std::string> kDown = {"conv 32 3x3 relu", "max_pool 2",
                                                 "conv 32 3x3 relu", "max_pool 2"};
  static const std::vector<std::string> kUp = {"transposed_conv 32 3x3 stride 2 relu",
                                               "transposed_conv 32 3x3 stride 2 relu",
                                               "conv 1 3x3 sigmoid"};
  static const std::vector<Recipe> all = {
      {"simple", {"dense 32 relu"}, {}, [](TrainOptions&) {}},
      {"deep", {"dense 128 relu", "dense 64 relu", "dense 32 relu"}, {}, [](TrainOptions&) {}},
      {"sparse", {"dense 32 relu"}, {}, [](TrainOptions& options) { options.sparsity.l1 = 1e-4F; }},
      {"vae",
       {"dense 400 relu", "gaussian 20"},
       {},
       [](TrainOptions& options) {
         options.batch_size = 128;
         options.reduction = Reduction::sum;
       }},
      {"conv", kDown, kUp, [](TrainOptions& options) { options.batch_size = 128; }},
      {"denoise", kDown, kUp, [](TrainOptions& options) {
         options.batch_size = 128;
         options.noise = {Noise::gaussian, 0.4F};
       }}};
  return all;
}

std::vector<float> trained(const Recipe& recipe, int threads) {
  TrainOptions options;
  options.epochs = 1;
  options.device = {"cpu", threads};
  recipe.set(options);
  const Dataset held_out = digits().first(100);
  Model model =
      Model::initialize(parse_model(rows().row_shape(), recipe.encoder, recipe.decoder), 1);
  train(model, rows(), &held_out, options);
  return model.parameters;
}

class SignalsInTraining : public ::testing::TestWithParam<Recipe> {};

INSTANTIATE_TEST_SUITE_P(Recipes, SignalsInTraining, ::testing::ValuesIn(recipes()),
                         [](const auto& recipe) { return recipe.param.name; });

TEST_P(SignalsInTraining, ChangeNoBit) {
  const std::vector<float> due = trained(GetParam(), 2);
  for (const int threads : {1, 2}) {
    signals_taken = 0;
    {
      const SignalTimer timer;
      EXPECT_EQ(trained(GetParam(), threads), due) << threads << " threads";
    }
    EXPECT_GT(signals_taken, 0) << "between the steps they arrive";
  }
}

TEST(Signals, ChangeNoBitOfPrincipalComponents) {
  const std::vector<double> mean = report::column_means(rows());
  const auto reconstructed = [&] {
    std::vector<float> all;
    const report::PrincipalComponents pca(rows(), mean, 32);
    pca.for_each_reconstruction(rows(), rows().rows(), [&](auto, std::span<const float> row) {
      all.insert(all.end(), row.begin(), row.end());
    });
    return all;
  };
  const std::vector<float> due = reconstructed();
  const SignalTimer timer;
  for (int round = 0; round < 3; ++round) EXPECT_EQ(reconstructed(), due);
}

/// Whether this thread would not take the signal now.
bool is_blocked(int signal) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

TEST(Signals, AreBlockedButForFaults) {
  EXPECT_FALSE(is_blocked(SIGINT));
  {
    const BlockedSignals blocked;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPROF, SIGALRM, SIGUSR1, SIGCHLD}) {
      EXPECT_TRUE(is_blocked(signal)) << strsignal(signal);
    }
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
      EXPECT_FALSE(is_blocked(fault)) << strsignal(fault);
    }
  }
  EXPECT_FALSE(is_blocked(SIGINT));
}

TEST(Signals, ReachNoWorker) {
  cpu::ThreadPool pool(4);
  const pthread_t caller = pthread_self();
  std::atomic<int> workers{0};
  std::atomic<int> reachable{0};
  pool.for_each(64, [&](std::int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that every thread has some
    if (pthread_equal(pthread_self(), caller) != 0) return;
    ++workers;
    if (!is_blocked(SIGPROF)) ++reachable;
  });
  EXPECT_GT(workers, 0);
  EXPECT_EQ(reachable, 0);
  EXPECT_FALSE(is_blocked(SIGPROF));
}

TEST(Signals, ArriveBetweenTheSteps) {
  Model model = Model::initialize(dense_autoencoder({28, 28}, {8}), 1);
  TrainOptions options;
  options.epochs = 1;
  options.device = {"cpu", 2};
  int asked = 0;
  options.stop_requested = [&] {
    ++asked;
    return is_blocked(SIGINT);
  };
  EXPECT_FALSE(train(model, digits(), nullptr, options).interrupted);
  EXPECT_GT(asked, 0);
}

}  // namespace
}  // namespace ae
