#include "executors/checked_output.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

namespace ae {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
double difference_of(T judged, T reference) {
  if (judged == reference) return 0;
  if constexpr (std::is_integral_v<T>) {
    // Unsigned, since a double would take large neighbours for equal and T could overflow.
    const auto [low, high] = std::minmax(judged, reference);
    return static_cast<double>(static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low));
  } else {
    if (std::isnan(judged) && std::isnan(reference)) return 0;
    const double difference =
        std::abs(static_cast<double>(judged) - static_cast<double>(reference));
    if (std::isnan(difference)) return kInfinity;
    return difference;
  }
}

template <typename T>
double largest_magnitude(std::span<const T> values) {
  double largest = 0;
  for (const T value : values) {
    const double magnitude = std::abs(static_cast<double>(value));
    if (std::isfinite(magnitude)) largest = std::max(largest, magnitude);
  }
  return largest;
}

}  // namespace

template <typename T>
void CheckedOutputs::compare(std::string_view name, std::int64_t cols, std::span<const T> judged,
                             std::span<const T> reference) {
  CheckedOutput& output = entry(name);
  ++output.calls;
  output.elements += static_cast<std::int64_t>(reference.size());

  double difference = 0;
  std::size_t element = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double candidate = difference_of(judged[i], reference[i]);
    if (candidate <= difference) continue;
    difference = candidate;
    element = i;
  }
  if (difference == 0) return;

  const double magnitude = largest_magnitude(reference);
  const double relative = magnitude > 0 ? difference / magnitude : kInfinity;
  if (relative <= output.relative) return;
  output.relative = relative;
  output.difference = difference;
  output.call = output.calls;
  output.row = static_cast<std::int64_t>(element) / cols;
  output.col = static_cast<std::int64_t>(element) % cols;
  output.judged = static_cast<double>(judged[element]);
  output.reference = static_cast<double>(reference[element]);
}

template void CheckedOutputs::compare(std::string_view, std::int64_t, std::span<const float>,
                                      std::span<const float>);
template void CheckedOutputs::compare(std::string_view, std::int64_t, std::span<const double>,
                                      std::span<const double>);
template void CheckedOutputs::compare(std::string_view, std::int64_t, std::span<const std::int64_t>,
                                      std::span<const std::int64_t>);

CheckedOutput& CheckedOutputs::entry(std::string_view name) {
  const auto found = std::find_if(outputs_.begin(), outputs_.end(),
                                  [&](const CheckedOutput& output) { return output.name == name; });
  if (found != outputs_.end()) return *found;
  outputs_.push_back({.name = std::string(name)});
  return outputs_.back();
}

std::vector<CheckedOutput> CheckedOutputs::worst_first() const {
  std::vector<CheckedOutput> sorted = outputs_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.relative > b.relative; });
  return sorted;
}

std::string format_checked_outputs(std::span<const CheckedOutput> outputs) {
  std::string text =
      fmt::format("{:<32}{:>8}{:>14}{:>14}{:>10}{:>10}{:>14}{:>17}{:>17}\n", "output", "calls",
                  "elements", "|difference|", "relative", "in call", "at", "judged", "reference");
  for (const CheckedOutput& output : outputs) {
    text += fmt::format("{:<32}{:>8}{:>14}", output.name, output.calls, output.elements);
    // Nine digits tell any two floats apart.
    text += output.call == 0 ? fmt::format("{:>14}{:>10}\n", 0, 0)
                             : fmt::format("{:>14.2e}{:>10.1e}{:>10}{:>14}{:>17.9g}{:>17.9g}\n",
                                           output.difference, output.relative, output.call,
                                           fmt::format("{}, {}", output.row, output.col),
                                           output.judged, output.reference);
  }
  return text;
}

}  // namespace ae
