#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ae/dataset.hpp"

#include "batch/gather.hpp"
#include "batch/gather_rows.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/memory.hpp"
#include "device/device.hpp"

namespace ae::cuda {

/// Brings chosen rows of a host data set to the device, one batch after the other, through two
/// slots: while the main stream works on one, the host collects the next batch and a stream of its
/// own copies it into the other.
class RowFeed {
 public:
  RowFeed(Memory& memory, const Dataset& data, std::int64_t rows_a_slot, cudaStream_t main);
  ~RowFeed();
  RowFeed(const RowFeed&) = delete;
  RowFeed& operator=(const RowFeed&) = delete;

  [[nodiscard]] std::int64_t rows_a_slot() const { return rows_a_slot_; }

  /// Puts data[row(0)], data[row(1)], … into slot `slot`; what is put on the main stream from here
  /// on sees them.
  void fill(std::size_t slot, std::int64_t rows,
            const std::function<std::int64_t(std::int64_t)>& row);
  /// What is on the main stream up to now was the last to read slot `slot`.
  void release(std::size_t slot);

  /// Slot 1 follows slot 0 like the rows of one data set.
  [[nodiscard]] GatherSource source() const;

 private:
  struct Slot {
    OwnedEvent copied;    ///< from pinned memory to the device
    OwnedEvent released;  ///< by the main stream
  };

  Memory& memory_;
  const Dataset& data_;
  std::int64_t rows_a_slot_;
  std::size_t row_bytes_;
  cudaStream_t main_;
  OwnedStream copies_;
  PinnedMemory pinned_;
  std::byte* device_ = nullptr;
  std::array<Slot, 2> slots_;
};

/// The batches of a training, streamed. The host follows the device's step counter by counting what
/// it replays, and looks at counter and permutation once an epoch.
class BatchFeed {
 public:
  BatchFeed(Device& device, Memory& memory, const Dataset& data, const GatherBatch& op,
            cudaStream_t main);

  [[nodiscard]] bool serves(const GatherBatch& op) const;

  /// Brings the next step's batch of `rows` rows to its slot. `counted` trusts the host's count.
  void before_step(std::int64_t rows, bool counted);
  void after_step();

  /// The gather that takes the current step's rows from its slot.
  void gather(const GatherBatch& op, LaunchContext& context) const;

 private:
  void look_at_device();

  Device& device_;
  std::int64_t dataset_rows_;
  GatherBatch op_;
  RowFeed feed_;
  DeviceArray<std::int32_t> slot_rows_;  ///< 0, 1, 2, …: both slots, row by row
  std::vector<std::int32_t> permutation_;
  std::int64_t step_ = -1;  ///< the step to come; -1 before the host has looked
};

/// A data set that stays in host memory because the device has no room for it.
class StreamedData final : public ResidentData {
 public:
  StreamedData(Device& device, Memory& memory, const Dataset& data, cudaStream_t main);

  /// Made at the first call, which must not be within a recording.
  [[nodiscard]] BatchFeed& batches(const GatherBatch& op);
  void gather_rows(const GatherRows& op, LaunchContext& context);

 private:
  Device& device_;
  Memory& memory_;
  const Dataset& data_;
  cudaStream_t main_;
  std::vector<std::unique_ptr<BatchFeed>> batches_;
  std::unique_ptr<RowFeed> rows_;
  std::size_t next_slot_ = 0;
};

}  // namespace ae::cuda
