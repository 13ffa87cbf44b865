// The emulated device: right programs run, and each kind of wrong one is a fault that names the
// kernel, the block and the thread.

#include <cstdint>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/last_block.cuh"
#include "common/launch.hpp"
#include "common/reduce.cuh"
#include "simt/fault.hpp"

// The compiler brackets this file's static initialisers, GoogleTest's, with these.
extern "C" void __asan_before_dynamic_init(const char* /*module*/) {}
extern "C" void __asan_after_dynamic_init() {}

namespace ae::simt {
namespace {

const std::vector<Order> kOrders{
    {}, {Order::Kind::reverse, 0}, {Order::Kind::shuffled, 1}, {Order::Kind::shuffled, 2}};

DeviceMemory& memory() {
  return Machine::instance().memory();
}

/// A buffer on the device, full of zeros unless it is to be fresh.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t size, bool fresh = false)
      : data_(static_cast<T*>(memory().allocate(size * sizeof(T)))), size_(size) {
    if (!fresh) memory().set(data_, 0, size * sizeof(T));
  }
  ~Buffer() { memory().deallocate(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> values(size_);
    memory().download(values.data(), data_, size_ * sizeof(T));
    return values;
  }

 private:
  T* data_;
  std::size_t size_;
};

/// What a launch was told; empty if all went well.
template <typename... Parameters, typename... Arguments>
std::string fault_of(void (*kernel)(Parameters...), const LaunchShape& shape, Order order,
                     Arguments... arguments) {
  LaunchQueue queue(order);
  try {
    launch_kernel("a_kernel", kernel, shape, &queue, arguments...);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "";
}

template <typename... Parameters, typename... Arguments>
std::string fault_of(void (*kernel)(Parameters...), const LaunchShape& shape,
                     Arguments... arguments) {
  return fault_of(kernel, shape, Order{}, arguments...);
}

::testing::AssertionResult says(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (message.find(word) == std::string::npos) {
      return ::testing::AssertionFailure() << "'" << message << "' lacks '" << word << "'";
    }
  }
  return ::testing::AssertionSuccess();
}

__global__ void count_kernel(int* counts) {
  counts[blockIdx.x * blockDim.x + threadIdx.x] += 1;
}

/// Whatever happened before, the device works.
void expect_device_works() {
  const Buffer<int> counts(96);
  EXPECT_EQ(fault_of(count_kernel, {3, 32}, counts.data()), "");
  EXPECT_EQ(counts.read(), std::vector<int>(96, 1));
}

// ── What is right ───────────────────────────────────────────────────────────────────────────────

__global__ void coordinates_kernel(unsigned* seen) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  seen[block * blockDim.x * blockDim.y * blockDim.z + thread] += block * 1000 + thread;
}

TEST(Simt, EveryThreadRunsOnceWithItsCoordinates) {
  for (const Order order : kOrders) {
    const Buffer<unsigned> seen(24 * 30);
    ASSERT_EQ(fault_of(coordinates_kernel, {dim3(2, 3, 4), dim3(5, 3, 2)}, order, seen.data()), "");
    const std::vector<unsigned> values = seen.read();
    for (unsigned i = 0; i < 24 * 30; ++i) EXPECT_EQ(values[i], i / 30 * 1000 + i % 30);
  }
}

__global__ void neighbour_kernel(const int* in, int* out) {
  AE_SHARED(tile, int[70]);
  tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[(threadIdx.x + 1) % blockDim.x];
}

TEST(Simt, BarriersLetThreadsExchange) {
  std::vector<int> numbers(70);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (const Order order : kOrders) {
    const Buffer<int> in(70);
    const Buffer<int> out(70);
    memory().upload(in.data(), numbers.data(), 70 * sizeof(int));
    ASSERT_EQ(fault_of(neighbour_kernel, {1, 70}, order, in.data(), out.data()), "");
    const std::vector<int> values = out.read();
    for (int i = 0; i < 70; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], (i + 1) % 70);
  }
}

__global__ void sum_kernel(double* sums) {
  const double sum = block_sum<96>(static_cast<double>(threadIdx.x));
  const double again = block_sum<96>(1.0);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum + 10000 * again;
}

__global__ void xor_kernel(unsigned* out) {
  out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFU, threadIdx.x, 5);
}

