#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/context/detail/fcontext.hpp>

namespace ae::simt {

/// A stack of its own on which kernel threads run one after the other, until one must wait: it then
/// keeps the stack, and other threads need other fibers. A fiber that is no longer wanted is simply
/// never resumed; kernel code owns nothing that would have to be released.
class Fiber {
 public:
  /// `work` runs when resumed for the first time after its end; it ends with yield() as well.
  explicit Fiber(const std::function<void()>& work);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// From the scheduler: runs the fiber until it yields.
  void resume();
  /// From within the fiber: back to the scheduler.
  void yield();
  /// Forgets what ran here; the next resume() starts `work` again.
  void reset();

  [[nodiscard]] std::uintptr_t stack_begin() const { return stack_; }
  [[nodiscard]] std::uintptr_t stack_end() const { return stack_ + kStackBytes; }

 private:
  static constexpr std::size_t kStackBytes = std::size_t{64} << 10U;

  static void enter(boost::context::detail::transfer_t from);

  const std::function<void()>& work_;
  std::uintptr_t stack_;
  boost::context::detail::fcontext_t here_ = nullptr;
  boost::context::detail::fcontext_t scheduler_ = nullptr;
};

}  // namespace ae::simt
