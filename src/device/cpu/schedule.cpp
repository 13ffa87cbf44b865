#include "device/cpu/schedule.hpp"

#include <algorithm>

#include "device/blocked_signals.hpp"

namespace ae::cpu {

namespace {

/// Columns of partial sums that are added up together.
constexpr std::int64_t kColumnsPerTask = 4096;

/// Floats, to whole cache lines: what lies behind them begins on one.
std::int64_t whole_lines(std::int64_t floats) {
  constexpr std::int64_t kLine = 16;
  return pieces(floats, kLine) * kLine;
}

class PoolWorkers final : public Workers {
 public:
  explicit PoolWorkers(ThreadPool& pool) : pool_(pool) {}

 private:
  void run(std::int64_t count, const void* context,
           void (*task)(const void* context, std::int64_t index)) override {
    pool_.for_each(count, [=](std::int64_t index) { task(context, index); });
  }

  ThreadPool& pool_;
};

}  // namespace

// ── Planning ────────────────────────────────────────────────────────────────────────────────────

bool Schedule::is_joined_by(std::int64_t rows, PanelHeight height) const {
  if (used_phases_ == 0) return false;
  const Phase& last = phases_[used_phases_ - 1];
  const bool fits =
      height == PanelHeight::any || last.height == PanelHeight::any || last.height == height;
  return last.rows == rows && last.updates.empty() && fits;
}

void Schedule::join(PanelHeight height) {
  Phase& last = phases_[used_phases_ - 1];
  if (last.height == PanelHeight::any) last.height = height;
}

void Schedule::begin_rows(std::int64_t rows, PanelHeight height) {
  if (is_joined_by(rows, height) && phases_[used_phases_ - 1].after_panels.empty()) {
    join(height);
  } else {
    begin_phase(rows, height);
  }
}

void Schedule::begin_gradients(std::int64_t rows, PanelHeight height) {
  if (is_joined_by(rows, height)) {
    join(height);
  } else {
    begin_phase(rows, height);
  }
}

void Schedule::begin_phase(std::int64_t rows, PanelHeight height) {
  if (used_phases_ == phases_.size()) phases_.emplace_back();
  Phase& phase = phases_[used_phases_++];
  phase.rows = rows;
  phase.height = height;
}

Schedule::Phase& Schedule::phase() {
  if (used_phases_ == 0) begin_phase(0, PanelHeight::any);
  return phases_[used_phases_ - 1];
}

ColumnSums Schedule::panel_sums(std::int64_t cols) {
  const ColumnSums sums{floats_.size(), cols};
  floats_.resize(floats_.size() + static_cast<std::size_t>(phase().panels() * cols));
  return sums;
}

ColumnSums Schedule::column_sums(std::int64_t cols, float* sums) {
  // Two operations that sum to the same place leave it as the later one does. Otherwise two tasks
  // would race for it.
  if (sums != nullptr) {
    std::erase_if(phase().column_sums,
                  [=](const ColumnSumsWork& other) { return other.to == sums; });
  }
  const ColumnSums of_panels = panel_sums(cols);
  phase().column_sums.push_back({of_panels, phase().panels(), sums});
  return of_panels;
}

RowSums Schedule::row_sums(std::int64_t count, double* sum) {
  const RowSums sums{doubles_.size()};
  doubles_.resize(doubles_.size() + static_cast<std::size_t>(count));
  if (sum != nullptr) phase().row_sums.push_back({sums, count, sum});
  return sums;
}

Packed Schedule::packed(std::int64_t floats) {
  const Packed packed{packed_.size()};
  packed_.resize(packed_.size() + static_cast<std::size_t>(whole_lines(floats)));
  return packed;
}

void Schedule::need_scratch(std::int64_t floats) {
  scratch_size_ = std::max(scratch_size_, whole_lines(floats));
}

void Schedule::add_panel_work(const PanelWork& work) {
  phase().panel_work.push_back(work);
}

void Schedule::add_before_panels(std::int64_t count, const TaskWork& work) {
  phase().before_panels.push_back({count, work});
}

void Schedule::add_after_panels(std::int64_t count, const TaskWork& work) {
  phase().after_panels.push_back({count, work});
}

void Schedule::add_update(const UpdateWork& work) {
  phase().updates.push_back(work);
}

void* Schedule::keep(std::size_t bytes) {
  constexpr std::size_t kAlignment = alignof(std::max_align_t);
  constexpr std::size_t kKeptBlock = 4 * kMaxFunctionSize;
  const std::size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (kept_.used + size > kKeptBlock) {
    ++kept_.block;
    kept_.used = 0;
  }
  if (kept_.block == kept_.blocks.size()) {
    kept_.blocks.push_back(std::make_unique<std::byte[]>(kKeptBlock));
  }
  void* const memory = kept_.blocks[kept_.block].get() + kept_.used;
  kept_.used += size;
  return memory;
}

void Schedule::clear() {
  for (std::size_t i = 0; i < used_phases_; ++i) {
    Phase& phase = phases_[i];
    phase.before_panels.clear();
    phase.panel_work.clear();
    phase.after_panels.clear();
    phase.column_sums.clear();
    phase.row_sums.clear();
    phase.updates.clear();
  }
  used_phases_ = 0;
  kept_.block = 0;
  kept_.used = 0;
  floats_.clear();
  doubles_.clear();
  packed_.clear();
  scratch_size_ = 0;
}

// ── Running ─────────────────────────────────────────────────────────────────────────────────────

void Schedule::make_scratch(const ThreadPool& pool) {
  const auto scratch = static_cast<std::size_t>(pool.threads() * scratch_size_);
  if (scratch_.size() < scratch) scratch_.resize(scratch);
}

void Schedule::run(ThreadPool& pool) {
  make_scratch(pool);
  const BlockedSignals blocked;  // the calling thread works as well
  PoolWorkers workers(pool);
  for (std::size_t i = 0; i < used_phases_; ++i) {
    const Phase& phase = phases_[i];
    run_tasks(phase.before_panels, pool, memory());
    run_panels(phase, pool);
    run_sums(phase, pool);
    for (const UpdateWork& update : phase.updates) update(workers, memory());
  }
}

void Schedule::run_tasks(const std::vector<Tasks>& tasks, ThreadPool& pool,
                         const StepMemory& memory) {
  std::int64_t count = 0;
  for (const Tasks& some : tasks) count += some.count;
  pool.for_each(count, [&](std::int64_t task) {
    for (const Tasks& some : tasks) {
      if (task < some.count) return some.work(task, memory);
      task -= some.count;
    }
  });
}

void Schedule::run_panels(const Phase& phase, ThreadPool& pool) {
  const std::int64_t height = panel_rows(phase.height);
  const StepMemory step_memory = memory();
  pool.for_each(phase.panels(), [&](std::int64_t index, std::size_t thread) {
    const std::int64_t begin = index * height;
    const Panel panel{
        .begin = begin,
        .rows = std::min(height, phase.rows - begin),
        .index = index,
        .scratch = scratch_.data() + static_cast<std::int64_t>(thread) * scratch_size_,
        .memory = step_memory};
    for (const PanelWork& work : phase.panel_work) work(panel);
  });
}

void Schedule::run_sums(const Phase& phase, ThreadPool& pool) {
  const StepMemory step_memory = memory();
  std::int64_t others = 0;
  for (const Tasks& some : phase.after_panels) others += some.count;
  std::int64_t columns = 0;
  for (const ColumnSumsWork& work : phase.column_sums) {
    columns += pieces(work.sums.cols, kColumnsPerTask);
  }

  const auto sum_columns = [&](const ColumnSumsWork& work, std::int64_t task) {
    const std::int64_t begin = task * kColumnsPerTask;
    const std::int64_t size = std::min(kColumnsPerTask, work.sums.cols - begin);
    float* const of_panels = work.sums.of(step_memory, 0) + begin;
    const bool in_place = work.to == nullptr;
    float* const sums = in_place ? of_panels : work.to + begin;
    if (!in_place) std::fill_n(sums, size, 0.0F);
    for (std::int64_t panel = in_place ? 1 : 0; panel < work.panels; ++panel) {
      const float* part = of_panels + panel * work.sums.cols;
      for (std::int64_t c = 0; c < size; ++c) sums[c] += part[c];
    }
  };
  const std::int64_t row_sums = phase.row_sums.empty() ? 0 : 1;
  pool.for_each(others + columns + row_sums, [&](std::int64_t task) {
    for (const Tasks& some : phase.after_panels) {
      if (task < some.count) return some.work(task, step_memory);
      task -= some.count;
    }
    for (const ColumnSumsWork& work : phase.column_sums) {
      const std::int64_t tasks = pieces(work.sums.cols, kColumnsPerTask);
      if (task < tasks) return sum_columns(work, task);
      task -= tasks;
    }
    // One task for all, as they may add to the same number.
    for (const RowSumsWork& work : phase.row_sums) {
      const double* const values = work.sums.of(step_memory);
      double sum = 0;
      for (std::int64_t row = 0; row < work.count; ++row) sum += values[row];
      *work.to += sum;
    }
  });
}

}  // namespace ae::cpu
