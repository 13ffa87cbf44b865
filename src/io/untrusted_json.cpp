#include "io/untrusted_json.hpp"

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ae/error.hpp"

namespace ae::io {

namespace {

using nlohmann::json;

/// Walks through the text and keeps nothing but the keys of the objects that are open. The
/// library's own hook into its parser looks through all of an object's members each time that one
/// has ended.
class Inspector final : public json::json_sax_t {
 public:
  [[nodiscard]] const char* problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }

  bool start_object(std::size_t /*elements*/) override { return open(); }
  bool key(string_t& name) override {
    return keys_.back().insert(std::move(name)).second || refuse("names something twice");
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*elements*/) override { return open(); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return refuse("is not a JSON object");
  }

 private:
  static constexpr std::size_t kDeepest = 8;

  bool open() {
    keys_.emplace_back();
    return keys_.size() <= kDeepest || refuse("is nested too deeply");
  }
  bool close() {
    keys_.pop_back();
    return true;
  }
  bool refuse(const char* problem) {
    problem_ = problem;
    return false;
  }

  std::vector<std::set<std::string>> keys_;  ///< of each object that is open; none for arrays
  const char* problem_ = nullptr;
};

}  // namespace

json parse_untrusted_json(std::string_view text) {
  Inspector inspector;
  if (!json::sax_parse(text, &inspector)) throw Error(inspector.problem());
  return json::parse(text);
}

}  // namespace ae::io
