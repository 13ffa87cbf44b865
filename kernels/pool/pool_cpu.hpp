#pragma once

#include "cpu/planner.hpp"
#include "pool/pool_simd.hpp"

namespace ae::cpu {

/// Plans image(simd, row) for each of `rows` rows by itself.
template <typename Image>
void plan_images(std::int64_t rows, Planner& planner, const Image& image) {
  planner.begin_rows(rows);
  planner.each_panel([=, &simd = pool_simd(planner.instruction_set())](const Panel& panel) {
    for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) image(simd, row);
  });
}

}  // namespace ae::cpu
