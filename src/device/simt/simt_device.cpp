#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ae/simt.hpp"

#include "device/emulated_device.hpp"
#include "device/fuse.hpp"
#include "device/kernel/kernel_device.hpp"
#include "io/numbers.hpp"

namespace ae {

namespace simt {

namespace {

class SimtProgram final : public Program {
 public:
  SimtProgram(std::vector<Launch> launches, Order order)
      : launches_(std::move(launches)), order_(order) {}

  void replay(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) {
      for (const Launch& launch : launches_) Machine::instance().run(launch, order_);
    }
  }

 private:
  std::vector<Launch> launches_;
  Order order_;
};

class SimtDevice final : public KernelDevice {
 public:
  SimtDevice(std::string name, Order order)
      : name_(std::move(name)),
        memory_(Machine::instance().memory()),
        order_(order),
        queue_(order) {}
  ~SimtDevice() override { release_scratch(); }

  [[nodiscard]] std::string name() const override { return name_; }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    void* memory = memory_.allocate(bytes);
    memory_.set(memory, 0, bytes);
    return memory;
  }
  void deallocate(void* memory) noexcept override { memory_.deallocate(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    memory_.upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    memory_.download(to, from, bytes);
  }
  void clear(void* memory, std::size_t bytes) override { memory_.set(memory, 0, bytes); }
  [[nodiscard]] double peek(const double* value) const override {
    double seen = 0;
    memory_.download(&seen, value, sizeof(seen));
    return seen;
  }
  void synchronize() override {}

  [[nodiscard]] std::unique_ptr<Program> compile(const Step& step) override {
    const Step fused = fuse(step);
    rehearse(fused);
    queue_.begin_recording();
    try {
      enqueue(fused);
    } catch (...) {
      static_cast<void>(queue_.end_recording());
      throw;
    }
    return std::make_unique<SimtProgram>(queue_.end_recording(), order_);
  }
  void run(const Step& step) override { enqueue(fuse(step)); }

 protected:
  [[nodiscard]] void* allocate_unwritten(std::size_t bytes) override {
    return memory_.allocate(bytes);
  }
  [[nodiscard]] Stream stream() override { return &queue_; }

 private:
  std::string name_;
  DeviceMemory& memory_;
  Order order_;
  LaunchQueue queue_;
};

std::optional<Order> parse_order(std::string_view name) {
  constexpr std::string_view kShuffled = "simt:shuffled";
  if (name == "simt" || name == "simt:forward") return Order{};
  if (name == "simt:reverse") return Order{Order::Kind::reverse, 0};
  if (!name.starts_with(kShuffled)) return std::nullopt;
  Order order{Order::Kind::shuffled, 1};
  name.remove_prefix(kShuffled.size());
  if (name.empty()) return order;
  const auto seed = io::to_integer<std::uint64_t>(name.substr(1));
  if (name.front() != ':' || !seed) return std::nullopt;
  order.seed = *seed;
  return order;
}

bool has_order(std::string_view name) {
  return parse_order(name).has_value();
}

std::unique_ptr<Device> make_device(std::string_view name) {
  return std::make_unique<SimtDevice>(std::string(name), parse_order(name).value());
}

constexpr EmulatedDevice kDevice{has_order, make_device};

}  // namespace

}  // namespace simt

void register_simt_device() {
  set_emulated_device(simt::kDevice);
}

}  // namespace ae
