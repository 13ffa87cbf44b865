// Of all test programs: every device that there can be is there.

#include <gtest/gtest.h>

#include "ae/simt.hpp"

int main(int argc, char** argv) {
  ae::register_simt_device();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
