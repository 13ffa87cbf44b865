#include <cerrno>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error_message.hpp"
#include "io/atomic_file.hpp"
#include "io/file.hpp"
#include "io/npy.hpp"
#include "io/os_error.hpp"
#include "temporary_folder.hpp"

namespace ae {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::error_of;
using test::says;
using test::TemporaryFolder;

TEST(AtomicFile, AppearsWholeOnCommit) {
  const TemporaryFolder folder;
  {
    io::AtomicFile file(folder / "new.txt");
    file.write("one, ");
    file.write("two");
    EXPECT_FALSE(fs::exists(folder / "new.txt"));
    file.commit();
    EXPECT_EQ(content_of(folder / "new.txt"), "one, two");
  }
  EXPECT_EQ(content_of(folder / "new.txt"), "one, two");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  {
    io::AtomicFile file(folder / "new.txt");
    file.write("half of it");
    EXPECT_EQ(folder.entries(), 1);
  }
  EXPECT_EQ(folder.entries(), 0);
}

TEST(AtomicFile, KeepsTheOldFileUntilCommit) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("file", "old");
  {
    io::AtomicFile file(path);
    file.write("half of the new");
    EXPECT_EQ(content_of(path), "old");
  }
  EXPECT_EQ(content_of(path), "old");
  io::AtomicFile file(path);
  file.write("new");
  file.commit();
  EXPECT_EQ(content_of(path), "new");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, TwoOnTheSameTargetDoNotMix) {
  const TemporaryFolder folder;
  io::AtomicFile first(folder / "file");
  io::AtomicFile second(folder / "file");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  EXPECT_EQ(content_of(folder / "file"), "first");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, TakesTheLongestName) {
  const TemporaryFolder folder;
  const fs::path path = folder / std::string(255, 'n');
  io::AtomicFile file(path);
  file.commit();
  EXPECT_TRUE(fs::exists(path));
}

TEST(AtomicFile, NamesAMissingFolder) {
  const TemporaryFolder folder;
  const std::string message = error_of([&] { io::AtomicFile file(folder / "absent" / "file"); });
  EXPECT_TRUE(says(message, (folder / "absent" / "file").string()));
  EXPECT_TRUE(says(message, "No such file or directory; check the path"));
}

TEST(AtomicFile, RefusesFoldersAndDevices) {
  const TemporaryFolder folder;
  EXPECT_TRUE(says(error_of([&] { io::AtomicFile file(folder.path()); }), "is a folder"));
  EXPECT_TRUE(says(error_of([&] { io::AtomicFile file(folder / "x/"); }), "names no file"));
  EXPECT_TRUE(says(error_of([] { io::AtomicFile file(""); }), "names no file"));
  EXPECT_TRUE(says(error_of([] { io::AtomicFile file("/dev/null"); }), "not a regular file"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(AtomicFile, WritesThroughSymbolicLinks) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  const fs::path real = folder.write("elsewhere/real", "old");
  fs::create_symlink("elsewhere/real", folder / "link");
  io::AtomicFile file(folder / "link");
  file.write("new");
  file.commit();
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content_of(real), "new");
}

/// Files may not grow beyond `bytes` while this lives: what a full disk is like.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_ = {};
  void (*handler_)(int);
};

TEST(AtomicFile, KeepsTheOldFileWhenAWriteFails) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("model", "old");
  std::string message;
  {
    const FileSizeLimit limit(1000);
    message = error_of([&] {
      io::AtomicFile file(path);
      file.write(std::string(600, 'x'));
      file.write(std::string(600, 'x'));
      file.commit();
    });
  }
  EXPECT_TRUE(says(message, path.string() + " cannot be written: File too large; "));
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, NamesAnUnwritableFolder) {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const bool root = ::geteuid() == 0;  // who may write anywhere, so we are nobody for a moment
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const std::string message = error_of([&] { io::AtomicFile file(folder / "file"); });
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(folder.path(), fs::perms::owner_all);
  EXPECT_TRUE(says(message, "Permission denied; change its permissions or choose another path"));
  EXPECT_EQ(folder.entries(), 0);
}

