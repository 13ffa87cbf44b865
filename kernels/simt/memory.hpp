#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace ae::simt {

/// The emulated device's memory: a range of addresses that the host cannot touch while no kernel
/// runs, with a note about every byte. Addresses are never used twice and allocations do not touch
/// each other, so that a stale or straying pointer meets nothing that is allowed.
///
/// Fresh memory holds 0xFF (a NaN, as floats go) and counts as never written.
class DeviceMemory {
 public:
  DeviceMemory();
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  /// Aligned to 256 bytes, as CUDA's. @throws Error if there is not enough.
  [[nodiscard]] void* allocate(std::size_t bytes);
  /// @throws Fault for an address that allocate() did not give, or that was freed before.
  void deallocate(void* memory);

  /// The host's ways to it. @throws Fault where device memory is not all allocated, or, when read,
  /// not all written.
  void upload(void* to, const void* from, std::size_t bytes);
  void download(void* to, const void* from, std::size_t bytes) const;
  void set(void* to, int value, std::size_t bytes);

  /// What a byte's note says, as bits.
  enum Note : std::uint8_t { kAllocated = 1, kWritten = 2, kFreed = 4 };

  [[nodiscard]] bool contains(std::uintptr_t address) const {
    return address - first_ < kAddresses;
  }
  /// The note of the byte at an address that contains() is true for; its neighbours' notes follow.
  [[nodiscard]] std::uint8_t* note(std::uintptr_t address) const {
    return notes_ + (address - first_);
  }

  /// "12 bytes beyond the end of a buffer of 400 bytes": where an address is, for messages.
  [[nodiscard]] std::string describe(std::uintptr_t address) const;

  /// Opens the range to this process's own accesses for as long as it lives: kernels run on them.
  class Access {
   public:
    explicit Access(DeviceMemory& memory);
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

   private:
    DeviceMemory& memory_;
  };

  [[nodiscard]] bool is_open() const { return open_; }

 private:
  static constexpr std::size_t kAddresses = std::size_t{16} << 30U;

  struct Allocation {
    std::size_t bytes;
    bool freed;
  };

  void protect(int protection) const;
  void require(const void* memory, std::size_t bytes, std::uint8_t wanted, const char* what) const;
  /// Where the host may reach a device address at all times.
  [[nodiscard]] std::byte* backdoor(const void* memory) const;

  int file_;              ///< anonymous memory behind both mappings
  std::uintptr_t first_;  ///< the device's addresses: closed to the host
  std::byte* backdoor_;   ///< the same bytes, open
  std::uint8_t* notes_;
  std::size_t used_ = 0;  ///< of the addresses
  bool open_ = false;
  std::map<std::uintptr_t, Allocation> allocations_;  ///< freed ones as well, for describe()
};

}  // namespace ae::simt
