// Devices as the public interface names and describes them.

#include "ae/device.hpp"

#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "ae/error.hpp"
#include "ae/simt.hpp"

#include "device/emulated_device.hpp"
#include "error_message.hpp"

namespace ae::test {
namespace {

/// While it lives, this process can open no file.
class NoFiles {
 public:
  NoFiles() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoFiles() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoFiles(const NoFiles&) = delete;
  NoFiles& operator=(const NoFiles&) = delete;

 private:
  rlimit before_{};
};

/// The system takes longer to write /proc/cpuinfo than a small model to encode a row, and each call
/// of the library resolves its device.
TEST(DeviceList, AreDescribedWithoutReadingFilesAgain) {
  const std::string first = resolve_device({.device = "cpu"}).description;
  const NoFiles none;
  EXPECT_EQ(resolve_device({.device = "cpu"}).description, first);
  EXPECT_EQ(resolve_device({.device = "cpu"}).name, "cpu");
}

TEST(DeviceList, EmulatedOneIsThereOnceItIsRegistered) {
  register_simt_device();
  register_simt_device();
  EXPECT_EQ(resolve_device({.device = "simt:shuffled:7"}).name, "simt");
  EXPECT_THROW(resolve_device({.device = "simt:sideways"}), UsageError);
  ASSERT_NE(emulated_device(), nullptr);
  EXPECT_TRUE(emulated_device()->has_order("simt:reverse"));
  EXPECT_FALSE(emulated_device()->has_order("cpu"));
}

}  // namespace
}  // namespace ae::test
