#include "io/atomic_file.hpp"

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ae/error.hpp"

#include "io/os_error.hpp"

namespace ae::io {
namespace {

/// Leftovers of processes that were killed occupy names, but never this many.
constexpr int kMaximumAttempts = 1000;

constexpr std::string_view kPrefix = ".ae-";
constexpr std::string_view kSuffix = ".part";

[[noreturn]] void fail_to_write(const std::filesystem::path& target, int error_number) {
  throw Error(os_error_message(fmt::format("{} cannot be written", target.string()), error_number));
}

std::filesystem::path folder_of(const std::filesystem::path& target) {
  return target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
}

/// Where the file really goes: through symbolic links, so that a link stays one. Refuses what a
/// rename would destroy (devices such as /dev/null) or could not replace (folders).
std::filesystem::path resolve_target(std::filesystem::path target) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // whatever is wrong with the path, opening the file will say it
  const fs::file_status status = fs::status(target, ignored);
  if (fs::is_directory(status)) {
    throw Error(
        fmt::format("{} cannot be written: it is a folder; add a file name", target.string()));
  }
  if (!target.has_filename()) {
    throw Error(
        fmt::format("'{}' cannot be written: it names no file; add a file name", target.string()));
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error(fmt::format("{} cannot be written: it is not a regular file; choose another path",
                            target.string()));
  }
  return fs::exists(status) ? through_links(target) : target;
}

/// Removes the temporary files of processes that were killed: those that nobody has locked. Where
/// files cannot be locked or removed, they stay.
void remove_abandoned(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const int descriptor =
        ::open(entry->path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(entry->path().c_str());
    ::close(descriptor);
  }
}

/// Marks a temporary file as being written. False if it was removed for an abandoned one before.
bool lock(int descriptor) {
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return errno != EWOULDBLOCK;  // a file system without locks: nobody will remove it
  }
  struct stat status = {};
  return ::fstat(descriptor, &status) != 0 || status.st_nlink > 0;
}

/// Makes a rename in `folder` survive a power cut. The file is whole either way, and some file
/// systems do not support this, so a failure is no error.
void flush_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target) : target_(resolve_target(std::move(target))) {
  const std::filesystem::path folder = folder_of(target_);
  remove_abandoned(folder);
  for (int attempt = 0; attempt < kMaximumAttempts; ++attempt) {
    // Not made from the target's name, which may be as long as names can be.
    temporary_ = folder / fmt::format("{}{}-{}{}", kPrefix, ::getpid(), attempt, kSuffix);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
    if (descriptor_ < 0) continue;
    if (lock(descriptor_)) return;
    ::close(std::exchange(descriptor_, -1));
  }
  fail_to_write(target_, errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written >= 0) {
      written_ += static_cast<std::uint64_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      fail_to_write(target_, errno);
    }
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::reserve(std::uint64_t bytes) {
  while (::fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) fail_to_write(target_, errno);
    return;  // not a service of every file system
  }
  reserved_ = bytes;
}

void AtomicFile::commit() {
  if (reserved_ > written_ && ::ftruncate(descriptor_, static_cast<off_t>(written_)) != 0) {
    fail_to_write(target_, errno);
  }
  // EINVAL: the file system has nothing to flush.
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail_to_write(target_, errno);
  // Network file systems report failed writes only here. Never closed twice, even if it fails.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_to_write(target_, errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_to_write(target_, errno);
  temporary_.clear();
  flush_folder(folder_of(target_));
}

void require_writable(const std::filesystem::path& target) {
  const AtomicFile file(target);
}

std::filesystem::path through_links(const std::filesystem::path& target) {
  std::error_code error;
  if (!std::filesystem::is_symlink(std::filesystem::symlink_status(target, error))) return target;
  std::filesystem::path resolved = std::filesystem::canonical(target, error);
  return error ? target : resolved;
}

}  // namespace ae::io