TEST(Simt, ShufflesAndBlockSumsAreExact) {
  for (const Order order : kOrders) {
    const Buffer<double> sums(2);
    ASSERT_EQ(fault_of(sum_kernel, {2, 96}, order, sums.data()), "");
    EXPECT_EQ(sums.read(), std::vector<double>(2, 95 * 96 / 2 + 960000.0));
    const Buffer<unsigned> out(32);
    ASSERT_EQ(fault_of(xor_kernel, {1, 32}, order, out.data()), "");
    for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(out.read()[i], i ^ 5U);
  }
}

__global__ void last_block_kernel(unsigned* counter, unsigned* done) {
  if (is_last_block(counter, gridDim.x) && threadIdx.x == 0) *done += 1;
}

TEST(Simt, OneBlockIsTheLast) {
  for (const Order order : kOrders) {
    const Buffer<unsigned> counter(1);
    const Buffer<unsigned> done(1);
    for (unsigned launches = 1; launches <= 2; ++launches) {
      ASSERT_EQ(fault_of(last_block_kernel, {7, 64}, order, counter.data(), done.data()), "");
      EXPECT_EQ(done.read().front(), launches);
    }
  }
}

TEST(Simt, RecordedLaunchesKeepTheirArguments) {
  const Buffer<int> counts(32);
  LaunchQueue queue({});
  queue.begin_recording();
  AE_LAUNCH(count_kernel, (LaunchShape{1, 32}), &queue, counts.data());
  const std::vector<Launch> recorded = queue.end_recording();
  EXPECT_EQ(counts.read(), std::vector<int>(32, 0));
  ASSERT_EQ(recorded.size(), 1U);
  for (int i = 0; i < 3; ++i) Machine::instance().run(recorded.front(), {});
  EXPECT_EQ(counts.read(), std::vector<int>(32, 3));
}

// ── Barriers and shuffles ───────────────────────────────────────────────────────────────────────

__global__ void half_barrier_kernel(int* out) {
  if (threadIdx.x < 16) __syncthreads();
  out[threadIdx.x] = 1;
}

__global__ void early_return_kernel(int* out, int* after) {
  __syncthreads();
  out[threadIdx.x] += 1;
  if (threadIdx.x % 2 == 1) return;
  __syncthreads();
  after[threadIdx.x] += 1;
}

__global__ void two_barriers_kernel() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(SimtFaults, BarrierThatOnlySomeThreadsReach) {
  for (const Order order : kOrders) {
    const Buffer<int> out(64);
    const Buffer<int> after(64);
    EXPECT_TRUE(says(fault_of(half_barrier_kernel, {1, 64}, order, out.data()),
                     {"kernel a_kernel", "block (0,0,0)", "thread (0,0,0)", "barrier",
                      "simt_test.cu", "only some threads", "thread (16,0,0)"}));
    EXPECT_TRUE(says(fault_of(early_return_kernel, {1, 64}, order, out.data(), after.data()),
                     {"barrier", "thread (1,0,0) has left the kernel"}));
    // Those that returned ran once and never again, and the next launch is not troubled.
    for (std::size_t i = 1; i < 64; i += 2) EXPECT_EQ(out.read()[i], i < 16 ? 1 : 2);
    EXPECT_EQ(after.read(), std::vector<int>(64, 0));
    expect_device_works();
    EXPECT_TRUE(says(fault_of(two_barriers_kernel, {1, 64}, order), {"barrier", "is at"}));
  }
}

__global__ void gone_lane_kernel(int* out) {
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = __shfl_down_sync(0xFFFFFFFFU, 1, 1);
}

__global__ void unnamed_lane_kernel(int* out) {
  out[threadIdx.x] = __shfl_xor_sync(0x0000FFFFU, 1, 1);
}

__global__ void silent_source_kernel(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0x0000FFFFU, 1, 16);
}

TEST(SimtFaults, ShuffleWithoutItsLanes) {
  const Buffer<int> out(32);
  for (const Order order : kOrders) {
    EXPECT_TRUE(says(fault_of(gone_lane_kernel, {1, 32}, order, out.data()), {"(7,0,0)", "left"}));
    EXPECT_TRUE(
        says(fault_of(unnamed_lane_kernel, {1, 32}, order, out.data()), {"mask does not name it"}));
    EXPECT_TRUE(
        says(fault_of(silent_source_kernel, {1, 32}, order, out.data()), {"takes no part"}));
    expect_device_works();
  }
}

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────

