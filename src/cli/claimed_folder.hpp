#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ae::cli {

/// A folder that is one run's alone for as long as this lives: it holds a locked file, `.ae-lock`.
/// The lock of a process that is killed goes with it. Where the file system has no locks, nothing
/// guards the folder.
class ClaimedFolder {
 public:
  /// Makes the folder and its parents, where there are none, and claims it.
  /// @throws Error if that is not possible, or another run is in it.
  explicit ClaimedFolder(const std::filesystem::path& folder);

  /// runs/NAME, or runs/NAME-2, -3, … if that holds a model or another run is in it.
  static ClaimedFolder unused(std::string_view name);

  ~ClaimedFolder();
  ClaimedFolder(ClaimedFolder&& other) noexcept;
  ClaimedFolder(const ClaimedFolder&) = delete;
  ClaimedFolder& operator=(const ClaimedFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return folder_; }

  /// Removes the locked file, which must be the last that is done in the folder.
  void release() noexcept;

 private:
  ClaimedFolder(std::filesystem::path folder, int descriptor);
  static std::optional<ClaimedFolder> attempt(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  std::string lock_;
  int descriptor_ = -1;
};

}  // namespace ae::cli
