#include "device/kernel/kernel_device.hpp"

#include <algorithm>
#include <variant>

#include "step/step.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

DeviceData::DeviceData(Device& device, const Dataset& data)
    : ResidentData(data.rows(), data.row_size()) {
  if (data.is_bytes()) {
    bytes_ = DeviceArray<std::uint8_t>(device, rows() * row_size());
    bytes_.upload(data.bytes());
  } else {
    floats_ = DeviceArray<float>(device, rows() * row_size());
    floats_.upload(data.floats());
  }
  set_values(bytes_.data(), floats_.data());
}

std::unique_ptr<ResidentData> KernelDevice::make_resident(const Dataset& data) {
  return std::make_unique<DeviceData>(*this, data);
}

// ── Steps ───────────────────────────────────────────────────────────────────────────────────────

void KernelDevice::rehearse(const Step& step) {
  struct Rehearsal {
    bool& is_on;
    explicit Rehearsal(bool& flag) : is_on(flag) { is_on = true; }
    Rehearsal(const Rehearsal&) = delete;
    Rehearsal& operator=(const Rehearsal&) = delete;
    ~Rehearsal() { is_on = false; }
  };
  const Rehearsal rehearsal(is_rehearsal_);
  for (const Node& node : step.nodes()) {
    std::visit([&](const auto& op) { launch(op, *this); }, node.op);
  }
}

void KernelDevice::enqueue(const Step& step) {
  try {
    for (const Node& node : step.nodes()) {
      std::visit(
          [&](const auto& op) {
            join_for(op);
            const Range range(*this, op.kName, node.layer);
            launch(op, *this);
          },
          node.op);
    }
  } catch (...) {
    beside_.clear();
    throw;
  }
}

// ── The side stream ─────────────────────────────────────────────────────────────────────────────

void KernelDevice::multiply_beside(const Product& product) {
  if (is_rehearsal_) return;
  multiply_on_side_stream(product);
  const auto note = [&](const float* data, std::int64_t size, bool is_written) {
    beside_.push_back({reinterpret_cast<const std::byte*>(data),
                       reinterpret_cast<const std::byte*>(data + size), is_written});
  };
  note(product.a, product.m * product.k, false);
  note(product.b, product.k * product.n, false);
  note(product.c, product.m * product.n, true);
}

template <typename Operation>
void KernelDevice::join_for(const Operation& op) {
  if (beside_.empty()) return;
  bool conflicts = false;
  for_each_operand(op, [&](Operand operand, const auto& tensor) {
    const auto* const begin = reinterpret_cast<const std::byte*>(tensor.data);
    const auto* const end = reinterpret_cast<const std::byte*>(tensor.data + tensor.size());
    conflicts = conflicts || std::any_of(beside_.begin(), beside_.end(), [&](const Span& other) {
                  return (operand.is_written() || other.is_written) && begin < other.end &&
                         other.begin < end;
                });
  });
  if (conflicts) join();
}

void KernelDevice::join() {
  if (beside_.empty()) return;
  beside_.clear();
  join_side_stream();
}

// ── Scratch memory ──────────────────────────────────────────────────────────────────────────────

Scratch KernelDevice::scratch(const ScratchSizes& sizes) {
  return scratch_.at_least(sizes, [this](std::size_t bytes, bool zeroed) {
    owned_.push_back(nullptr);  // room first: the memory must not be lost
    owned_.back() = zeroed ? allocate(bytes) : allocate_unwritten(bytes);
    return owned_.back();
  });
}

void KernelDevice::release_scratch() noexcept {
  for (void* memory : owned_) deallocate(memory);
  owned_.clear();
}

}  // namespace ae::AE_DEVICE_NAMESPACE
