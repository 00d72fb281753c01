#ifndef KVROUTE_TOOLS_CONVERT_EPP_READER_H_
#define KVROUTE_TOOLS_CONVERT_EPP_READER_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "router/config/config_tree.h"

namespace kvroute {

// One entry of the file's `plugins`.
struct EppPlugin {
  std::string type;
  const ConfigNode* entry = nullptr;
  const ConfigNode* parameters = nullptr;  // nullptr: none
  bool is_used = false;                    // something refers to it
};

// What the configuration of kvroute is to say, as far as the file decides it.
struct EppWanted {
  bool has_prefix = false;  // something prefers engines that hold the prompt
  bool has_load = false;    // something prefers engines with little load
  bool picks_at_random = false;
  uint64_t endpoints = 1;      // told at a time
  bool disaggregates = false;  // prompts may be computed elsewhere
  std::string decider;         // when, as picker.prefill says it; empty: not said
  uint64_t uncached_tokens = 0;
  uint64_t prompt_tokens = 0;
  bool has_precise = false;
  std::string estimate_place;  // where tokens are only guessed; empty: nowhere
  std::string renderer_url, renderer_model, render_timeout;
  std::string file;
  std::string selector, pod_namespace, engine;
  uint64_t event_port = 0, replay_port = 0;  // 0: not said
  std::string listen_endpoint, listen_topic;
};

// What a file of llm-d's is read into, and what is said about it.
struct EppReader {
  bool ignore_unknown = false;
  std::map<std::string, EppPlugin> plugins;  // by name
  EppWanted wanted;
  std::vector<std::string> notes, errors;

  void Note(const ConfigNode& at, std::string_view text);
  void Refuse(const ConfigNode& at, std::string_view text);
  // A note if the unknown is to be ignored.
  void Unknown(const ConfigNode& at, std::string_view text);
  // Keys of a map that are none of these are unknown; so is what is no map.
  void ExpectKeys(const ConfigNode& map, std::initializer_list<std::string_view> keys);
  // A member's text; empty: none.
  static std::string TextOf(const ConfigNode* map, std::string_view key);
  uint64_t NumberOf(const ConfigNode* map, std::string_view key, uint64_t otherwise);
  bool BoolOf(const ConfigNode* map, std::string_view key, bool otherwise);
};

// What becomes of a plugin, by its type.
void TakeEppPlugin(EppPlugin* plugin, EppReader* reader);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CONVERT_EPP_READER_H_
