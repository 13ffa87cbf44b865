#include "io/file.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ae/error.hpp"

#include "io/os_error.hpp"

namespace ae::io {
namespace {

[[noreturn]] void fail_to_read(const std::filesystem::path& path, int error_number) {
  if (error_number == ENOENT) {
    throw Error(fmt::format("no such file: '{}'; check the path", path.string()));
  }
  throw Error(os_error_message(fmt::format("{} cannot be read", path.string()), error_number));
}

std::vector<std::byte> read_range(FileSource& file, std::uint64_t offset, std::uint64_t size) {
  std::vector<std::byte> bytes(size);
  file.seek(offset);
  const std::size_t read = file.read(bytes);
  if (read < size) {
    throw Error(fmt::format("{} was cut off at byte {} while it was read; try again",
                            file.path().string(), offset + read));
  }
  return bytes;
}

}  // namespace

FileSource::FileSource(std::filesystem::path path)
    : path_(std::move(path)),
      // Not blocking, or a pipe would keep us waiting for a writer before it is refused.
      descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) fail_to_read(path_, errno);

  struct stat status = {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (known && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
    return;
  }
  const int error_number = errno;
  ::close(descriptor_);  // the destructor of what was never constructed does not run
  if (!known) fail_to_read(path_, error_number);
  if (S_ISDIR(status.st_mode)) {
    throw Error(fmt::format("{} is a folder; give the path of a file", path_.string()));
  }
  throw Error(fmt::format("{} is a pipe or a device; give the path of a file", path_.string()));
}

FileSource::~FileSource() {
  ::close(descriptor_);
}

std::size_t FileSource::read(std::span<std::byte> out) {
  std::size_t filled = 0;
  while (filled < out.size() && position_ < size_) {
    const ssize_t count = ::pread(descriptor_, out.data() + filled, out.size() - filled,
                                  static_cast<off_t>(position_));
    if (count == 0) break;
    if (count > 0) {
      filled += static_cast<std::size_t>(count);
      position_ += static_cast<std::uint64_t>(count);
    } else if (errno != EINTR) {
      fail_to_read(path_, errno);
    }
  }
  return filled;
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  FileSource file(path);
  return read_range(file, 0, file.size_limit());
}

std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t offset,
                                 std::uint64_t size) {
  FileSource file(path);
  if (offset > file.size_limit() || size > file.size_limit() - offset) {
    throw Error(
        fmt::format("{} is cut off: it has {} bytes, not the {} from byte {} on; write it again",
                    path.string(), file.size_limit(), size, offset));
  }
  return read_range(file, offset, size);
}

}  // namespace ae::io
