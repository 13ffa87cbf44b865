#pragma once

#include <cstdint>
#include <span>

namespace ae {

/// The order of rows in epoch `epoch` (1-based): a Fisher-Yates shuffle of 0 … n-1 drawn from the
/// generator's stream for that seed and epoch, so that any epoch's order is had without those
/// before it.
void shuffle_rows(std::uint64_t seed, std::int64_t epoch, std::span<std::int32_t> rows);

}  // namespace ae
