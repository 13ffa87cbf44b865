#pragma once

#include <cstdlib>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/device.hpp"

#include "cpu/instruction_set.hpp"
#include "device/cuda/cuda_device.hpp"
#include "device/device.hpp"
#include "executors/make_device.hpp"
#include "oracle.hpp"

namespace ae::test {

/// Sets an environment variable for as long as it lives.
class EnvironmentVariable {
 public:
  EnvironmentVariable(std::string name, const std::string& value) : name_(std::move(name)) {
    if (const char* old = std::getenv(name_.c_str())) old_ = old;
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  ~EnvironmentVariable() {
    if (old_) {
      ::setenv(name_.c_str(), old_->c_str(), 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

 private:
  std::string name_;
  std::optional<std::string> old_;
};

/// Something that operations run on, in one of its forms.
struct Target {
  DeviceOptions options;
  std::string instruction_set;  ///< of the CPU; empty elsewhere
  Precision precision;

  [[nodiscard]] std::string name() const {
    std::string text = options.device;
    if (!instruction_set.empty()) text += "_" + instruction_set;
    if (options.gemm != "cublas") text += "_" + options.gemm;
    if (options.convolution != "auto") text += "_" + options.convolution + "_convolution";
    if (options.precision != "fp32") text += "_" + options.precision;
    if (options.threads > 0) text += "_" + std::to_string(options.threads) + "_threads";
    return text;
  }

  [[nodiscard]] Target with_threads(int threads) const {
    Target target = *this;
    target.options.threads = threads;
    return target;
  }

  /// The emulated device is slow: it is given fewer of the same.
  [[nodiscard]] int affordable(int count, int on_simt) const {
    return options.device.starts_with("simt") ? on_simt : count;
  }

  /// Only the CPU counts its threads.
  [[nodiscard]] std::vector<int> thread_counts() const {
    return options.device == "cpu" ? std::vector<int>{1, 2, 4} : std::vector<int>{0};
  }

  /// While the result lives, devices for `options` are this target's.
  [[nodiscard]] std::unique_ptr<EnvironmentVariable> choose() const {
    if (instruction_set.empty()) return nullptr;
    return std::make_unique<EnvironmentVariable>("AE_ISA", instruction_set);
  }

  [[nodiscard]] std::unique_ptr<Device> make() const {
    const std::unique_ptr<EnvironmentVariable> chosen = choose();
    return make_device(options);
  }
};

inline void PrintTo(const Target& target, std::ostream* stream) {
  *stream << target.name();
}

/// The orders in which the emulated device runs its threads: all three, or the first alone where
/// AE_SIMT_ORDERS is "forward", or none where it is "none".
inline std::vector<std::string> simt_orders() {
  const char* const asked = std::getenv("AE_SIMT_ORDERS");
  if (asked != nullptr && std::string(asked) == "forward") return {"simt"};
  if (asked != nullptr && std::string(asked) == "none") return {};
  return {"simt", "simt:reverse", "simt:shuffled"};
}

/// Every device that is usable here; the CPU once for each instruction set it has, the emulated
/// device once for each order of its threads, a GPU once for each library of products.
inline std::vector<Target> devices() {
  std::vector<Target> found;
  for (const DeviceInfo& device : list_devices()) {
    if (!device.usable || device.name == "check") continue;
    if (device.name == "cpu") {
      for (const cpu::InstructionSet set : cpu::usable_instruction_sets()) {
        found.push_back({{"cpu", 1}, std::string(to_string(set)), {}});
      }
    } else if (device.name == "simt") {
      for (const std::string& order : simt_orders()) {
        found.push_back({{order, 0}, "", {}});
      }
    } else {
      for (const char* gemm : {"cublas", "cublaslt"}) {
        found.push_back({{.device = device.name, .gemm = gemm}, "", {}});
      }
    }
  }
  return found;
}

/// The same, once for each number of threads.
inline std::vector<Target> targets() {
  std::vector<Target> found;
  for (const Target& device : devices()) {
    for (const int threads : device.thread_counts()) found.push_back(device.with_threads(threads));
  }
  return found;
}

/// TF32 rounds both factors of a product to 11 bits.
inline Target in_tf32(Target target) {
  target.options.precision = "tf32";
  target.precision.unit = 0x1p-10;
  return target;
}

/// And in each precision.
inline std::vector<Target> targets_in_every_precision() {
  std::vector<Target> found = targets();
  for (const Target& target : targets()) {
    if (is_cuda_device(target.options.device)) found.push_back(in_tf32(target));
  }
  return found;
}

/// For images: where a GPU's convolutions are cuDNN's, also with our own, and cuDNN's in TF32.
inline std::vector<Target> targets_for_images() {
  std::vector<Target> found = targets();
  for (Target target : targets()) {
    if (!is_cuda_device(target.options.device) || target.options.gemm != "cublas" || !has_cudnn())
      continue;
    found.push_back(in_tf32(target));
    target.options.convolution = "own";
    found.push_back(target);
  }
  return found;
}

/// A test's name may hold letters, digits and underscores.
inline std::string test_name(const ::testing::TestParamInfo<Target>& info) {
  std::string name = info.param.name();
  for (char& c : name) {
    if (c == ':' || c == '-') c = '_';
  }
  return name;
}

}  // namespace ae::test
