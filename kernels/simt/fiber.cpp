#include "simt/fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "ae/error.hpp"

namespace ae::simt {

namespace {

std::size_t guard_bytes() {
  return static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Fiber::Fiber(const std::function<void()>& work) : work_(work), stack_(0) {
  // A page that nothing may touch lies below the stack, which grows downwards.
  void* mapped = mmap(nullptr, guard_bytes() + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {  // NOLINT(*-cstyle-cast,*-no-int-to-ptr): the system's macro
    throw Error("out of memory, on the emulated device for the stack of a thread");
  }
  mprotect(mapped, guard_bytes(), PROT_NONE);
  stack_ = reinterpret_cast<std::uintptr_t>(mapped) + guard_bytes();
  reset();
}

Fiber::~Fiber() {
  munmap(reinterpret_cast<void*>(stack_ - guard_bytes()),  // NOLINT(*-no-int-to-ptr)
         guard_bytes() + kStackBytes);
}

void Fiber::reset() {
  here_ = boost::context::detail::make_fcontext(reinterpret_cast<void*>(stack_end()), kStackBytes,
                                                &Fiber::enter);  // NOLINT(*-no-int-to-ptr)
}

void Fiber::resume() {
  here_ = boost::context::detail::jump_fcontext(here_, this).fctx;
}

void Fiber::yield() {
  scheduler_ = boost::context::detail::jump_fcontext(scheduler_, nullptr).fctx;
}

void Fiber::enter(boost::context::detail::transfer_t from) {
  auto* fiber = static_cast<Fiber*>(from.data);
  fiber->scheduler_ = from.fctx;
  while (true) {
    fiber->work_();
    fiber->yield();
  }
}

}  // namespace ae::simt
