#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "cpu/instruction_set.hpp"

/// What an operation's plan is given on the CPU.
///
/// Nearly all of a step works on each row of the batch by itself: gather, forward, loss, and the
/// gradient of each layer's input. So a phase takes a panel of rows through all of these, while the
/// panel is in a core's own cache, before the next panel; only then come the weight gradients,
/// which sum over all rows, and last the optimiser. A step is three parallel regions that way,
/// however deep the model, instead of several for each layer, each sweeping the whole batch through
/// memory. Only what needs means over the batch first, some gradients and batch_norm, costs a phase
/// more.
///
/// Images are larger than other rows: where there are convolutions, panels are of a few rows only.
/// And the weight gradient of a convolution is summed panel by panel as its turn comes, from images
/// that are in cache then, and the panels' sums are added up at the end. Where the weights are the
/// larger part, panels are as tall as elsewhere, so that there are few such sums.
///
/// Panels and stripes are cut by shape alone, so that results do not depend on the threads.
namespace ae::cpu {

/// How many rows a panel has. It follows from an operation's own shape alone: whatever is summed
/// over panels is the same in any company.
enum class PanelHeight : std::uint8_t {
  any,     ///< for what has no sums over panels: it goes with its neighbours
  rows,    ///< what a panel touches fits a core's own cache, and the products run at full speed
  images,  ///< for rows that are images
};

constexpr std::int64_t panel_rows(PanelHeight height) {
  return height == PanelHeight::images ? 4 : 32;
}

/// Of rows along which biases repeat; they are images then.
constexpr PanelHeight panel_height(std::int64_t cols, std::int64_t biases) {
  return biases == cols ? PanelHeight::rows : PanelHeight::images;
}

constexpr std::int64_t pieces(std::int64_t size, std::int64_t piece) {
  return (size + piece - 1) / piece;
}

/// The memory that a planned step works in.
struct StepMemory {
  float* floats = nullptr;
  double* doubles = nullptr;
  float* packed = nullptr;  ///< of whole cache lines
};

/// Some rows of a batch, for one task.
struct Panel {
  std::int64_t begin = 0;
  std::int64_t rows = 0;
  std::int64_t index = 0;    ///< of the panel among all
  float* scratch = nullptr;  ///< as much as Planner::need_scratch() was told, for this task alone
  StepMemory memory{};
};

/// Sums of columns, of each panel first, and of all panels in the end.
struct ColumnSums {
  std::size_t at = 0;
  std::int64_t cols = 0;

  /// Where a panel puts its sums.
  [[nodiscard]] float* of(const Panel& panel) const { return of(panel.memory, panel.index); }
  [[nodiscard]] float* of(const StepMemory& memory, std::int64_t panel) const {
    return memory.floats + at + panel * cols;
  }
  /// Where all panels' sums are in later phases, if they were given no other place.
  [[nodiscard]] const float* of_all(const StepMemory& memory) const { return memory.floats + at; }
};

/// A number a row, to be added up.
struct RowSums {
  std::size_t at = 0;

  [[nodiscard]] double* of(const Panel& panel) const { return of(panel.memory) + panel.begin; }
  [[nodiscard]] double* of(const StepMemory& memory) const { return memory.doubles + at; }
};

/// Weights in another order than the model has them.
struct Packed {
  std::size_t at = 0;

  [[nodiscard]] float* of(const StepMemory& memory) const { return memory.packed + at; }
};

/// The threads, for work that is not of rows.
class Workers {
 public:
  Workers() = default;
  virtual ~Workers() = default;
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Calls task(0) … task(count - 1), on any threads, and returns when all are done.
  template <typename Task>
  void for_each(std::int64_t count, const Task& task) {
    run(count, &task, [](const void* context, std::int64_t index) {
      (*static_cast<const Task*>(context))(index);
    });
  }

 protected:
  virtual void run(std::int64_t count, const void* context,
                   void (*task)(const void* context, std::int64_t index)) = 0;
};

/// A function object whose bytes a planner keeps.
template <typename... Arguments>
struct Work {
  const void* function = nullptr;
  void (*call)(const void* function, Arguments... arguments) = nullptr;

