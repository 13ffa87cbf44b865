#include <algorithm>

#include "formulas/normalization.hpp"
#include "norm/batch_norm.hpp"
#include "norm/batch_norm_simd.hpp"
#include "norm/norm_cpu.hpp"

namespace ae::cpu {

namespace {

/// The batch's mean and variance from its panels', n values of each channel in panel p:
///   μ = Σ nₚ·μₚ / N,  σ² = Σ (squaresₚ + nₚ·(μₚ - μ)²) / N.
/// Source: Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983.
void join_moments(const BatchNormForward& op, const ColumnSums& moments, std::int64_t height,
                  const StepMemory& memory) {
  const std::int64_t channels = op.channels;
  const std::int64_t groups = normalized_groups(op);
  const std::int64_t panel_groups = channels == 0 ? 0 : height * op.x.cols / channels;
  const auto count = static_cast<float>(groups);
  float* const means = op.mean_var.data;
  float* const variances = means + channels;
  std::fill_n(means, 2 * channels, 0.0F);
  const auto for_panels = [&](const auto& body) {
    for (std::int64_t panel = 0; panel < pieces(op.x.rows, height); ++panel) {
      const float* const of_panel = moments.of(memory, panel);
      body(static_cast<float>(std::min(panel_groups, groups - panel * panel_groups)), of_panel,
           of_panel + channels);
    }
  };
  for_panels([&](float size, const float* panel_means, const float* /*squares*/) {
    for (std::int64_t c = 0; c < channels; ++c) means[c] += size * panel_means[c];
  });
  if (groups == 0) return;
  for (std::int64_t c = 0; c < channels; ++c) means[c] /= count;
  for_panels([&](float size, const float* panel_means, const float* squares) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float off = panel_means[c] - means[c];
      variances[c] += squares[c] + size * (off * off);
    }
  });
  float* const running_means = op.running.data;
  float* const running_variances = running_means + channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    const float unbiased = normalization::unbiased(variances[c], count);
    variances[c] /= count;
    running_means[c] = normalization::running(running_means[c], means[c]);
    running_variances[c] = normalization::running(running_variances[c], unbiased);
  }
}

/// What the batch is normalised by: its panels' moments, and those joined.
void plan_moments(const BatchNormForward& op, Planner& planner) {
  const std::int64_t rows = op.x.rows;
  const PanelHeight height = panel_height(op.x.cols, op.channels);
  planner.begin_rows(rows, height);
  const ColumnSums moments = planner.panel_sums(2 * op.channels);
  planner.each_panel([=, &simd = batch_norm_simd(planner.instruction_set())](const Panel& panel) {
    simd.moments(norm_tile(op, nullptr, panel).x, moments.of(panel));
  });
  planner.after_panels(1, [=](std::int64_t /*task*/, const StepMemory& memory) {
    join_moments(op, moments, panel_rows(height), memory);
  });
  planner.begin_phase(rows);
}

}  // namespace

void plan(const BatchNormForward& op, Planner& planner) {
  if (op.mean_var.exists()) plan_moments(op, planner);
  planner.begin_rows(op.x.rows);
  planner.each_panel([op, &simd = batch_norm_simd(planner.instruction_set())](const Panel& panel) {
    const float* const statistics = op.mean_var.exists() ? op.mean_var.data : op.running.data;
    simd.forward(norm_tile(op, statistics, panel), op.y.data + panel.begin * op.y.cols);
  });
}

void plan(const BatchNormBackward& op, Planner& planner) {
  const BatchNormSimd& simd = batch_norm_simd(planner.instruction_set());
  planner.begin_gradients(op.x.rows, panel_height(op.x.cols, op.channels));
  const ColumnSums dgamma = planner.column_sums(op.channels, op.dgamma.data);
  const ColumnSums dbeta = planner.column_sums(op.channels, op.dbeta.data);
  planner.each_panel([=, &simd](const Panel& panel) {
    const std::int64_t offset = panel.begin * op.x.cols;
    simd.gradient({norm_tile(op, op.mean_var.data, panel), op.y.data + offset, op.dy.data + offset,
                   dgamma.of(panel), dbeta.of(panel)});
  });
  if (!op.dx.exists()) return;
  planner.begin_phase(op.x.rows);
  planner.each_panel([=, &simd](const Panel& panel) {
    const std::int64_t offset = panel.begin * op.x.cols;
    simd.input_gradient(norm_tile(op, op.mean_var.data, panel), op.dgamma.data, op.dbeta.data,
                        static_cast<float>(normalized_groups(op)), op.dy.data + offset,
                        op.dx.data + offset);
  });
}

}  // namespace ae::cpu
