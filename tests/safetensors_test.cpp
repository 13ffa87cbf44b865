// Model files: what is written can be read, by us and by the format's specification, and nothing
// damaged passes.

#include "io/safetensors.hpp"

#include <cstring>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ae/model.hpp"

#include "error_message.hpp"
#include "temporary_folder.hpp"

namespace ae::test {
namespace {

using ::testing::Test;

/// A file as the format defines it, from a header's text and the values' bytes.
std::string file_of(const std::string& header, const std::string& data = {}) {
  const std::uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + header + data;
}

std::string bytes_of(std::initializer_list<float> values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), std::data(values), bytes.size());
  return bytes;
}

Model small_model() {
  Model model = Model::initialize(dense_autoencoder({2, 3}, {5, 2}, Activation::tanh), 11);
  for (std::size_t i = 0; i < model.parameters.size(); ++i) {
    // Gaps between tensors are no part of a model, so what stands there must be zero.
    if (model.parameters[i] == 0.0F) continue;
    model.parameters[i] += static_cast<float>(i);
  }
  for (const LayerSlice& slice : layer_slices(model.spec)) {
    const std::int64_t bias = slice.tensor("bias").offset;
    for (std::int64_t unit = 0; unit < slice.units; ++unit) {
      model.parameters[static_cast<std::size_t>(bias + unit)] = static_cast<float>(unit) - 0.5F;
    }
  }
  model.training = {{"data", "some \"quoted\" name"}, {"seed", "11"}};
  return model;
}

class SafetensorsTest : public Test {
 protected:
  std::string refusal_of(const std::string& content) {
    const auto path = folder_.write("file.safetensors", content);
    const std::string message = error_of([&] { io::read_safetensors(path); });
    EXPECT_NE(message.find("file.safetensors"), std::string::npos) << message;
    return message;
  }

  TemporaryFolder folder_;
};

TEST_F(SafetensorsTest, ModelComesBackAsItWas) {
  const Model model = small_model();
  save_model(model, folder_ / "model");
  const Model loaded = load_model(folder_ / "model");
  EXPECT_EQ(loaded.spec, model.spec);
  EXPECT_EQ(loaded.parameters, model.parameters);
  EXPECT_EQ(loaded.training, model.training);
  EXPECT_EQ(folder_.entries(), 1);
}

TEST_F(SafetensorsTest, SameModelSameBytes) {
  save_model(small_model(), folder_ / "a");
  save_model(small_model(), folder_ / "b");
  EXPECT_EQ(content_of(folder_ / "a"), content_of(folder_ / "b"));
}

/// The file taken apart by hand, as its specification says: PyTorch's shapes and order of values.
TEST_F(SafetensorsTest, FileIsWhatTheSpecificationSays) {
  const Model model = small_model();
  save_model(model, folder_ / "model");
  const std::string file = content_of(folder_ / "model");
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  ASSERT_EQ(length % 8, 0U);
  const auto header = nlohmann::json::parse(file.substr(8, length));
  EXPECT_EQ(header["__metadata__"]["format"], "ae");
  ASSERT_EQ(header.size(), 1U + 8U);

  const std::int64_t weight = layer_slices(model.spec)[1].tensor("weight").offset;
  const auto entry = header["encoder.1.weight"];
  EXPECT_EQ(entry["dtype"], "F32");
  EXPECT_EQ(entry["shape"], (nlohmann::json{2, 5}));
  const auto begin = entry["data_offsets"][0].get<std::size_t>();
  ASSERT_EQ(entry["data_offsets"][1].get<std::size_t>() - begin, 10 * sizeof(float));
  for (std::int64_t unit = 0; unit < 2; ++unit) {
    for (std::int64_t input = 0; input < 5; ++input) {
      float value = 0;
      std::memcpy(&value,
                  file.data() + 8 + length + begin +
                      static_cast<std::size_t>(unit * 5 + input) * sizeof(float),
                  sizeof(float));
      EXPECT_EQ(value, model.parameters[static_cast<std::size_t>(weight + input * 2 + unit)]);
    }
  }
}

/// 2 → 1 → 2 with the numbers 1 to 7.
Model counting_model() {
  Model model = Model::initialize(dense_autoencoder({2}, {1}), 1);
  float next = 1;
  for (const LayerSlice& slice : layer_slices(model.spec)) {
    for (const TensorSlice& tensor : slice.tensors) {
      for (std::int64_t i = 0; i < tensor.size(); ++i) {
        model.parameters[static_cast<std::size_t>(tensor.offset + i)] = next++;
      }
    }
  }
  model.training = {{"seed", "1"}};
  return model;
}

