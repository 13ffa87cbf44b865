#include "io/os_error.hpp"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace ae::io {
namespace {

std::string_view cure(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or choose another folder";
    case EFBIG:
      return "raise the file size limit (ulimit -f) or choose another file system";
    case EACCES:
    case EPERM:
      return "change its permissions or choose another path";
    case EROFS:
      return "choose a path on a writable file system";
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
      return "check the path";
    case ENAMETOOLONG:
      return "choose a shorter name";
    case EMFILE:
    case ENFILE:
      return "close other files or raise the limit (ulimit -n)";
    default:
      return "check the disk or choose another path";
  }
}

}  // namespace

std::string os_error_message(std::string_view what, int error_number) {
  return fmt::format("{}: {}; {}", what, std::generic_category().message(error_number),
                     cure(error_number));
}

}  // namespace ae::io
