#pragma once

namespace ae {

/// The least and the largest of some values.
struct ValueRange {
  float low = 0;
  float high = 0;
};

}  // namespace ae
