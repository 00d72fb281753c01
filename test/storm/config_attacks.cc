#include <fstream>

#include "test/storm/attack.h"

namespace kvroute {
namespace {

// What an operator's slip, a full disk or an editor leaves of a configuration file. It names no
// worker of the normal fleet, whatever becomes of it.
class DamagedConfig : public Attack {
 public:
  explicit DamagedConfig(const AttackedServer& server) : server_(server) {}
  std::string_view name() const override { return "damaged configuration"; }

  void Strike(std::mt19937_64* random) override {
    std::string text = server_.config;
    switch ((*random)() % 4) {
      case 0:
        text.resize((*random)() % text.size());
        break;
      case 1:
        text = "workers: &x\n- *x\n";
        break;
      case 2:
        text += std::string(200'000, '[');
        break;
      default:
        for (uint64_t bit = 1 + (*random)() % 4; bit > 0; --bit) {
          text[(*random)() % text.size()] ^= static_cast<char>(1 << (*random)() % 8);
        }
    }
    Write(text);
    server_.hold();
    Write(server_.config);
    server_.hold();
  }

 private:
  void Write(const std::string& text) {  // in place, as no careful editor does
    std::ofstream(server_.config_path, std::ios::binary) << text;
  }

  const AttackedServer server_;
};

}  // namespace

void AddConfigAttacks(const AttackedServer& server, Attacks* attacks) {
  attacks->push_back(std::make_unique<DamagedConfig>(server));
}

}  // namespace kvroute