/// Such a model's file, with a description and what follows it in the metadata.
std::string counting_file(const std::string& description, const std::string& version_and_checksum) {
  std::string header = R"({"__metadata__":{"format":"ae","model":"{\"input_shape\":[2],)";
  header += description;
  header += R"(}","training":"{\"seed\":\"1\"}",)";
  header += version_and_checksum;
  header += R"(},"encoder.0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
            R"("encoder.0.bias":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
            R"("decoder.0.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[12,20]},)"
            R"("decoder.0.bias":{"dtype":"F32","shape":[2],"data_offsets":[20,28]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  return file_of(header, bytes_of({1, 2, 3, 4, 5, 6, 7}));
}

/// Byte for byte: what one version writes, the next must write and read.
TEST_F(SafetensorsTest, FileIsTheSameInEveryVersion) {
  save_model(counting_model(), folder_ / "model");
  EXPECT_EQ(content_of(folder_ / "model"),
            counting_file(R"(\"encoder\":[\"dense 1 relu\"],\"decoder\":[\"dense 2 sigmoid\"])",
                          R"("version":"2","crc32":"6f852e9a")"));
}

TEST_F(SafetensorsTest, FilesOfTheFirstVersionAreRead) {
  folder_.write(
      "model",
      counting_file(R"(\"encoder\":[{\"type\":\"dense\",\"units\":1,\"activation\":\"relu\"}],)"
                    R"(\"decoder\":[{\"type\":\"dense\",\"units\":2,\"activation\":\"sigmoid\"}])",
                    R"("version":"1","crc32":"f8250008")"));
  const Model loaded = load_model(folder_ / "model");
  EXPECT_EQ(loaded.spec, counting_model().spec);
  EXPECT_EQ(loaded.parameters, counting_model().parameters);
}

/// PyTorch's [out, in, height, width], and for a transposed convolution [in, out, height, width].
TEST_F(SafetensorsTest, ConvolutionsAreAsPyTorchHasThem) {
  Model model = Model::initialize(
      parse_model({6, 8}, {"conv 3 2x5 stride 2 tanh", "flatten", "dense 4 elu"},
                  {"dense 24", "reshape 3x4x2", "transposed_conv 1 3x2 stride 2 sigmoid"}),
      5);
  save_model(model, folder_ / "model");
  const io::TensorFile file = io::read_safetensors(folder_ / "model");
  std::map<std::string, io::Tensor> tensors;
  for (const io::Tensor& tensor : file.tensors) tensors[tensor.name] = tensor;
  EXPECT_EQ(tensors.size(), 8U);
  EXPECT_EQ(tensors["encoder.0.weight"].shape, (Shape{3, 1, 2, 5}));
  EXPECT_EQ(tensors["decoder.2.weight"].shape, (Shape{2, 1, 3, 2}));
  const std::vector<LayerSlice> slices = layer_slices(model.spec);
  const auto ours = [&](std::size_t layer, std::int64_t at) {
    return model.parameters[static_cast<std::size_t>(slices[layer].tensor("weight").offset + at)];
  };
  for (std::int64_t y = 0; y < 2; ++y) {
    for (std::int64_t x = 0; x < 5; ++x) {
      for (std::int64_t o = 0; o < 3; ++o) {
        EXPECT_EQ(tensors["encoder.0.weight"].values[static_cast<std::size_t>((o * 2 + y) * 5 + x)],
                  ours(0, (y * 5 + x) * 3 + o));
      }
    }
  }
  for (std::int64_t y = 0; y < 3; ++y) {
    for (std::int64_t x = 0; x < 2; ++x) {
      for (std::int64_t i = 0; i < 2; ++i) {
        EXPECT_EQ(tensors["decoder.2.weight"].values[static_cast<std::size_t>((i * 3 + y) * 2 + x)],
                  ours(5, (y * 2 + x) * 2 + i));
      }
    }
  }
  const Model loaded = load_model(folder_ / "model");
  EXPECT_EQ(loaded.spec, model.spec);
  EXPECT_EQ(loaded.parameters, model.parameters);
}

