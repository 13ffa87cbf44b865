#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/planner.hpp"
#include "device/cpu/aligned_floats.hpp"
#include "device/cpu/thread_pool.hpp"

namespace ae::cpu {

/// A planned step, and its run on the threads. It keeps its memory from step to step.
class Schedule final : public Planner {
 public:
  using Planner::Planner;

  void begin_rows(std::int64_t rows, PanelHeight height) override;
  void begin_gradients(std::int64_t rows, PanelHeight height) override;
  void begin_phase(std::int64_t rows, PanelHeight height) override;
  ColumnSums column_sums(std::int64_t cols, float* sums) override;
  ColumnSums panel_sums(std::int64_t cols) override;
  RowSums row_sums(std::int64_t count, double* sum) override;
  Packed packed(std::int64_t floats) override;
  void need_scratch(std::int64_t floats) override;

  void run(ThreadPool& pool);

  /// Makes the memory that run() needs, so that a recorded step has it before its first replay.
  void make_scratch(const ThreadPool& pool);

  /// Forgets the operations, keeps the memory.
  void clear();

 protected:
  void add_panel_work(const PanelWork& work) override;
  void add_before_panels(std::int64_t count, const TaskWork& work) override;
  void add_after_panels(std::int64_t count, const TaskWork& work) override;
  void add_update(const UpdateWork& work) override;
  void* keep(std::size_t bytes) override;

 private:
  struct Tasks {
    std::int64_t count = 0;
    TaskWork work;
  };
  /// Sums of all panels that are to be made of theirs.
  struct ColumnSumsWork {
    ColumnSums sums;
    std::int64_t panels = 0;
    float* to = nullptr;  ///< null for the first panel's place
  };
  struct RowSumsWork {
    RowSums sums;
    std::int64_t count = 0;
    double* to = nullptr;
  };

  struct Phase {
    std::int64_t rows = 0;
    PanelHeight height = PanelHeight::any;
    std::vector<Tasks> before_panels;
    std::vector<PanelWork> panel_work;
    std::vector<Tasks> after_panels;
    std::vector<ColumnSumsWork> column_sums;
    std::vector<RowSumsWork> row_sums;
    std::vector<UpdateWork> updates;

    [[nodiscard]] std::int64_t panels() const { return pieces(rows, panel_rows(height)); }
  };

  /// Function objects, one behind the other in blocks of memory.
  struct Kept {
    std::vector<std::unique_ptr<std::byte[]>> blocks;
    std::size_t block = 0;  ///< that is being filled
    std::size_t used = 0;   ///< of it
  };

  /// The last phase; a first one, if there is none.
  Phase& phase();
  [[nodiscard]] bool is_joined_by(std::int64_t rows, PanelHeight height) const;
  void join(PanelHeight height);
  [[nodiscard]] StepMemory memory() { return {floats_.data(), doubles_.data(), packed_.data()}; }

  static void run_tasks(const std::vector<Tasks>& tasks, ThreadPool& pool,
                        const StepMemory& memory);
  void run_panels(const Phase& phase, ThreadPool& pool);
  void run_sums(const Phase& phase, ThreadPool& pool);

  std::vector<Phase> phases_;
  std::size_t used_phases_ = 0;  ///< the others wait, empty, with their memory
  Kept kept_;
  std::vector<float> floats_;
  std::vector<double> doubles_;
  AlignedFloats packed_;
  AlignedFloats scratch_;          ///< of a thread after the other
  std::int64_t scratch_size_ = 0;  ///< of each
};

}  // namespace ae::cpu
