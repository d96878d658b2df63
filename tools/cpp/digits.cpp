// Draws digits with a generator that `python -m mlxgan export` has written. It needs MLX, and neither Python nor the
// package mlxgan.
//
//   digits FUNCTION INPUTS OUT [REPEATS [SEED]]
//
// FUNCTION is a file like generator.mlxfn. INPUTS is a .safetensors file with noise z (n, latent_dim) and, for a
// conditional generator, labels (n). With a SEED the program draws the noise itself, and writes it to OUT-z.npy.
// OUT.npy gets the images, float32 (n, 28, 28, 1) in [-1, 1], and OUT.pgm a picture of them, up to ten in a row.
// Prints the median time of REPEATS calls.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "mlx/export.h"
#include "mlx/io.h"
#include "mlx/ops.h"
#include "mlx/random.h"
#include "mlx/transforms.h"

namespace mx = mlx::core;

void write_sheet(const std::string& path, const mx::array& images) {
  int columns = std::min(10, images.shape(0)), rows = images.shape(0) / columns;
  auto levels = mx::astype(mx::round((images + 1.0f) * 127.5f), mx::uint8);
  auto tiles = mx::reshape(mx::slice(levels, {0, 0, 0, 0}, {rows * columns, 28, 28, 1}), {rows, columns, 28, 28});
  auto sheet = mx::contiguous(mx::transpose(tiles, {0, 2, 1, 3}));
  mx::eval(sheet);
  std::ofstream file(path, std::ios::binary);
  file << "P5 " << 28 * columns << " " << 28 * rows << " 255\n";
  file.write(reinterpret_cast<const char*>(sheet.data<uint8_t>()), sheet.nbytes());
}

int whole_number(const std::string& text) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
    throw std::invalid_argument("'" + text + "' is not a whole number below a billion");
  return std::stoi(text);
}

int main(int argc, char** argv) try {
  if (argc < 4) throw std::invalid_argument("usage: digits FUNCTION INPUTS OUT [REPEATS [SEED]]");
  const std::string out = argv[3];
  const int repeats = argc > 4 ? std::max(1, whole_number(argv[4])) : 1;

  auto generator = mx::import_function(argv[1]);
  auto arrays = mx::load_safetensors(argv[2]).first;
  if (!arrays.count("z")) throw std::invalid_argument(std::string(argv[2]) + " has no array z");
  std::vector<mx::array> inputs{arrays.at("z")};
  if (argc > 5) {
    inputs[0] = mx::random::normal(inputs[0].shape(), mx::random::key(whole_number(argv[5])));
    mx::save(out + "-z.npy", inputs[0]);
  }
  if (arrays.count("labels")) inputs.push_back(arrays.at("labels"));
  mx::eval(inputs);

  auto images = generator(inputs)[0];
  mx::eval(images);  // the first call reads the weights
  std::vector<double> times;
  for (int i = 0; i < repeats; i++) {
    auto start = std::chrono::steady_clock::now();
    mx::eval(generator(inputs));
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  std::cout << images.shape(0) << " images, " << times[repeats / 2] << " ms\n";

  write_sheet(out + ".pgm", images);
  mx::save(out + ".npy", images);
} catch (const std::exception& error) {
  std::cerr << "digits: " << error.what() << "\n";
  return 1;
}
