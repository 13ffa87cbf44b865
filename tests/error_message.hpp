#pragma once

#include <string>

#include <gtest/gtest.h>

#include "ae/error.hpp"

namespace ae::test {

/// The message of the ae::Error that `action` throws; empty, with the test failed, if it throws
/// none or the message is more than a line.
template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

/// Whether `message` contains `part`.
inline ::testing::AssertionResult says(const std::string& message, const std::string& part) {
  if (!part.empty() && message.find(part) != std::string::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "'" << part << "' is not in '" << message << "'";
}

}  // namespace ae::test
