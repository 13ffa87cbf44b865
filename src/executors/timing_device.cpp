#include "executors/timing_device.hpp"

#include <chrono>
#include <utility>
#include <variant>

#include "device/fuse.hpp"
#include "executors/called_program.hpp"

namespace ae {

namespace {

constexpr int kRepeats = 50;

class TimingDevice final : public Device {
 public:
  TimingDevice(Device& timed, std::function<void(const TimedOperation&)> on_operation)
      : timed_(timed), on_operation_(std::move(on_operation)) {}

  [[nodiscard]] std::string name() const override { return timed_.name(); }
  [[nodiscard]] void* allocate(std::size_t bytes) override { return timed_.allocate(bytes); }
  void deallocate(void* memory) noexcept override { timed_.deallocate(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    timed_.upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    timed_.download(to, from, bytes);
  }
  void clear(void* memory, std::size_t bytes) override { timed_.clear(memory, bytes); }
  [[nodiscard]] double peek(const double* value) const override { return timed_.peek(value); }
  void synchronize() override { timed_.synchronize(); }
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    return timed_.make_resident(data);
  }

  [[nodiscard]] bool is_asynchronous() const override { return timed_.is_asynchronous(); }

  [[nodiscard]] std::unique_ptr<Program> compile(const Step& step) override {
    return std::make_unique<CalledProgram>(step, [this](const Step& called) { run(called); });
  }
  void run(const Step& step) override {
    const Step fused = fuse(step);
    for (const Node& node : fused.nodes()) time(node);
  }

 private:
  static double seconds_of(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  [[nodiscard]] double seconds_of(const Node& node) const {
    Step single;
    if (!timed_.is_asynchronous()) {
      single.add(node.op, node.layer);
      return seconds_of([&] { timed_.run(single); });
    }
    for (int i = 0; i < kRepeats; ++i) single.add(node.op, node.layer);
    const std::unique_ptr<Program> repeated = timed_.compile(single);
    repeated->replay(1);
    timed_.synchronize();
    return seconds_of([&] {
             repeated->replay(1);
             timed_.synchronize();
           }) /
           kRepeats;
  }

  void time(const Node& node) {
    on_operation_(std::visit(
        [&](const auto& op) {
          TimedOperation timed{.layer = node.layer, .stage = op.kName, .seconds = seconds_of(node)};
          if constexpr (requires { op.flop(); }) timed.flop = op.flop();
          return timed;
        },
        node.op));
  }

  Device& timed_;
  std::function<void(const TimedOperation&)> on_operation_;
};

}  // namespace

std::unique_ptr<Device> make_timing_device(
    Device& timed, std::function<void(const TimedOperation&)> on_operation) {
  return std::make_unique<TimingDevice>(timed, std::move(on_operation));
}

}  // namespace ae
