// A shared library of somebody else's, with ae inside.

#include <ae/ae.hpp>

extern "C" int plugin_latent() {
  return static_cast<int>(ae::dense_autoencoder({4, 4}, {3}).latent());
}

extern "C" double plugin_loss(const char* model, const char* data) {
  return ae::evaluate(ae::load_model(model), ae::load_dataset(data)).loss;
}
