// A program of somebody else's that is built with AddressSanitizer, which ae is not: it trains, and
// if it is asked to, then writes behind the end of its own array.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <ae/ae.hpp>

int main(int argc, char** argv) {
#ifdef WITH_SIMT
  ae::register_simt_device();
  const char* const device = "simt";
#else
  const char* const device = "cpu";
#endif
  std::vector<std::uint8_t> pixels(40 * 8);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = i / 8 % 4 == i % 4 ? 230 : 0;
  const ae::Dataset data("stripes", {8}, std::move(pixels));
  ae::Model model = ae::Model::initialize(ae::dense_autoencoder({8}, {4}), 7);
  ae::TrainOptions options;
  options.epochs = 1;
  options.device.device = device;
  const ae::TrainResult result = ae::train(model, data, nullptr, options);
  std::printf("trained on %s: %.4f\n", result.device.c_str(), result.epochs.front().train_loss);

  const auto size = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  auto* const values = new volatile float[4];
  for (std::size_t i = 0; i < size; ++i) values[i] = 1;
  delete[] values;
  std::printf("%zu values written\n", size);
  return 0;
}