  void operator()(Arguments... arguments) const { call(function, arguments...); }
};
using PanelWork = Work<const Panel&>;
using TaskWork = Work<std::int64_t, const StepMemory&>;
using UpdateWork = Work<Workers&, const StepMemory&>;

/// Collects what the operations of a step have to do, in phases. Each verb belongs to the phase
/// that was begun or joined last.
///
/// Function objects are copied bit by bit: they may capture operations, numbers and references to
/// tables, and own nothing.
class Planner {
 public:
  explicit Planner(InstructionSet set) : instruction_set_(set) {}
  virtual ~Planner() = default;
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;
  Planner(Planner&&) = default;
  Planner& operator=(Planner&&) = default;

  [[nodiscard]] InstructionSet instruction_set() const { return instruction_set_; }

  /// Work on each of `rows` rows: joins the last phase, if that is of as many and their panels may
  /// be alike; and if it has nothing yet that follows its rows, which may read what this
  /// overwrites.
  virtual void begin_rows(std::int64_t rows, PanelHeight height = PanelHeight::any) = 0;
  /// The same for a part of a backward pass, which overwrites nothing that follows the rows reads.
  virtual void begin_gradients(std::int64_t rows, PanelHeight height = PanelHeight::any) = 0;
  /// A new phase, for what needs the last one to be done.
  virtual void begin_phase(std::int64_t rows, PanelHeight height = PanelHeight::any) = 0;

  /// What is done to each panel, in the order of the calls.
  template <typename Function>
  void each_panel(const Function& function) {
    add_panel_work(kept<PanelWork>(function));
  }

  /// Sums over the panels, one for each of `cols` columns, that go to `sums`; with null, in place
  /// of the first panel's.
  virtual ColumnSums column_sums(std::int64_t cols, float* sums) = 0;
  /// The panels' places alone, for sums of another kind.
  virtual ColumnSums panel_sums(std::int64_t cols) = 0;
  /// `count` numbers whose sum is added to *sum; without it, just numbers.
  virtual RowSums row_sums(std::int64_t count, double* sum) = 0;
  /// Memory of `floats` floats.
  virtual Packed packed(std::int64_t floats) = 0;
  /// Memory for a panel's task.
  virtual void need_scratch(std::int64_t floats) = 0;

  /// Tasks function(0 … count, memory) before the panels.
  template <typename Function>
  void before_panels(std::int64_t count, const Function& function) {
    add_before_panels(count, kept<TaskWork>(function));
  }
  /// Tasks after all panels, beside the sums.
  template <typename Function>
  void after_panels(std::int64_t count, const Function& function) {
    add_after_panels(count, kept<TaskWork>(function));
  }
  /// function(workers, memory), last of its phase and after the updates before it; what is planned
  /// afterwards begins another phase.
  template <typename Function>
  void update(const Function& function) {
    add_update(kept<UpdateWork>(function));
  }

 protected:
  static constexpr std::size_t kMaxFunctionSize = 4096;

  virtual void add_panel_work(const PanelWork& work) = 0;
  virtual void add_before_panels(std::int64_t count, const TaskWork& work) = 0;
  virtual void add_after_panels(std::int64_t count, const TaskWork& work) = 0;
  virtual void add_update(const UpdateWork& work) = 0;

  /// Memory of `bytes` bytes, aligned for any type, for as long as the plan lives.
  virtual void* keep(std::size_t bytes) = 0;

 private:
  template <typename Kind, typename Function>
  Kind kept(const Function& function) {
    static_assert(std::is_trivially_copyable_v<Function>);  // and so trivially destructible
    static_assert(sizeof(Function) <= kMaxFunctionSize);
    static_assert(alignof(Function) <= alignof(std::max_align_t));
    const Function* const copy =
        std::construct_at(static_cast<Function*>(keep(sizeof(Function))), function);
    return bind(copy, Kind{});
  }
  template <typename Function, typename... Arguments>
  static Work<Arguments...> bind(const Function* function, Work<Arguments...> /*kind*/) {
    return {function, [](const void* object, Arguments... arguments) {
              (*static_cast<const Function*>(object))(arguments...);
            }};
  }

  InstructionSet instruction_set_;
};

}  // namespace ae::cpu