/// PyTorch's names, as a state_dict of BatchNorm1d and LayerNorm has them.
TEST_F(SafetensorsTest, NormalisationsAreAsPyTorchHasThem) {
  Model model = Model::initialize(
      parse_model({6}, {"dense 5 identity", "batch_norm relu", "dropout 0.5", "dense 3 identity"},
                  {"layer_norm relu", "dense 6 sigmoid"}),
      5);
  float next = 10;
  const LayerSlice batch_norm = layer_slices(model.spec)[1];
  for (const TensorSlice& tensor : batch_norm.tensors) {
    if (tensor.is_trainable) continue;
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      model.parameters[static_cast<std::size_t>(tensor.offset + i)] = next++;
    }
  }
  save_model(model, folder_ / "model");
  const io::TensorFile file = io::read_safetensors(folder_ / "model");
  std::map<std::string, io::Tensor> tensors;
  for (const io::Tensor& tensor : file.tensors) tensors[tensor.name] = tensor;
  EXPECT_EQ(tensors.size(), 12U);
  EXPECT_EQ(tensors["encoder.1.weight"].values, std::vector<float>(5, 1.0F));
  EXPECT_EQ(tensors["encoder.1.bias"].values, std::vector<float>(5, 0.0F));
  EXPECT_EQ(tensors["encoder.1.running_mean"].values, (std::vector<float>{10, 11, 12, 13, 14}));
  EXPECT_EQ(tensors["encoder.1.running_var"].values, (std::vector<float>{15, 16, 17, 18, 19}));
  EXPECT_EQ(tensors["decoder.0.weight"].shape, (Shape{3}));
  const Model loaded = load_model(folder_ / "model");
  EXPECT_EQ(loaded.spec, model.spec);
  EXPECT_EQ(loaded.parameters, model.parameters);
}

TEST_F(SafetensorsTest, TiedLayersHaveNoWeightOfTheirOwn) {
  Model model = Model::initialize(
      parse_model({6}, {"dense 5", "dense 3"}, {"dense 5 tied", "dense 6 tied"}), 5);
  const TensorSlice bias = layer_slices(model.spec).back().tensor("bias");
  for (std::int64_t i = 0; i < bias.size(); ++i) {
    model.parameters[static_cast<std::size_t>(bias.offset + i)] = static_cast<float>(10 + i);
  }
  save_model(model, folder_ / "model");
  const io::TensorFile file = io::read_safetensors(folder_ / "model");
  std::map<std::string, io::Tensor> tensors;
  for (const io::Tensor& tensor : file.tensors) tensors[tensor.name] = tensor;
  EXPECT_EQ(tensors.size(), 6U);
  EXPECT_EQ(tensors["encoder.0.weight"].shape, (Shape{5, 6}));
  EXPECT_EQ(tensors.count("decoder.0.weight"), 0U);
  EXPECT_EQ(tensors.count("decoder.1.weight"), 0U);
  EXPECT_EQ(tensors["decoder.1.bias"].values, (std::vector<float>{10, 11, 12, 13, 14, 15}));
  const Model loaded = load_model(folder_ / "model");
  EXPECT_EQ(loaded.spec, model.spec);
  EXPECT_EQ(loaded.parameters, model.parameters);
}

TEST_F(SafetensorsTest, EveryFlippedBitIsNoticed) {
  save_model(Model::initialize(dense_autoencoder({3}, {2}), 1), folder_ / "model");
  const std::string whole = content_of(folder_ / "model");
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    folder_.write("flipped", flipped);
    EXPECT_THROW(load_model(folder_ / "flipped"), Error) << "bit " << bit;
  }
}

TEST_F(SafetensorsTest, EveryCutIsNoticed) {
  save_model(small_model(), folder_ / "model");
  const std::string whole = content_of(folder_ / "model");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    folder_.write("cut", whole.substr(0, size));
    EXPECT_THROW(load_model(folder_ / "cut"), Error) << "after " << size << " bytes";
  }
  folder_.write("longer", whole + '\0');
  EXPECT_THROW(load_model(folder_ / "longer"), Error);
}

TEST_F(SafetensorsTest, ForeignFileWithoutChecksumIsRead) {
  const auto path =
      folder_.write("foreign", file_of(R"({"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
                                       R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
                                       bytes_of({1.5F, -2.0F, 3.0F})));
  const io::TensorFile file = io::read_safetensors(path);
  ASSERT_EQ(file.tensors.size(), 2U);
  EXPECT_EQ(file.tensors[0].name, "a");
  EXPECT_EQ(file.tensors[0].values, (std::vector<float>{1.5F, -2.0F}));
  EXPECT_EQ(file.tensors[1].values, std::vector<float>{3.0F});
  EXPECT_NE(error_of([&] { load_model(path); }).find("not written by ae"), std::string::npos);
}

