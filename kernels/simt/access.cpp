#include <cstddef>
#include <cstdint>

#include "simt/execution.hpp"
#include "simt/machine.hpp"

/// Kernel sources for the emulated device are compiled with the compiler's instrumentation for
/// kernels of operating systems (-fsanitize=kernel-address): before each access to memory it calls
/// one of these functions (access_names.hpp has its names for them). Host code in the same files
/// calls them, too; it is recognised by no kernel being under way.

namespace {

using ae::simt::Execution;

template <Execution::Access kKind>
void access(std::uintptr_t address, std::size_t bytes) {
  if (Execution* execution = Execution::current()) execution->access(address, bytes, kKind);
}

/// An access of one machine word, which must be aligned.
template <std::size_t kBytes, Execution::Access kKind>
void access_word(std::uintptr_t address) {
  Execution* execution = Execution::current();
  if (execution == nullptr) return;
  if constexpr (kBytes > 1) {
    if (address % kBytes != 0) {
      // NOLINTNEXTLINE(*-no-int-to-ptr): the compiler's function hands the address as a number
      ae::simt::require_alignment(reinterpret_cast<const void*>(address), kBytes);
    }
  }
  execution->access(address, kBytes, kKind);
}

constexpr auto kRead = Execution::Access::read;
constexpr auto kWrite = Execution::Access::write;

}  // namespace

extern "C" {

void ae_simt_load1(std::uintptr_t address) {
  access_word<1, kRead>(address);
}
void ae_simt_load2(std::uintptr_t address) {
  access_word<2, kRead>(address);
}
void ae_simt_load4(std::uintptr_t address) {
  access_word<4, kRead>(address);
}
void ae_simt_load8(std::uintptr_t address) {
  access_word<8, kRead>(address);
}
void ae_simt_load16(std::uintptr_t address) {
  access_word<16, kRead>(address);
}
void ae_simt_loadN(std::uintptr_t address, std::size_t bytes) {
  access<kRead>(address, bytes);
}
void ae_simt_store1(std::uintptr_t address) {
  access_word<1, kWrite>(address);
}
void ae_simt_store2(std::uintptr_t address) {
  access_word<2, kWrite>(address);
}
void ae_simt_store4(std::uintptr_t address) {
  access_word<4, kWrite>(address);
}
void ae_simt_store8(std::uintptr_t address) {
  access_word<8, kWrite>(address);
}
void ae_simt_store16(std::uintptr_t address) {
  access_word<16, kWrite>(address);
}
void ae_simt_storeN(std::uintptr_t address, std::size_t bytes) {
  access<kWrite>(address, bytes);
}

/// The compiler also announces calls that do not return; here nobody wants to know.
void ae_simt_handle_no_return() {}

}  // extern "C"

namespace ae::simt {

void begin_thread() {
  Execution::begin_thread();
}

void end_thread() {
  Execution::end_thread();
}

}  // namespace ae::simt
