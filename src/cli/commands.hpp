#pragma once

#include <string>
#include <vector>

namespace ae::cli {

/// Each takes the arguments after its name and returns the exit code: 0, or 130 when interrupted.
/// What goes wrong is thrown.
using Arguments = std::vector<std::string>;

int run_train(const Arguments& arguments);
int run_evaluate(const Arguments& arguments);
int run_encode(const Arguments& arguments);
int run_decode(const Arguments& arguments);
int run_reconstruct(const Arguments& arguments);
int run_info(const Arguments& arguments);
int run_bench(const Arguments& arguments);

}  // namespace ae::cli
