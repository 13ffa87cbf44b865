#pragma once

#include <exception>
#include <new>
#include <string>

namespace ae::cli {

/// What is done beside the model: progress, metrics, pictures, the report. Where it fails, the work
/// goes on, and the first failure is told at the end, when the model is safe.
class SideWork {
 public:
  /// Does it. An exception becomes the complaint, if there is none yet.
  template <typename Work>
  void attempt(const Work& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      note("out of memory, use less data (--limit) or --no-report");
    } catch (const std::exception& error) {
      note(error.what());
    }
  }

  /// Empty if nothing failed.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  void note(const char* what) {
    if (complaint_.empty()) complaint_ = what;
  }

  std::string complaint_;
};

}  // namespace ae::cli