TEST_F(SafetensorsTest, HostileHeadersAreRefused) {
  const std::string four = bytes_of({1, 2, 3, 4});
  const auto tensor = [](const std::string& shape, const std::string& offsets,
                         const std::string& type = "F32") {
    return R"({"t":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  EXPECT_NE(refusal_of(file_of(tensor("[4]", "[0,20]"), four)).find("claims bytes 0 to 20 of 16"),
            std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[5]", "[0,16]"), four)).find("shape"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[2,0]", "[0,16]"), four)).find("shape"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[4294967296,4294967296]", "[0,16]"), four)).find("shape"),
            std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[-4]", "[0,16]"), four)).find("shape"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[4]", "[16,0]"), four)).find("claims"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[4]", "[0]"), four)).find("data_offsets"),
            std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[8]", "[0,16]", "F16"), four)).find("type"),
            std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[3]", "[4,16]"), four)).find("byte 0"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(tensor("[3]", "[0,12]"), four)).find("byte 12 of 16"),
            std::string::npos);
  EXPECT_NE(refusal_of(file_of(R"({"t":1})")).find("lacks"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(R"({"__metadata__":{"a":1}})")).find("not text"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(R"({"__metadata__":{"a":"1","a":"2"}})")).find("twice"),
            std::string::npos);
  EXPECT_NE(refusal_of(file_of("[1,2]")).find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal_of(file_of("{")).find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal_of(file_of("\xFF\xFE{}")).find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal_of(file_of(std::string(100000, '['))).find("too deeply"), std::string::npos);
  EXPECT_TRUE(says(refusal_of(file_of(tensor("[18446744073709551615,0]", "[0,0]"))), "shape"));
  std::string huge = file_of("{}");
  huge[7] = '\x7F';
  EXPECT_TRUE(says(refusal_of(huge), "header claims"));
  EXPECT_TRUE(says(refusal_of(huge), "16777216 are the most"));
  std::string cut = file_of("{}");
  cut[0] = 3;
  EXPECT_TRUE(says(refusal_of(cut), "ends at byte 10, but its header claims 3"));
}

/// Half a megabyte of names: quadratic work would run into the test's time limit.
TEST_F(SafetensorsTest, ManyNamesTakeNoTime) {
  std::string header = "{";
  for (int i = 0; i < 50000; ++i) {
    header += '"';
    header += std::to_string(i);
    header += "\":0,";
  }
  EXPECT_TRUE(says(refusal_of(file_of(header + R"("last":0})")), "lacks"));
  EXPECT_TRUE(says(refusal_of(file_of(header + R"("0":0})")), "twice"));
}

/// The same with a tensor for every name, which is what a parser's hook looks at again and again:
/// ten megabytes of them would take it hours.
TEST_F(SafetensorsTest, ManySmallTensorsTakeNoTime) {
  std::string header = "{";
  for (int i = 0; i < 250000; ++i) {
    header += '"' + std::to_string(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)";
  }
  const auto path = folder_.write("many", file_of(header + R"("last":{"dtype":"F32","shape":[],)"
                                                           R"("data_offsets":[0,4]}})",
                                                  bytes_of({1})));
  EXPECT_EQ(io::read_safetensors(path).tensors.size(), 250001U);
  EXPECT_TRUE(says(refusal_of(file_of(header + R"("0":{}})")), "twice"));
  EXPECT_TRUE(
      says(refusal_of(file_of(R"({"x":)" + std::string(1000000, '[') + "}")), "too deeply"));
}

/// A header has a bound, so that what is made of it has one.
TEST_F(SafetensorsTest, HeadersThatNoModelNeedsAreNeitherReadNorWritten) {
  const std::string text(std::size_t{17} << 20U, 'x');
  EXPECT_TRUE(
      says(refusal_of(file_of(R"({"__metadata__":{"x":")" + text + R"("}})")), "header claims"));
  Model model = small_model();
  model.training["diary"] = text;
  EXPECT_TRUE(says(error_of([&] { save_model(model, folder_ / "model"); }), "less text"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "model"));
}