TEST(OsError, TellsTheCureForAFullDisk) {
  EXPECT_EQ(io::os_error_message("model cannot be written", ENOSPC),
            "model cannot be written: No space left on device; free some space or choose another "
            "folder");
}

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ReadFile, WholeAndRange) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("file", "0123456789");
  EXPECT_EQ(text(io::read_file(path)), "0123456789");
  EXPECT_EQ(text(io::read_file(path, 3, 4)), "3456");
  EXPECT_EQ(text(io::read_file(path, 10, 0)), "");
  EXPECT_EQ(text(io::read_file(folder.write("empty", ""))), "");
}

TEST(ReadFile, RefusesRangesBeyondTheEnd) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("file", "0123456789");
  EXPECT_TRUE(says(error_of([&] { io::read_file(path, 3, 8); }), "it has 10 bytes"));
  EXPECT_TRUE(says(error_of([&] { io::read_file(path, 11, 0); }), "it has 10 bytes"));
  // A sum that overflows must not look small.
  EXPECT_TRUE(says(error_of([&] { io::read_file(path, 3, UINT64_MAX); }), "it has 10 bytes"));
}

TEST(ReadFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(says(error_of([&] { io::read_file(folder / "absent"); }), "no such file: '"));
  EXPECT_TRUE(says(error_of([&] { io::read_file(folder.path()); }), "is a folder"));
  EXPECT_TRUE(says(error_of([&] { io::read_file(pipe); }), "is a pipe or a device"));
  EXPECT_TRUE(says(error_of([&] { io::read_file(folder.write("f", "") / "x"); }),
                   "Not a directory; check the path"));
}

TEST(FileSource, SkipsAndSeeks) {
  const TemporaryFolder folder;
  io::FileSource file(folder.write("file", "0123456789"));
  std::vector<std::byte> three(3);
  file.skip(2);
  EXPECT_EQ(file.read(three), 3U);
  EXPECT_EQ(text(three), "234");
  file.seek(8);
  EXPECT_EQ(file.read(three), 2U);
  EXPECT_EQ(file.position(), 10U);
  file.skip(UINT64_MAX / 2);
  EXPECT_EQ(file.read(three), 0U);
}

// ── .npy ───────────────────────────────────────────────────────────────────────────────────────

TEST(WriteNpy, IsByteForByteWhatNumPyWrites) {
  using std::string_literals::operator""s;
  const TemporaryFolder folder;
  const std::vector<float> values = {0, 1, -2, 0.5, 3, 65504};
  io::write_npy(folder / "x.npy", values, {2, 3});
  // numpy.save of numpy.array([[0, 1, -2], [.5, 3, 65504]], 'float32'), NumPy 1.24.
  const std::string header =
      "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"s;
  const std::string content = content_of(folder / "x.npy");
  EXPECT_EQ(content.substr(0, 128), header + std::string(127 - header.size(), ' ') + "\n");
  EXPECT_EQ(content.substr(128),
            "\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\xc0"
            "\x00\x00\x00\x3f\x00\x00\x40\x40\x00\xe0\x7f\x47"s);
}

TEST(WriteNpy, ShapesOfAnyRank) {
  const TemporaryFolder folder;
  const std::vector<float> values(6, 1.5F);
  const auto shape_in_file = [&](const Shape& shape, std::size_t count) {
    io::write_npy(folder / "x.npy", std::span(values).first(count), shape);
    const std::string content = content_of(folder / "x.npy");
    EXPECT_EQ((content.size() - count * sizeof(float)) % 64, 0U);
    const std::size_t begin = content.find('(');
    return content.substr(begin, content.find(')') + 1 - begin);
  };
  EXPECT_EQ(shape_in_file({}, 1), "()");
  EXPECT_EQ(shape_in_file({6}, 6), "(6,)");
  EXPECT_EQ(shape_in_file({0, 5}, 0), "(0, 5)");
  EXPECT_EQ(shape_in_file({1, 2, 3}, 6), "(1, 2, 3)");
}

TEST(WriteNpy, RefusesValuesThatDoNotFillTheShape) {
  const TemporaryFolder folder;
  const std::vector<float> values(5);
  EXPECT_TRUE(says(error_of([&] {
                     io::write_npy(folder / "x.npy", values, {2, 3});
                   }),
                   "5 values are no array of 2x3"));
  EXPECT_EQ(folder.entries(), 0);
}

}  // namespace
}  // namespace ae
