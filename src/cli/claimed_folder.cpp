#include "cli/claimed_folder.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ae/error.hpp"

#include "io/os_error.hpp"

namespace ae::cli {

namespace {

namespace fs = std::filesystem;

fs::path lock_in(const fs::path& folder) {
  return folder / ".ae-lock";
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw Error(fmt::format("the run folder {} cannot be made, {}, choose another with --out",
                            folder.string(), error.message()));
  }
}

/// Whether `path` is the file that is open: the run before removes it when it ends.
bool is_still(const fs::path& path, int descriptor) {
  struct stat opened = {};
  struct stat named = {};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

std::optional<ClaimedFolder> ClaimedFolder::attempt(const fs::path& folder) {
  make_folder(folder);
  const fs::path lock = lock_in(folder);
  for (;;) {
    const int descriptor = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0) {
      throw Error(io::os_error_message(
          fmt::format("the run folder {} cannot be written", folder.string()), errno));
    }
    const bool is_taken = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!is_taken && is_still(lock, descriptor)) return ClaimedFolder(folder, descriptor);
    ::close(descriptor);
    if (is_taken) return std::nullopt;
  }
}

ClaimedFolder::ClaimedFolder(fs::path folder, int descriptor)
    : folder_(std::move(folder)), lock_(lock_in(folder_).string()), descriptor_(descriptor) {}

ClaimedFolder::ClaimedFolder(const fs::path& folder)
    : ClaimedFolder([&] {
        std::optional<ClaimedFolder> claimed = attempt(folder);
        if (claimed) return std::move(*claimed);
        throw Error(fmt::format(
            "another ae train is at work in the run folder {}, wait for it or choose another with "
            "--out",
            folder.string()));
      }()) {}

ClaimedFolder ClaimedFolder::unused(std::string_view name) {
  const fs::path runs = "runs";
  fs::path folder = runs / name;
  for (int number = 2;; ++number) {
    const auto has_model = [&] { return fs::exists(folder / "model.safetensors"); };
    if (!has_model()) {
      std::optional<ClaimedFolder> claimed = attempt(folder);
      // A run that ended meanwhile has left its model.
      if (claimed && !has_model()) return std::move(*claimed);
    }
    folder = runs / fmt::format("{}-{}", name, number);
  }
}

ClaimedFolder::~ClaimedFolder() {
  if (descriptor_ < 0) return;
  release();
  ::close(descriptor_);
}

ClaimedFolder::ClaimedFolder(ClaimedFolder&& other) noexcept
    : folder_(std::move(other.folder_)),
      lock_(std::move(other.lock_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

void ClaimedFolder::release() noexcept {
  ::unlink(lock_.c_str());
}

}  // namespace ae::cli
