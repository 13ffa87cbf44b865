#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "ae/dataset.hpp"

namespace ae::test {

/// A file of tests/data: in the folder $AE_TEST_DATA, else in the folder `data` beside this
/// program. No path is compiled in, so programs may be copied to another machine.
inline std::filesystem::path test_data(const std::string& name) {
  if (const char* folder = std::getenv("AE_TEST_DATA")) return std::filesystem::path(folder) / name;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "data" / name;
}

/// 400 grey images of 28x28, drawn by tools/make_synthetic_digits.py.
inline const Dataset& digits() {
  static const Dataset loaded = load_dataset(test_data("synthetic-digits-idx3-ubyte.gz"));
  return loaded;
}

}  // namespace ae::test