__global__ void write_kernel(float* out, int at) {
  if (blockIdx.x == 1 && threadIdx.x == 3) out[at] = 1;
}

__global__ void read_kernel(const float* in, float* out, int at) {
  out[threadIdx.x] = in[at];
}

TEST(SimtFaults, AccessOutsideABuffer) {
  const Buffer<float> buffer(100);
  const Buffer<float> out(1);
  EXPECT_EQ(fault_of(write_kernel, {2, 32}, buffer.data(), 99), "");
  EXPECT_TRUE(says(fault_of(write_kernel, {2, 32}, buffer.data(), 100),
                   {"kernel a_kernel, block (1,0,0), thread (3,0,0)", "writes 4 bytes",
                    "0 bytes beyond the end of a buffer of 400 bytes"}));
  EXPECT_TRUE(says(fault_of(read_kernel, {1, 1}, buffer.data(), out.data(), -1),
                   {"reads 4 bytes", "4 bytes before a buffer of 400 bytes"}));
  expect_device_works();
}

TEST(SimtFaults, AccessToAFreedBuffer) {
  float* gone = nullptr;
  {
    const Buffer<float> buffer(10);
    gone = buffer.data();
  }
  const Buffer<float> out(10);
  EXPECT_TRUE(says(fault_of(read_kernel, {1, 1}, gone, out.data(), 2), {"been freed"}));
  EXPECT_TRUE(says(fault_of(write_kernel, {2, 32}, gone, 2), {"been freed"}));
  EXPECT_THROW(memory().deallocate(gone), Fault);
  EXPECT_THROW(memory().upload(gone, &gone, sizeof(gone)), Fault);
}

struct alignas(16) Four {
  float value[4];
};

__global__ void wide_kernel(float* data, int offset) {
  Four* four = reinterpret_cast<Four*>(aligned<16>(data + offset));
  four->value[0] += four->value[3];
}

__global__ void shifted_kernel(char* data, int offset) {
  *reinterpret_cast<float*>(data + offset) = 1;
}

TEST(SimtFaults, MisalignedAccess) {
  const Buffer<float> buffer(32);
  EXPECT_EQ(fault_of(wide_kernel, {1, 1}, buffer.data(), 4), "");
  EXPECT_TRUE(says(fault_of(wide_kernel, {1, 1}, buffer.data(), 2), {"no multiple of 16"}));
  char* bytes = reinterpret_cast<char*>(buffer.data());
  EXPECT_EQ(fault_of(shifted_kernel, {1, 1}, bytes, 4), "");
  EXPECT_TRUE(says(fault_of(shifted_kernel, {1, 1}, bytes, 3), {"no multiple of 4"}));
}

TEST(SimtFaults, HostAndDeviceMemoryAreApart) {
  std::vector<float> host(64, 1.0F);
  const Buffer<float> out(64);
  EXPECT_TRUE(says(fault_of(read_kernel, {1, 1}, host.data(), out.data(), 0),
                   {"reads 4 bytes of host memory"}));
  EXPECT_TRUE(says(fault_of(write_kernel, {2, 32}, host.data(), 0), {"writes", "host memory"}));
  EXPECT_THROW(memory().upload(host.data(), host.data(), 4), Fault);
  EXPECT_DEATH(static_cast<void>(*static_cast<volatile float*>(out.data())),
               "the host touches device memory");
}

