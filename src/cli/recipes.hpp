#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ae::cli {

/// The files of the repository's folder recipes, each by its name without ".toml".
std::vector<std::string_view> recipe_names();

/// A recipe's TOML. @throws UsageError naming those there are.
std::string_view recipe_text(const std::string& name);

}  // namespace ae::cli
