#pragma once

#include <cstdint>
#include <string_view>

namespace ae {

/// How far a reconstruction y (or its logit z) is from its target t, for one element, d = y - t.
///   bce       -t·ln y - (1-t)·ln(1-y), computed from the logit: max(z,0) - z·t + ln(1+e^-|z|)
///   mse       d²
///   mae       |d|; its gradient is 0 where d is
///   huber     d²/2 where |d| ≤ 1, |d| - 1/2 beyond (δ = 1, the frameworks' default)
///   gaussian  ½·(d² + ln 2π) = -ln N(t; y, 1): nats, of a decoder whose pixels are Gaussian
///             (Kingma & Welling 2014, appendix C.2, with a variance of 1)
enum class Loss : std::uint8_t { bce, mse, mae, huber, gaussian };

/// What is averaged. Keras's losses are `mean`s over all elements; textbooks write
/// (1/N)·Σ‖x-y‖², the `sum` over a sample's elements averaged over the N samples. The two differ by
/// a factor of row_size(), in the loss and in its gradient.
enum class Reduction : std::uint8_t { mean, sum };

std::string_view to_string(Loss loss);
/// @throws UsageError naming the known ones.
Loss parse_loss(std::string_view name);

std::string_view to_string(Reduction reduction);
/// @throws UsageError naming the known ones.
Reduction parse_reduction(std::string_view name);

}  // namespace ae
