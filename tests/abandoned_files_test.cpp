// What AtomicFile does about processes that were killed, and about disks that are full.

#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "error_message.hpp"
#include "io/atomic_file.hpp"
#include "temporary_folder.hpp"

namespace ae {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::error_of;
using test::says;
using test::TemporaryFolder;

TEST(AbandonedFiles, AreRemovedByTheNextWriter) {
  const TemporaryFolder folder;
  folder.write(".ae-1-0.part", "half a model");
  folder.write(".ae-4000000-7.part", "half a report");
  folder.write("notes.part", "somebody else's");
  io::AtomicFile file(folder / "file");
  file.write("new");
  file.commit();
  EXPECT_EQ(content_of(folder / "file"), "new");
  EXPECT_EQ(content_of(folder / "notes.part"), "somebody else's");
  EXPECT_EQ(folder.entries(), 2);
}

TEST(AbandonedFiles, AreNotThoseThatAreBeingWritten) {
  const TemporaryFolder folder;
  io::AtomicFile first(folder / "first");
  first.write("1");
  {
    io::AtomicFile second(folder / "second");
    second.write("2");
    io::require_writable(folder / "third");
    second.commit();
  }
  first.commit();
  EXPECT_EQ(content_of(folder / "first"), "1");
  EXPECT_EQ(content_of(folder / "second"), "2");
  EXPECT_EQ(folder.entries(), 2);
}

TEST(ReservedSpace, IsNoPartOfTheFile) {
  const TemporaryFolder folder;
  io::AtomicFile file(folder / "file");
  file.reserve(100'000);
  file.write("short");
  file.commit();
  EXPECT_EQ(content_of(folder / "file"), "short");
}

TEST(ReservedSpace, IsRefusedWhereThereIsNone) {
  const TemporaryFolder folder;
  rlimit saved{};
  getrlimit(RLIMIT_FSIZE, &saved);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, saved.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of([&] {
    io::AtomicFile file(folder / "file");
    file.reserve(100'000);
  });
  setrlimit(RLIMIT_FSIZE, &saved);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(says(message, "file cannot be written: File too large; "));
  EXPECT_EQ(folder.entries(), 0);
}

}  // namespace
}  // namespace ae
