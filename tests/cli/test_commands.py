"""The commands that use a trained model, and help."""

import os
import unittest

from program import ProgramTest, idx, npy, pixels, read_npy


class Model(ProgramTest):
    def setUp(self):
        super().setUp()
        self.train(epochs=5)
        self.model = "run/model.safetensors"

    def test_evaluate(self):
        trained = self.json_lines(self.train("--json", epochs=5, out="other"))[-1]
        line, = self.json_lines(self.ok("evaluate", self.model, "--data", "test.idx", "--json"))
        self.assertAlmostEqual(line["loss"], trained["test_loss"], places=12)
        self.assertEqual((line["rows"], line["loss_name"], line["reduction"]), (100, "bce", "mean"))
        summed, = self.json_lines(self.ok("evaluate", self.model, "--data", "test.idx", "--json",
                                          "--reduction", "sum"))
        self.assertAlmostEqual(summed["loss"], 16 * line["loss"], places=10)

    def test_evaluate_each_row(self):
        self.ok("evaluate", self.model, "--data", "test.idx", "--per-row", "losses.npy")
        shape, losses = read_npy(self.path("losses.npy"))
        self.assertEqual(shape, (100,))
        line, = self.json_lines(self.ok("evaluate", self.model, "--data", "test.idx", "--json"))
        self.assertAlmostEqual(sum(losses) / 100, line["loss"], places=6)

    def test_decode_of_encode_is_reconstruct(self):
        self.ok("encode", self.model, "--data", "test.idx", "--out", "codes.npy")
        self.assertEqual(read_npy(self.path("codes.npy"))[0], (100, 4))
        self.ok("decode", self.model, "codes.npy", "--out", "decoded.npy")
        self.ok("reconstruct", self.model, "--data", "test.idx", "--count", "100", "--out",
                "reconstructed.npy")
        decoded, reconstructed = (read_npy(self.path(name)) for name in
                                  ("decoded.npy", "reconstructed.npy"))
        self.assertEqual(decoded[0], (100, 4, 4))
        self.assertEqual(decoded, reconstructed)

    def test_pictures(self):
        self.ok("encode", self.model, "--data", "test.idx", "--limit", "7")
        self.ok("decode", self.model, "codes.npy", "--out", "decoded.png")
        self.ok("reconstruct", self.model, "--data", "test.idx", "--first", "95")
        for name in ("decoded.png", "reconstructions.png"):
            self.assertTrue(self.read(name).startswith(b"\x89PNG"))
        self.fails(2, "--out is x.jpg", "decode", self.model, "codes.npy", "--out", "x.jpg")
        self.fails(2, ["--first is 100", "0 to 99"], "reconstruct", self.model, "--data",
                   "test.idx", "--first", "100")

    def test_data_default_to_what_it_was_trained_on(self):
        line, = self.json_lines(self.ok("evaluate", self.model, "--json"))
        self.assertEqual((line["data"], line["rows"]), ("data.idx", 500))

    def test_info_of_a_model(self):
        text = self.ok("info", self.model)
        for part in ("4x4", "148 parameters", "encoder.0", "relu", "sigmoid", "seed"):
            self.assertIn(part, text)
        line, = self.json_lines(self.ok("info", self.model, "--json"))
        self.assertEqual([layer["units"] for layer in line["layers"]], [4, 16])

    def test_other_shapes_are_refused(self):
        self.write("wide.idx", idx([0] * 50, (5, 5)))
        for command in ("evaluate", "encode", "reconstruct"):
            self.fails(1, ["wide.idx", "25", "16"], command, self.model, "--data", "wide.idx")
        self.write("codes.npy", npy([0.0] * 6, (2, 3)))
        self.fails(1, ["codes.npy", "3", "4"], "decode", self.model, "codes.npy")

    def test_damaged_models_are_refused(self):
        whole = self.read(self.model)
        for name, content, says in (
                ("cut", whole[:-1], "bytes"),
                ("short", whole[:5], "ends at byte 5"),
                ("empty", b"", "ends at byte 0"),
                ("flipped", whole[:-9] + bytes([whole[-9] ^ 16]) + whole[-8:], "checksum"),
                ("header", whole.replace(b"dense 4 ", b"dense 5 "), "checksum"),
                ("text", b"no model at all, just text", "")):
            with self.subTest(name):
                self.write(name, content)
                self.fails(1, [name, says], "info", name)
                self.fails(1, [name, says], "evaluate", name, "--data", "test.idx")


class Program(ProgramTest):
    COMMANDS = ("train", "evaluate", "encode", "decode", "reconstruct", "info", "bench")

    def test_help_fits_a_screen_and_ends_with_two_examples(self):
        for command in self.COMMANDS:
            for arguments in ((command, "--help"), ("help", command), (command, "-h")):
                with self.subTest(arguments):
                    lines = self.ok(*arguments).rstrip("\n").split("\n")
                    self.assertLessEqual(len(lines), 80)
                    self.assertLessEqual(max(map(len, lines)), 80, max(lines, key=len))
                    self.assertEqual(lines[-3], "Examples:")
                    self.assertTrue(all(line.startswith(f"  ae {command}") for line in lines[-2:]))
        self.assertIn("--epochs N", self.ok("train", "--help"))
        self.assertIn("[50]", self.ok("train", "--help"))

    def test_overview_and_version(self):
        overview = self.ok()
        self.assertEqual(overview, self.ok("--help"))
        for command in self.COMMANDS:
            self.assertIn(f"  {command} ", overview)
        self.assertRegex(self.ok("--version"), r"^ae \d+\.\d+\.\d+\n$")

    def test_info(self):
        text = self.ok("info")
        for part in ("cpu", "threads", "oneDNN", "cuda", "simt", "check"):
            self.assertIn(part, text)
        line, = self.json_lines(self.ok("info", "--json"))
        for device in line["devices"]:
            self.assertEqual(device["why_not"] == "", device["usable"])
            self.assertIn(device["why_not"], text)
        # CUDA is listed where the build has it, also without a driver.
        self.assertEqual("cuBLAS" in line["libraries"], "no CUDA backend" not in text)
        self.assertTrue([device for device in line["devices"] if device["name"] == "cpu"][0]["usable"])

    def test_bench(self):
        text = self.ok("bench", "--data", "data.idx", "--hidden", "4", "--repeats", "2")
        for stage in ("gather", "encoder.0 forward", "loss", "decoder.0 backward", "update",
                      "all stages", "GEMM reaches"):
            self.assertIn(stage, text)
        line, = self.json_lines(self.ok("bench", "--data", "data.idx", "--hidden", "4", "--repeats",
                                        "2", "--json"))
        self.assertEqual(line["steps_per_epoch"], 2)
        self.assertGreater(line["epoch_seconds"], 0)
        self.assertAlmostEqual(sum(stage["seconds"] for stage in line["stages"]),
                               line["step_seconds"])


if __name__ == "__main__":
    unittest.main()
