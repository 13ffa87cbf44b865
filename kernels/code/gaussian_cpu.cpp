#include "code/gaussian.hpp"
#include "code/gaussian_simd.hpp"
#include "cpu/planner.hpp"
#include "formulas/gaussian.hpp"

namespace ae::cpu {

namespace {

GaussianTile code_tile(const ConstMatrix& h, const RandomStream& stream, std::int64_t first_row,
                       const Panel& panel) {
  const std::int64_t latent = h.cols / 2;
  return {{h.data + panel.begin * h.cols, panel.rows, h.cols, h.cols},
          stream,
          (first_row + panel.begin) * latent};
}

}  // namespace

void plan(const GaussianSample& op, Planner& planner) {
  planner.begin_rows(op.z.rows);
  planner.each_panel([op, &simd = gaussian_simd(planner.instruction_set())](const Panel& panel) {
    simd.sample(code_tile(op.h, stream_of_step(op.seed, RandomPurpose::code, op.step.data),
                          op.first_row, panel),
                op.mean_only, op.z.data + panel.begin * op.z.cols,
                op.kl.exists() ? op.kl.data + panel.begin : nullptr);
  });
}

void plan(const GaussianBackward& op, Planner& planner) {
  const std::int64_t rows = op.dz.rows;
  const std::int64_t cols = op.h.cols;
  const std::int64_t latent = op.dz.cols;
  const GaussianSimd& simd = gaussian_simd(planner.instruction_set());
  const bool has_means = needs_means(op);

  planner.begin_gradients(rows, PanelHeight::rows);
  ColumnSums divergences;
  if (has_means) {
    divergences = planner.column_sums(latent, nullptr);
    planner.each_panel([=, &simd](const Panel& panel) {
      simd.sum_divergences({op.h.data + panel.begin * cols, panel.rows, cols, cols},
                           divergences.of(panel));
    });
    planner.begin_phase(rows, PanelHeight::rows);
  }

  const RowSums kl = planner.row_sums(rows, op.kl_sum.data);
  const ColumnSums sums = planner.column_sums(cols, op.dbias.data);
  planner.each_panel([=, &simd](const Panel& panel) {
    simd.gradient(
        {code_tile(op.h, stream_of_step(op.seed, RandomPurpose::code, op.step.data),
                   /*first_row=*/0, panel),
         op.dz.data + panel.begin * latent,
         gaussian::warmed_up(op.kl_scale, op.step.exists() ? *op.step.data : 0, op.warm_up_steps),
         op.free_bits * static_cast<float>(rows),
         has_means ? divergences.of_all(panel.memory) : nullptr, op.dh.data + panel.begin * cols,
         sums.of(panel)},
        kl.of(panel));
  });
}

}  // namespace ae::cpu
