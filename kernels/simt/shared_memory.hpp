#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ae::simt {

/// A block's shared memory, with a note about every 4 bytes of who touched them when. Arrays do not
/// touch each other; at a block's start all of it is unwritten again.
class SharedMemory {
 public:
  /// What a kernel may declare without asking for more (CUDA C++ Programming Guide, compute
  /// capabilities: 48 KB of static shared memory on every architecture).
  static constexpr std::size_t kMostBytes = std::size_t{48} << 10U;

  explicit SharedMemory(unsigned warps);

  void begin_block();

  /// The array for a declaration, made when first asked for; null if there is not enough.
  [[nodiscard]] void* array(const void* key, const char* name, std::size_t bytes,
                            std::size_t alignment);

  [[nodiscard]] bool contains(std::uintptr_t address) const { return address - begin() < kArena; }

  /// All threads have met at a barrier, or a warp's lanes with each other: what came before is
  /// ordered before what follows.
  void synchronize_block() { ++barriers_; }
  void synchronize_warp(unsigned warp) { ++warp_barriers_[warp]; }

  /// Notes an access. Returns what is wrong with it, or null.
  [[nodiscard]] const char* touch(std::uintptr_t address, std::size_t bytes, unsigned thread,
                                  bool writes);

  /// "a_slice + 12" for messages.
  [[nodiscard]] std::string describe(std::uintptr_t address) const;

 private:
  static constexpr std::size_t kArena = std::size_t{256} << 10U;
  static constexpr std::size_t kWord = 4;

  struct Array {
    const void* key;
    const char* name;
    std::size_t offset;
    std::size_t bytes;
  };

  struct Touch {
    std::uint32_t barriers = 0;       ///< of the block before it; one more than none
    std::uint32_t warp_barriers = 0;  ///< of its warp
    std::uint16_t thread = 0;
    std::uint8_t bytes = 0;        ///< of the word, as bits
    bool several_threads = false;  ///< several of the warp, or
    bool several_warps = false;
  };

  struct Word {
    Touch write;
    Touch read;
    std::uint8_t allocated = 0;
    std::uint8_t written = 0;
  };

  [[nodiscard]] std::uintptr_t begin() const {
    return reinterpret_cast<std::uintptr_t>(bytes_.data());
  }
  [[nodiscard]] bool conflicts(const Touch& earlier, unsigned thread, std::uint8_t bytes) const;

  std::vector<std::byte> bytes_;
  std::vector<Word> words_;
  std::vector<Array> arrays_;  ///< of the kernel
  std::size_t used_ = 0;       ///< of the arena
  std::size_t declared_ = 0;   ///< without the gaps
  std::uint32_t barriers_ = 1;
  std::vector<std::uint32_t> warp_barriers_;
};

}  // namespace ae::simt
