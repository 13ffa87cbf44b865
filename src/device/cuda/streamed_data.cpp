#include "device/cuda/streamed_data.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace ae::cuda {

namespace {

const std::byte* host_values(const Dataset& data) {
  return data.is_bytes() ? reinterpret_cast<const std::byte*>(data.bytes().data())
                         : reinterpret_cast<const std::byte*>(data.floats().data());
}

std::size_t bytes_a_row(const Dataset& data) {
  return static_cast<std::size_t>(data.row_size()) * (data.is_bytes() ? 1 : sizeof(float));
}

}  // namespace

RowFeed::RowFeed(Memory& memory, const Dataset& data, std::int64_t rows_a_slot, cudaStream_t main)
    : memory_(memory),
      data_(data),
      rows_a_slot_(rows_a_slot),
      row_bytes_(bytes_a_row(data)),
      main_(main),
      copies_(make_stream()),
      pinned_(make_pinned(2 * static_cast<std::size_t>(rows_a_slot) * row_bytes_)) {
  for (Slot& slot : slots_) slot = {make_event(), make_event()};
  device_ = static_cast<std::byte*>(
      memory_.allocate(2 * static_cast<std::size_t>(rows_a_slot) * row_bytes_));
  // The allocation is ordered on the main stream: the first copies must come after it.
  for (const Slot& slot : slots_) {
    check(cudaEventRecord(slot.released.get(), main_), "cudaEventRecord");
  }
}

RowFeed::~RowFeed() {
  // Copies that nobody waited for read pinned memory and write device memory.
  static_cast<void>(cudaStreamSynchronize(copies_.get()));
  memory_.deallocate(device_);
}

void RowFeed::fill(std::size_t slot, std::int64_t rows,
                   const std::function<std::int64_t(std::int64_t)>& row) {
  const Slot& chosen = slots_.at(slot);
  const std::size_t offset = slot * static_cast<std::size_t>(rows_a_slot_) * row_bytes_;
  std::byte* const pinned = static_cast<std::byte*>(pinned_.get()) + offset;
  // The copy before the last one has left the pinned slot.
  check(cudaEventSynchronize(chosen.copied.get()), "cudaEventSynchronize");
  for (std::int64_t i = 0; i < rows; ++i) {
    std::memcpy(pinned + static_cast<std::size_t>(i) * row_bytes_,
                host_values(data_) + static_cast<std::size_t>(row(i)) * row_bytes_, row_bytes_);
  }
  check(cudaStreamWaitEvent(copies_.get(), chosen.released.get()), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(device_ + offset, pinned, static_cast<std::size_t>(rows) * row_bytes_,
                        cudaMemcpyHostToDevice, copies_.get()),
        "cudaMemcpyAsync");
  wait_for(main_, copies_.get(), chosen.copied);
}

void RowFeed::release(std::size_t slot) {
  check(cudaEventRecord(slots_.at(slot).released.get(), main_), "cudaEventRecord");
}

GatherSource RowFeed::source() const {
  if (data_.is_bytes()) return {.bytes = reinterpret_cast<const std::uint8_t*>(device_)};
  return {.floats = reinterpret_cast<const float*>(device_)};
}

BatchFeed::BatchFeed(Device& device, Memory& memory, const Dataset& data, const GatherBatch& op,
                     cudaStream_t main)
    : device_(device),
      dataset_rows_(data.rows()),
      op_(op),
      feed_(memory, data, op.batch_size, main),
      slot_rows_(device, 2 * op.batch_size),
      permutation_(static_cast<std::size_t>(data.rows())) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(2 * op.batch_size));
  std::iota(rows.begin(), rows.end(), 0);
  slot_rows_.upload(rows);
}

bool BatchFeed::serves(const GatherBatch& op) const {
  return op.permutation.data == op_.permutation.data && op.step.data == op_.step.data &&
         op.steps_per_epoch == op_.steps_per_epoch && op.batch_size == op_.batch_size;
}

void BatchFeed::look_at_device() {
  device_.download(&step_, op_.step.data, sizeof(step_));
  device_.download(permutation_.data(), op_.permutation.data,
                   permutation_.size() * sizeof(std::int32_t));
}

void BatchFeed::before_step(std::int64_t rows, bool counted) {
  if (!counted || step_ < 0 || step_ % op_.steps_per_epoch == 0) look_at_device();
  const std::int64_t first = step_ % op_.steps_per_epoch * op_.batch_size;
  feed_.fill(static_cast<std::size_t>(step_ % 2), rows, [&](std::int64_t i) {
    return permutation_[static_cast<std::size_t>(std::min(first + i, dataset_rows_ - 1))];
  });
}

void BatchFeed::after_step() {
  feed_.release(static_cast<std::size_t>(step_ % 2));
  ++step_;
}

void BatchFeed::gather(const GatherBatch& op, LaunchContext& context) const {
  cuda::gather(feed_.source(),
               {.permutation = slot_rows_.data(),
                .step = op.step.data,
                .steps_per_epoch = 2,
                .batch_size = op.batch_size},
               op.x.data, op.x.rows, op.x.cols, context);
}

StreamedData::StreamedData(Device& device, Memory& memory, const Dataset& data, cudaStream_t main)
    : ResidentData(data.rows(), data.row_size()),
      device_(device),
      memory_(memory),
      data_(data),
      main_(main) {}

BatchFeed& StreamedData::batches(const GatherBatch& op) {
  for (const std::unique_ptr<BatchFeed>& feed : batches_) {
    if (feed->serves(op)) return *feed;
  }
  batches_.push_back(std::make_unique<BatchFeed>(device_, memory_, data_, op, main_));
  return *batches_.back();
}

void StreamedData::gather_rows(const GatherRows& op, LaunchContext& context) {
  if (op.x.rows == 0) return;
  if (!rows_ || rows_->rows_a_slot() < op.x.rows) {
    rows_ = std::make_unique<RowFeed>(memory_, data_, op.x.rows, main_);
  }
  const std::size_t slot = next_slot_;
  next_slot_ = 1 - next_slot_;
  rows_->fill(slot, op.x.rows, [&](std::int64_t i) { return op.first_row + i; });
  cuda::gather(rows_->source(),
               {.first_row = static_cast<std::int64_t>(slot) * rows_->rows_a_slot()}, op.x.data,
               op.x.rows, op.x.cols, context);
  rows_->release(slot);
}

}  // namespace ae::cuda
