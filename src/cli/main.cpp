#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "ae/error.hpp"
#include "ae/simt.hpp"
#include "ae/version.hpp"

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/standard_streams.hpp"
#include "cli/suggest.hpp"
#include "io/printable.hpp"

namespace ae::cli {

namespace {

constexpr int kWorkFailed = 1;
constexpr int kUsageWrong = 2;

struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Arguments& arguments);
};

constexpr std::array kCommands = {
    Command{"train", "train an autoencoder; writes a run folder", run_train},
    Command{"evaluate", "the loss of a model on a data set", run_evaluate},
    Command{"encode", "data to latent codes", run_encode},
    Command{"decode", "latent codes to data or a picture", run_decode},
    Command{"reconstruct", "originals above their reconstructions, as a picture", run_reconstruct},
    Command{"info", "what a model is, or what this program and machine are", run_info},
    Command{"bench", "time the training step, stage by stage", run_bench},
};

void print_overview() {
  std::string text = "ae trains autoencoders.\n\nUsage: ae COMMAND [options]\n\nCommands:\n";
  for (const Command& command : kCommands) {
    text += fmt::format("  {:<14}{}\n", command.name, command.summary);
  }
  text +=
      "\n  ae COMMAND --help tells more of each; ae --version prints the version.\n\nExamples:\n"
      "  ae train --data mnist --epochs 50\n"
      "  ae train --data photos.npy --hidden 256,64 --loss mse\n";
  print(text);
}

int run(Arguments arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    print_overview();
    return 0;
  }
  if (arguments[0] == "--version") {
    print(fmt::format("ae {}\n", version()));
    return 0;
  }
  if (arguments[0] == "help") {
    if (arguments.size() < 2) {
      print_overview();
      return 0;
    }
    arguments = {arguments[1], "--help"};
  }
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (arguments[0] == command.name) {
      return command.run(Arguments(arguments.begin() + 1, arguments.end()));
    }
    names.emplace_back(command.name);
  }
  throw UsageError(fmt::format("there is no command '{}'{}; see ae --help", arguments[0],
                               did_you_mean(arguments[0], names, "ae ")));
}

int fail(int code, std::string_view message) {
  // A message may quote a file, which may hold what a terminal would obey.
  print_error(io::without_controls(message));
  return code;
}

}  // namespace

}  // namespace ae::cli

int main(int argc, char** argv) {
  using ae::cli::fail;
  ae::cli::open_standard_streams();
  // Past a file size limit or into a closed pipe, writing shall fail with an error, not end us.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  try {
#if AE_HAS_SIMT
    ae::register_simt_device();
#endif
    return ae::cli::run(ae::cli::Arguments(argv + 1, argv + argc));
  } catch (const ae::DataMismatch& error) {
    return fail(ae::cli::kWorkFailed, error.what());
  } catch (const ae::UsageError& error) {
    return fail(ae::cli::kUsageWrong, error.what());
  } catch (const ae::Error& error) {
    return fail(ae::cli::kWorkFailed, error.what());
  } catch (const std::bad_alloc&) {
    return fail(ae::cli::kWorkFailed, "out of memory, use less data (--limit) or a smaller model");
  } catch (const std::exception& error) {
    return fail(ae::cli::kWorkFailed, error.what());
  }
}
