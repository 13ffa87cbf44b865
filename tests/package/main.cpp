// A program of somebody else's: trains a small autoencoder on data of its own, saves it, loads it
// and checks that it is the same.

#include <cstdint>
#include <cstdio>
#include <vector>

#include <ae/ae.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::vector<std::uint8_t> pixels(1000 * 16);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = i / 16 % 4 == i % 4 ? 230 : 0;
  const ae::Dataset data("stripes", {4, 4}, std::move(pixels));

  ae::Model model = ae::Model::initialize(ae::dense_autoencoder({4, 4}, {4}), /*seed=*/7);
  ae::TrainOptions options;
  options.epochs = 5;
  options.batch_size = 100;
  options.optimizer.learning_rate = 0.01F;
  const double before = ae::evaluate(model, data).loss;
  const ae::TrainResult result = ae::train(model, data, nullptr, options);
  const double after = ae::evaluate(model, data).loss;

  ae::save_model(model, argv[1]);
  const ae::Model loaded = ae::load_model(argv[1]);
  std::printf("ae %s on %s: loss %.4f, then %.4f\n", ae::version().data(), result.device.c_str(),
              before, after);
  const bool learnt = result.epochs.size() == 5 && after < 0.9 * before;
  const bool same = loaded.parameters == model.parameters && loaded.spec == model.spec;
  try {
    ae::load_model("no such file");
    return 1;
  } catch (const ae::Error& error) {
    std::printf("as it should be: %s\n", error.what());
  }
  return learnt && same ? 0 : 1;
}
