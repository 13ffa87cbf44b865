#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "backend/backend.hpp"

namespace ae {

/// The CUDA kernels on the emulated device: slow, strict, and there on every machine. The name says
/// in which order blocks and threads run: "simt" (forward), "simt:reverse", "simt:shuffled" or
/// "simt:shuffled:SEED"; null for a name that is none of these.
std::unique_ptr<Backend> make_simt_backend(std::string_view name);

}  // namespace ae