/// What a hostile file says is quoted in one line, shortened, and no terminal obeys it.
TEST_F(SafetensorsTest, NamesInMessagesAreHarmless) {
  const std::string message = refusal_of(file_of(R"({"a\nb\u001b[31m\u009b\u007fü":{}})"));
  EXPECT_TRUE(says(message, "'a?b?[31m??ü' lacks"));
  const std::string long_name = refusal_of(file_of("{\"" + std::string(100000, 'x') + "\":{}}"));
  EXPECT_LT(long_name.size(), 600U);
  EXPECT_TRUE(says(long_name, "xxx..."));
}

/// An odd file name is no reason to lose a trained model.
TEST_F(SafetensorsTest, TrainingTextNeedNotBeUtf8) {
  Model model = small_model();
  model.training["data"] = "b\xFF.idx";
  save_model(model, folder_ / "model");
  EXPECT_EQ(load_model(folder_ / "model").training["data"], "b\xEF\xBF\xBD.idx");
}

TEST_F(SafetensorsTest, DescriptionMustFitTheTensors) {
  const auto model_file = [&](const std::string& key, const std::string& text) {
    save_model(small_model(), folder_ / "model");
    io::TensorFile file = io::read_safetensors(folder_ / "model");
    file.metadata[key] = text;
    io::write_safetensors(file, folder_ / "model");
    return error_of([&] { load_model(folder_ / "model"); });
  };
  const std::string decoder =
      R"("decoder":[{"type":"dense","units":5,"activation":"tanh"},{"type":"dense","units":6,"activation":"sigmoid"}]})";
  EXPECT_NE(model_file("version", "3").find("newer"), std::string::npos);
  EXPECT_NE(model_file("format", "pt").find("not written by ae"), std::string::npos);
  EXPECT_NE(model_file("model", "{}").find("description"), std::string::npos);
  EXPECT_NE(
      model_file(
          "model",
          R"({"input_shape":[6],"encoder":[{"type":"dense","units":4,"activation":"tanh"},{"type":"dense","units":2,"activation":"tanh"}],)" +
              decoder)
          .find("encoder.0.weight is 5x6, but its description says 4x6"),
      std::string::npos);
  EXPECT_NE(
      model_file(
          "model",
          R"({"input_shape":[6],"encoder":[{"type":"dense","units":2,"activation":"wavy"}],)" +
              decoder)
          .find("wavy"),
      std::string::npos);
  EXPECT_NE(
      model_file("model", R"({"input_shape":[6],"encoder":[{"type":"conv","units":2}],)" + decoder)
          .find("conv"),
      std::string::npos);
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_TRUE(says(model_file("model", R"({"input_shape":[6],"encoder":[{"type":)" + deep +
                                           R"(,"units":2}],)" + decoder),
                   "description is not what ae writes"));
  // As values alone they would take forty times the text's memory before they were found wrong.
  EXPECT_TRUE(says(model_file("model", std::string(5000000, '[') + std::string(5000000, ']')),
                   "nested too deeply"));
  EXPECT_TRUE(says(model_file("training", R"({"loss":)" + deep + "}"), "nested too deeply"));
  EXPECT_TRUE(says(model_file("model", R"({"encoder":[],"encoder":[]})"), "twice"));
  // Each layer of such a model would have a copy of the shape.
  std::string ones = "1";
  for (int i = 0; i < 100000; ++i) ones += ",1";
  EXPECT_TRUE(
      says(model_file("model", R"({"input_shape":[)" + ones + R"(],"encoder":["dense 1"],)" +
                                   R"("decoder":["dense 1"]})"),
           "100001 extents"));
  // And each of these a partner to be counted for.
  std::string tied = R"("dense 1 tied")";
  std::string dense = R"("dense 1")";
  for (int i = 0; i < 300000; ++i) {
    tied += R"(,"dense 1 tied")";
    dense += R"(,"dense 1")";
  }
  EXPECT_TRUE(says(model_file("model", R"({"input_shape":[1],"encoder":[)" + dense +
                                           R"(],"decoder":[)" + tied + "]}"),
                   "300001 layers"));
  EXPECT_TRUE(
      says(model_file(
               "model",
               R"({"input_shape":[6],"encoder":[{"type":"dense","units":2,"activation":"a\nb"}],)" +
                   decoder),
           "'a?b'"));
  EXPECT_NE(
      model_file(
          "model",
          R"({"input_shape":[16777216,16777216,16777216],"encoder":[{"type":"dense","units":16777216,"activation":"tanh"}],)" +
              decoder)
          .find("16777216 values"),
      std::string::npos);
}

/// Valid files with a few bytes changed at random: read or refused, nothing else.
TEST_F(SafetensorsTest, RandomDamageNeverCrashes) {
  std::mt19937 random(3);
  const std::string whole =
      file_of(R"({"__metadata__":{"format":"ae"},"a":{"dtype":"F32","shape":[2,2],)"
              R"("data_offsets":[0,16]},"b":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}})",
              bytes_of({1, 2, 3, 4, 5}));
  int refused = 0;
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; ++round) {
    std::string damaged = whole;
    for (unsigned change = 0; change <= random() % 3; ++change) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const auto path = folder_.write("damaged", damaged);
    try {
      io::read_safetensors(path);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, kRounds / 2);
  EXPECT_LT(refused, kRounds);
}

}  // namespace
}  // namespace ae::test
