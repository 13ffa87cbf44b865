#include "simt/shared_memory.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ae::simt {

namespace {

constexpr std::size_t kGap = 64;  // between two arrays, touched by nobody
constexpr std::byte kFresh{0xFF};

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

SharedMemory::SharedMemory(unsigned warps)
    : bytes_(kArena, kFresh), words_(kArena / kWord), warp_barriers_(warps, 1) {}

void SharedMemory::begin_block() {
  std::fill_n(bytes_.begin(), used_, kFresh);
  for (std::size_t word = 0; word < used_ / kWord; ++word) {
    words_[word] = {{}, {}, words_[word].allocated, 0};
  }
  barriers_ = 1;
  std::fill(warp_barriers_.begin(), warp_barriers_.end(), 1);
}

void* SharedMemory::array(const void* key, const char* name, std::size_t bytes,
                          std::size_t alignment) {
  const auto known = std::find_if(arrays_.begin(), arrays_.end(),
                                  [key](const Array& array) { return array.key == key; });
  if (known != arrays_.end()) return bytes_.data() + known->offset;

  declared_ = rounded_up(declared_, alignment) + bytes;
  if (declared_ > kMostBytes) return nullptr;
  const std::size_t offset = rounded_up(used_ + begin(), std::max(alignment, kGap)) - begin();
  used_ = rounded_up(offset + bytes, kWord) + kGap;
  for (std::size_t i = 0; i < bytes; ++i) {
    words_[(offset + i) / kWord].allocated |= static_cast<std::uint8_t>(1U << (offset + i) % kWord);
  }
  arrays_.push_back({key, name, offset, bytes});
  return bytes_.data() + offset;
}

const char* SharedMemory::touch(std::uintptr_t address, std::size_t bytes, unsigned thread,
                                bool writes) {
  const std::size_t offset = address - begin();
  const std::size_t end = offset + bytes;
  if (end > kArena) return "outside every shared array";
  const Touch now{.barriers = barriers_,
                  .warp_barriers = warp_barriers_[thread / 32],
                  .thread = static_cast<std::uint16_t>(thread)};
  for (std::size_t at = offset / kWord * kWord; at < end; at += kWord) {
    Word& word = words_[at / kWord];
    const std::size_t first = std::max(at, offset) - at;
    const std::size_t last = std::min(at + kWord, end) - at;
    const auto touched = static_cast<std::uint8_t>((1U << last) - (1U << first));
    if ((word.allocated & touched) != touched) return "outside every shared array";
    if (conflicts(word.write, thread, touched)) {
      return writes ? "written by two threads without a barrier between them"
                    : "read while another thread writes it, without a barrier between them";
    }
    if (writes) {
      if (conflicts(word.read, thread, touched)) {
        return "written while another thread reads it, without a barrier between them";
      }
      const bool again = word.write.thread == thread && word.write.barriers == barriers_;
      const std::uint8_t before = again ? word.write.bytes : std::uint8_t{0};
      word.write = now;
      word.write.bytes = before | touched;
      word.written |= touched;
      continue;
    }
    if ((word.written & touched) != touched) return "read before anything wrote it";
    Touch& read = word.read;
    const bool same_time =
        read.barriers == barriers_ &&
        (read.thread / 32 != thread / 32 || read.warp_barriers == warp_barriers_[thread / 32]);
    const Touch earlier = read;
    read = now;
    read.bytes = touched;
    if (!same_time) continue;
    read.bytes |= earlier.bytes;
    read.several_warps = earlier.several_warps || earlier.thread / 32 != thread / 32;
    read.several_threads = earlier.several_threads || earlier.thread != thread;
  }
  return nullptr;
}

bool SharedMemory::conflicts(const Touch& earlier, unsigned thread, std::uint8_t bytes) const {
  if (earlier.barriers != barriers_ || (earlier.bytes & bytes) == 0) return false;
  if (earlier.several_warps || earlier.thread / 32U != thread / 32) return true;
  if (earlier.warp_barriers != warp_barriers_[thread / 32]) return false;
  return earlier.several_threads || earlier.thread != thread;
}

std::string SharedMemory::describe(std::uintptr_t address) const {
  const std::size_t offset = address - begin();
  // The array it is in, else the one that ends next before it.
  const Array* nearest = nullptr;
  for (const Array& array : arrays_) {
    if (array.offset <= offset && (nearest == nullptr || array.offset > nearest->offset)) {
      nearest = &array;
    }
  }
  if (nearest == nullptr) return "before every shared array";
  return fmt::format("{} bytes into the shared array {} of {} bytes", offset - nearest->offset,
                     nearest->name, nearest->bytes);
}

}  // namespace ae::simt