__global__ void shared_unwritten_kernel(int* out) {
  AE_SHARED(tile, int[64]);
  if (threadIdx.x != 5) tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

__global__ void shared_across_blocks_kernel(int* out) {
  AE_SHARED(kept, int);
  if (blockIdx.x == 0) kept = 1;
  out[blockIdx.x] = kept;
}

TEST(SimtFaults, ReadOfWhatNothingWrote) {
  const Buffer<float> fresh(8, /*fresh=*/true);
  const Buffer<float> out(8);
  EXPECT_TRUE(says(fault_of(read_kernel, {1, 1}, fresh.data(), out.data(), 3),
                   {"nothing has written", "12 bytes into a buffer of 32 bytes"}));
  EXPECT_THROW(static_cast<void>(fresh.read()), Fault);
  const Buffer<int> numbers(64);
  EXPECT_TRUE(says(fault_of(shared_unwritten_kernel, {1, 64}, numbers.data()),
                   {"thread (5,0,0)", "shared memory", "before anything wrote it", "tile"}));
  EXPECT_TRUE(says(fault_of(shared_across_blocks_kernel, {2, 1}, numbers.data()),
                   {"block (1,0,0)", "before anything wrote it", "kept"}));
}

// ── Shared memory ───────────────────────────────────────────────────────────────────────────────

__global__ void no_barrier_kernel(int* out) {
  AE_SHARED(tile, int[64]);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[threadIdx.x ^ 1U];
}

__global__ void no_second_barrier_kernel(int* out) {
  AE_SHARED(tile, int[64]);
  for (int round = 0; round < 2; ++round) {
    tile[threadIdx.x] = round;
    __syncthreads();
    out[threadIdx.x] = tile[63 - threadIdx.x];
  }
}

__global__ void two_writers_kernel() {
  AE_SHARED(flag, bool);
  flag = true;
}

__global__ void warp_exchange_kernel(int* out, bool synchronized) {
  AE_SHARED(tile, int[32]);
  tile[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (synchronized) __syncwarp();
  out[threadIdx.x] = tile[31 - threadIdx.x];
}

TEST(SimtFaults, MissingBarrier) {
  for (const Order order : kOrders) {
    const Buffer<int> out(64);
    EXPECT_TRUE(says(fault_of(no_barrier_kernel, {1, 64}, order, out.data()), {"tile"}));
    EXPECT_TRUE(says(fault_of(no_second_barrier_kernel, {1, 64}, order, out.data()),
                     {"without a barrier between them", "tile"}));
    EXPECT_TRUE(says(fault_of(two_writers_kernel, {1, 64}, order),
                     {"written by two threads without a barrier", "flag"}));
    EXPECT_EQ(fault_of(warp_exchange_kernel, {1, 32}, order, out.data(), true), "");
    EXPECT_NE(fault_of(warp_exchange_kernel, {1, 32}, order, out.data(), false), "");
    expect_device_works();
  }
}

__global__ void beyond_shared_kernel(int* out, int at) {
  AE_SHARED(first, int[16]);
  AE_SHARED(second, int[16]);
  second[0] = 0;
  first[at] = 1;
  out[0] = second[0];
}

__global__ void much_shared_kernel() {
  AE_SHARED(most, char[48 * 1024]);
  AE_SHARED(more, char[1]);
  most[0] = 0;
  more[0] = 0;
}

TEST(SimtFaults, SharedMemoryHasAnEnd) {
  const Buffer<int> out(1);
  EXPECT_EQ(fault_of(beyond_shared_kernel, {1, 1}, out.data(), 15), "");
  EXPECT_TRUE(says(fault_of(beyond_shared_kernel, {1, 1}, out.data(), 16),
                   {"outside every shared array", "64 bytes into the shared array first"}));
  EXPECT_TRUE(says(fault_of(much_shared_kernel, {1, 1}), {"49152 bytes of shared memory", "more"}));
  expect_device_works();
}

// ── Launches ────────────────────────────────────────────────────────────────────────────────────

TEST(SimtFaults, ImpossibleLaunch) {
  const Buffer<int> counts(1);
  const auto launched = [&](dim3 grid, dim3 block) {
    return fault_of(count_kernel, {grid, block}, counts.data());
  };
  EXPECT_TRUE(says(launched(0, 32), {"a_kernel", "no blocks"}));
  EXPECT_TRUE(says(launched(1, dim3(32, 0)), {"no threads"}));
  EXPECT_TRUE(says(launched(1, 1025), {"more than 1024 threads"}));
  EXPECT_TRUE(says(launched(1, dim3(64, 32)), {"more than 1024 threads"}));
  EXPECT_TRUE(says(launched(dim3(1, 65536), 1), {"grid larger"}));
}

__global__ void ballot_kernel(unsigned* out) {
  out[0] = __ballot_sync(0xFFFFFFFFU, true);
}

TEST(SimtFaults, WordsThatAreNotEmulated) {
  const Buffer<unsigned> out(1);
  EXPECT_TRUE(says(fault_of(ballot_kernel, {1, 32}, out.data()), {"__ballot_sync"}));
  EXPECT_THROW(static_cast<void>(current_thread()), Fault);
  expect_device_works();
}

}  // namespace
}  // namespace ae::simt
