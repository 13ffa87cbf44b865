#include "simt/memory.hpp"

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "simt/fault.hpp"

namespace ae::simt {

namespace {

constexpr std::size_t kAlignment = 256;
constexpr int kFresh = 0xFF;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void* map(std::size_t bytes, int protection, int flags, int file) {
  void* mapped = mmap(nullptr, bytes, protection, flags | MAP_NORESERVE, file, 0);
  if (mapped == MAP_FAILED) {  // NOLINT(*-cstyle-cast,*-no-int-to-ptr): the system's macro
    throw Error(
        "the emulated device cannot have its range of addresses from the system, lift the limit on "
        "virtual memory (ulimit -v)");
  }
  return mapped;
}

}  // namespace

DeviceMemory::DeviceMemory()
    : file_(memfd_create("emulated device", MFD_CLOEXEC)),
      first_(0),
      backdoor_(nullptr),
      notes_(nullptr) {
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(kAddresses)) != 0) {
    throw Error("the emulated device cannot have memory from the system (memfd_create failed)");
  }
  first_ = reinterpret_cast<std::uintptr_t>(map(kAddresses, PROT_NONE, MAP_SHARED, file_));
  backdoor_ = static_cast<std::byte*>(map(kAddresses, PROT_READ | PROT_WRITE, MAP_SHARED, file_));
  notes_ = static_cast<std::uint8_t*>(
      map(kAddresses, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
}

DeviceMemory::~DeviceMemory() {
  munmap(reinterpret_cast<void*>(first_), kAddresses);  // NOLINT(*-no-int-to-ptr)
  munmap(backdoor_, kAddresses);
  munmap(notes_, kAddresses);
  close(file_);
}

void* DeviceMemory::allocate(std::size_t bytes) {
  // At least one alignment's worth stays untouchable between two allocations.
  if (bytes > kAddresses - used_ ||
      rounded_up(bytes, kAlignment) + 2 * kAlignment > kAddresses - used_) {
    throw Error(
        fmt::format("out of memory, on the emulated device for a buffer of {} MB, use a smaller "
                    "batch or model",
                    bytes >> 20U));
  }
  const std::uintptr_t address = first_ + used_ + kAlignment;
  used_ += rounded_up(bytes, kAlignment) + kAlignment;
  allocations_[address] = {bytes, false};
  void* memory = reinterpret_cast<void*>(address);  // NOLINT(*-no-int-to-ptr)
  std::memset(backdoor(memory), kFresh, bytes);
  std::memset(note(address), kAllocated, bytes);
  return memory;
}

void DeviceMemory::deallocate(void* memory) {
  if (memory == nullptr) return;
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const auto found = allocations_.find(address);
  if (found == allocations_.end()) throw Fault("free of an address that was never allocated");
  if (found->second.freed) throw Fault("free of a buffer that was freed before");
  found->second.freed = true;
  std::memset(note(address), kFreed, found->second.bytes);
  // Whole pages go back to the system; their addresses stay used up.
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t begin = rounded_up(address - first_, page);
  const std::size_t end = (address - first_ + found->second.bytes) / page * page;
  if (begin < end) {
    fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
              static_cast<off_t>(end - begin));
  }
}

void DeviceMemory::upload(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  require(to, bytes, kAllocated, "upload to");
  std::memcpy(backdoor(to), from, bytes);
  std::memset(note(reinterpret_cast<std::uintptr_t>(to)), kAllocated | kWritten, bytes);
}

void DeviceMemory::download(void* to, const void* from, std::size_t bytes) const {
  if (bytes == 0) return;
  require(from, bytes, kAllocated | kWritten, "download from");
  std::memcpy(to, backdoor(from), bytes);
}

void DeviceMemory::set(void* to, int value, std::size_t bytes) {
  if (bytes == 0) return;
  require(to, bytes, kAllocated, "clearing of");
  std::memset(backdoor(to), value, bytes);
  std::memset(note(reinterpret_cast<std::uintptr_t>(to)), kAllocated | kWritten, bytes);
}

void DeviceMemory::require(const void* memory, std::size_t bytes, std::uint8_t wanted,
                           const char* what) const {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const auto refuse = [&](std::uintptr_t at, const char* why) {
    throw Fault(fmt::format("{} device memory, {} bytes at {:#x}: {} ({})", what, bytes, address,
                            why, describe(at)));
  };
  if (!contains(address) || !contains(address + bytes - 1)) {
    refuse(address, "this is host memory");
  }
  const std::uint8_t* notes = note(address);
  const std::uint8_t* bad = std::find_if(
      notes, notes + bytes, [wanted](std::uint8_t byte) { return (byte & wanted) != wanted; });
  if (bad == notes + bytes) return;
  const std::uintptr_t at = address + static_cast<std::size_t>(bad - notes);
  refuse(at, (*bad & kAllocated) != 0 ? "nothing has written it"
             : *bad == kFreed         ? "it has been freed"
                                      : "it is outside every buffer");
}

std::byte* DeviceMemory::backdoor(const void* memory) const {
  return backdoor_ + (reinterpret_cast<std::uintptr_t>(memory) - first_);
}

std::string DeviceMemory::describe(std::uintptr_t address) const {
  if (!contains(address)) return "host memory";
  const auto after = allocations_.upper_bound(address);
  const auto words = [](std::uintptr_t distance, const char* where, const Allocation& buffer) {
    return fmt::format("{} bytes {} a {}buffer of {} bytes", distance, where,
                       buffer.freed ? "freed " : "", buffer.bytes);
  };
  if (after != allocations_.begin()) {
    const auto& [begin, buffer] = *std::prev(after);
    const std::uintptr_t end = begin + buffer.bytes;
    if (address < end) return words(address - begin, "into", buffer);
    // The nearer of two neighbours is the one that was meant.
    if (after == allocations_.end() || address - end <= after->first - address) {
      return words(address - end, "beyond the end of", buffer);
    }
  }
  if (after == allocations_.end()) return "no buffer is near";
  return words(after->first - address, "before", after->second);
}

void DeviceMemory::protect(int protection) const {
  // Only what has been handed out: the rest stays closed for good.
  const std::size_t bytes =
      rounded_up(used_ + kAlignment, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
  mprotect(reinterpret_cast<void*>(first_), std::min(bytes, kAddresses),  // NOLINT(*-no-int-to-ptr)
           protection);
}

DeviceMemory::Access::Access(DeviceMemory& memory) : memory_(memory) {
  memory_.open_ = true;
  memory_.protect(PROT_READ | PROT_WRITE);
}

DeviceMemory::Access::~Access() {
  memory_.protect(PROT_NONE);
  memory_.open_ = false;
}

}  // namespace ae::simt
