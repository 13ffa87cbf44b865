#include "executors/compare_device.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "device/fuse.hpp"
#include "executors/called_program.hpp"

namespace ae {

namespace {

class PairedData final : public ResidentData {
 public:
  PairedData(std::unique_ptr<ResidentData> judged, std::unique_ptr<ResidentData> reference)
      : ResidentData(reference->rows(), reference->row_size()),
        judged_(std::move(judged)),
        reference_(std::move(reference)) {}
  [[nodiscard]] ResidentData* judged() const { return judged_.get(); }
  [[nodiscard]] ResidentData* reference() const { return reference_.get(); }

 private:
  std::unique_ptr<ResidentData> judged_;
  std::unique_ptr<ResidentData> reference_;
};

/// Blocks that lie in both devices, known by their addresses in the reference.
class PairedMemory {
 public:
  void* allocate(Device& judged, Device& reference, std::size_t bytes) {
    // An empty block needs an address of its own, too.
    const auto size = static_cast<std::int64_t>(std::max(bytes, std::size_t{1}));
    Block block{DeviceArray<std::byte>(judged, size), DeviceArray<std::byte>(reference, size)};
    std::byte* begin = block.reference.data();
    blocks_.emplace(begin, std::move(block));
    return begin;
  }

  void deallocate(const void* memory) noexcept {
    blocks_.erase(static_cast<const std::byte*>(memory));
  }

  /// Where the judged device has what the reference has at `memory`, anywhere within a block.
  [[nodiscard]] void* judged(const void* memory, std::size_t bytes) const {
    const auto* address = static_cast<const std::byte*>(memory);
    const auto after = blocks_.upper_bound(address);
    if (after != blocks_.begin()) {
      const auto& [begin, block] = *std::prev(after);
      const auto offset = static_cast<std::size_t>(address - begin);
      const auto size = static_cast<std::size_t>(block.judged.size());
      if (offset <= size && bytes <= size - offset) return block.judged.data() + offset;
    }
    throw Error(
        fmt::format("{} bytes at {} are not within one block of allocated memory, give operations "
                    "memory from allocate() that was not freed",
                    bytes, memory));
  }

 private:
  struct Block {
    DeviceArray<std::byte> judged;
    DeviceArray<std::byte> reference;
  };

  std::map<const std::byte*, Block> blocks_;
};

/// "encoder.0 forward y", or "loss dz" of an operation of no layer.
std::string output_name(std::string_view layer, std::string_view op, std::string_view output) {
  return layer.empty() ? fmt::format("{} {}", op, output)
                       : fmt::format("{} {} {}", layer, op, output);
}

class CompareDevice final : public Device {
 public:
  CompareDevice(std::unique_ptr<Device> judged, std::unique_ptr<Device> reference,
                std::function<void(std::span<const CheckedOutput>)> on_end)
      : judged_(std::move(judged)), reference_(std::move(reference)), on_end_(std::move(on_end)) {}
  ~CompareDevice() override {
    if (!on_end_) return;
    try {
      on_end_(outputs_.worst_first());
    } catch (...) {  // NOLINT(bugprone-empty-catch): a destructor has nobody to tell
    }
  }
  CompareDevice(const CompareDevice&) = delete;
  CompareDevice& operator=(const CompareDevice&) = delete;

  [[nodiscard]] std::string name() const override { return "check"; }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    return memory_.allocate(*judged_, *reference_, bytes);
  }
  void deallocate(void* memory) noexcept override { memory_.deallocate(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    judged_->upload(memory_.judged(to, bytes), from, bytes);
    reference_->upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    judged_->download(to, memory_.judged(from, bytes), bytes);
  }
  void clear(void* memory, std::size_t bytes) override {
    judged_->clear(memory_.judged(memory, bytes), bytes);
    reference_->clear(memory, bytes);
  }
  [[nodiscard]] double peek(const double* value) const override { return reference_->peek(value); }
  void synchronize() override {
    judged_->synchronize();
    reference_->synchronize();
  }
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    return std::make_unique<PairedData>(judged_->make_resident(data),
                                        reference_->make_resident(data));
  }

  [[nodiscard]] std::unique_ptr<Program> compile(const Step& step) override {
    return std::make_unique<CalledProgram>(step, [this](const Step& called) { run(called); });
  }
  void run(const Step& step) override {
    const Step fused = fuse(step);
    for (const Node& node : fused.nodes()) {
      std::visit([&](const auto& op) { run_on_both(op, node.layer); }, node.op);
    }
  }

 private:
  /// The operands of an operation for one of the two.
  struct ForJudged {
    const PairedMemory& memory;
    void operator()(ResidentData*& data) const {
      data = static_cast<const PairedData&>(*data).judged();
    }
    template <typename T>
    void operator()(Operand /*operand*/, Tensor<T>& tensor) const {
      if (!tensor.exists()) return;
      const auto bytes = static_cast<std::size_t>(tensor.size()) * sizeof(T);
      tensor.data = static_cast<T*>(memory.judged(tensor.data, bytes));
    }
  };
  struct ForReference {
    void operator()(ResidentData*& data) const {
      data = static_cast<const PairedData&>(*data).reference();
    }
    template <typename T>
    void operator()(Operand /*operand*/, Tensor<T>& /*tensor*/) const {}
  };

  template <typename Operation>
  void run_on_both(const Operation& op, std::string_view layer) {
    Operation of_judged = op;
    Operation::operands(of_judged, ForJudged{memory_});
    Operation of_reference = op;
    Operation::operands(of_reference, ForReference{});
    judged_->Device::run(of_judged, layer);
    reference_->Device::run(of_reference, layer);
    for_each_operand(op, [&](Operand operand, const auto& tensor) {
      if (operand.is_written()) compare(output_name(layer, op.kName, operand.name), tensor);
    });
  }

  /// Compares an output and has the judged device go on from the reference's.
  template <typename T>
  void compare(const std::string& output, const Tensor<T>& tensor) {
    if constexpr (!std::is_const_v<T>) {
      std::vector<T> judged(static_cast<std::size_t>(tensor.size()));
      std::vector<T> reference(judged.size());
      const std::size_t bytes = judged.size() * sizeof(T);
      void* const in_judged = memory_.judged(tensor.data, bytes);
      judged_->download(judged.data(), in_judged, bytes);
      reference_->download(reference.data(), tensor.data, bytes);
      outputs_.compare<T>(output, tensor.cols, judged, reference);
      judged_->upload(in_judged, reference.data(), bytes);
    }
  }

  std::unique_ptr<Device> judged_;
  std::unique_ptr<Device> reference_;
  std::function<void(std::span<const CheckedOutput>)> on_end_;
  PairedMemory memory_;
  CheckedOutputs outputs_;
};

}  // namespace

std::unique_ptr<Device> make_compare_device(
    std::unique_ptr<Device> judged, std::unique_ptr<Device> reference,
    std::function<void(std::span<const CheckedOutput>)> on_end) {
  return std::make_unique<CompareDevice>(std::move(judged), std::move(reference),
                                         std::move(on_end));
}

}  // namespace ae
