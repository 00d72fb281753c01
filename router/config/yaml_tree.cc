#include "router/config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <streambuf>
#include <utility>
#include <vector>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// Ends the library's walk over a text that is not to be read further.
struct Refused {
  absl::Status why;
};

// Builds our tree from the library's events. Its own tree knows no limit: a list of a million items
// costs it a gigabyte, and an alias inside of what it stands for makes a circle.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& name) : name_(name) {}

  ConfigNode TakeRoot() { return std::move(root_.node); }

  // How many values have been told of.
  size_t events() const { return nodes_; }
  // Refuses so many bytes without one.
  void CheckGap(size_t bytes) const {
    if (bytes <= limits::kMaxConfigGapBytes) return;
    Refuse(fmt::format("config {}", name_),
           fmt::format("more than {} bytes in one value, or in comments between two",
                       limits::kMaxConfigGapBytes));
  }

  void OnDocumentStart(const YAML::Mark&) override {
    if (++documents_ == 2) Refuse("config " + name_, "more than one document, there must be one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add({.node = {.place = Place(mark)}, .anchor = anchor});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Add({.node = {.kind = ConfigNode::Kind::kScalar,
                  .place = Place(mark),
                  .scalar = value,
                  .quoted = tag == "!"},
         .anchor = anchor,
         .bytes = value.size()});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(ConfigNode::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(ConfigNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { Close(); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto named = anchored_.find(anchor);
    if (named == anchored_.end()) Refuse(Place(mark), "an alias inside of what it stands for");
    CheckDepth(Place(mark), named->second.height);
    CountAliased(Place(mark), named->second.nodes);
    Value value = named->second;
    if (value.node.kind != ConfigNode::Kind::kScalar) value.node.place = Place(mark);
    Add(std::move(value));
  }

 private:
  // A value with everything in it.
  struct Value {
    ConfigNode node;
    YAML::anchor_t anchor = 0;  // 0: it has none
    size_t nodes = 1;
    size_t bytes = 0;  // of its scalars and keys
    size_t height = 1;
    bool has_key = false;  // a map that is open: the next value is that of `key`
    std::string key = {};
    std::string key_place = {};
  };

  std::string Place(const YAML::Mark& mark) const {
    return mark.line < 0 ? fmt::format("config {}", name_)
                         : fmt::format("config {}:{}", name_, mark.line + 1);
  }

  [[noreturn]] static void Refuse(const std::string& place, std::string_view what) {
    throw Refused{InvalidArgument("{}: {}", place, what)};
  }

  void CheckDepth(const std::string& place, size_t height) const {
    if (open_.size() + height <= limits::kMaxConfigDepth) return;
    Refuse(place, fmt::format("nested more than {} deep", limits::kMaxConfigDepth));
  }

  // What has been made of the text so far, what anchors keep for their aliases included.
  void Count(const std::string& place, size_t nodes, size_t bytes) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > limits::kMaxConfigNodes)
      Refuse(place, fmt::format("more than {} values", limits::kMaxConfigNodes));
    if (bytes_ > limits::kMaxConfigBytes)
      Refuse(place, fmt::format("more than {} bytes with its aliases", limits::kMaxConfigBytes));
  }

  // What costs no text: copies that anchors keep and aliases make.
  void CountAliased(const std::string& place, size_t nodes) {
    aliased_ += nodes;
    if (aliased_ <= limits::kMaxConfigAliasNodes) return;
    Refuse(place, fmt::format("more than {} values by aliases", limits::kMaxConfigAliasNodes));
  }

  void Open(ConfigNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    Value value{.node = {.kind = kind, .place = Place(mark)}, .anchor = anchor};
    CheckDepth(value.node.place, 1);
    Count(value.node.place, 1, 0);
    open_.push_back(std::move(value));
  }

  void Close() {
    Value value = std::move(open_.back());
    open_.pop_back();
    Merge(&value.node);
    Put(std::move(value));
  }

  // YAML's merge key: what the maps behind "<<" have, in their order, and the map itself has not.
  static void Merge(ConfigNode* map) {
    const auto is_merge = [](const auto& entry) { return entry.first == "<<"; };
    const auto merge = std::find_if(map->entries.begin(), map->entries.end(), is_merge);
    if (merge == map->entries.end()) return;
    ConfigNode from = std::move(merge->second);
    map->entries.erase(merge);
    if (from.kind != ConfigNode::Kind::kList) from.items = {ConfigNode(from)};
    for (ConfigNode& each : from.items) {
      if (each.kind != ConfigNode::Kind::kMap) {
        Refuse(from.place, "<<: a map, or a list of maps, is expected");
      }
      for (auto& entry : each.entries) {
        if (map->Find(entry.first) == nullptr) map->entries.push_back(std::move(entry));
      }
    }
    if (map->entries.size() > limits::kMaxConfigKeys) {
      Refuse(from.place, fmt::format("more than {} keys in one map", limits::kMaxConfigKeys));
    }
  }

  // A value that is complete at once, or stands for one that is complete.
  void Add(Value value) {
    CheckDepth(value.node.place, value.height);
    Count(value.node.place, value.nodes, value.bytes);
    Put(std::move(value));
  }

  // Puts a complete value, which has been counted, where it belongs.
  void Put(Value value) {
    if (value.anchor != 0 && !anchored_.contains(value.anchor)) {
      Count(value.node.place, value.nodes, value.bytes);
      CountAliased(value.node.place, value.nodes);
      anchored_.emplace(value.anchor, value);
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Value& parent = open_.back();
    parent.nodes += value.nodes;
    parent.bytes += value.bytes;
    parent.height = std::max(parent.height, value.height + 1);
    if (parent.node.kind == ConfigNode::Kind::kList) {
      parent.node.items.push_back(std::move(value.node));
    } else if (!parent.has_key) {
      TakeKey(value, &parent);
    } else {
      if (value.node.kind != ConfigNode::Kind::kScalar) {
        value.node.place = std::move(parent.key_place);  // not the line below the key
      }
      parent.node.entries.emplace_back(std::move(parent.key), std::move(value.node));
      parent.has_key = false;
    }
  }

  static void TakeKey(const Value& key, Value* map) {
    const std::string& place = key.node.place;
    if (key.node.kind != ConfigNode::Kind::kScalar) Refuse(place, "a key must be a plain word");
    if (map->node.Find(key.node.scalar) != nullptr) {
      Refuse(place, fmt::format("key \"{}\" stands here twice", key.node.scalar));
    }
    if (map->node.entries.size() >= limits::kMaxConfigKeys) {
      Refuse(place, fmt::format("more than {} keys in one map", limits::kMaxConfigKeys));
    }
    map->has_key = true;
    map->key = key.node.scalar;
    map->key_place = place;
  }

  const std::string& name_;
  Value root_;
  std::vector<Value> open_;                   // from the root to where the walk is
  std::map<YAML::anchor_t, Value> anchored_;  // complete ones
  size_t nodes_ = 0;
  size_t bytes_ = 0;
  size_t aliased_ = 0;  // of nodes_
  int documents_ = 0;
};

// The text as the library reads it, two kilobytes at a time. A list in brackets is one possible key
// to its scanner, which keeps all of it, at two hundred bytes a byte, before it tells of the first
// item: what it may read between two events is bounded.
class BoundedText final : public std::streambuf {
 public:
  BoundedText(const std::string& text, const TreeBuilder* builder)
      : text_(text), builder_(builder) {}

 protected:
  std::streamsize xsgetn(char* to, std::streamsize bytes) override {
    if (std::exchange(events_, builder_->events()) != builder_->events()) since_event_ = at_;
    builder_->CheckGap(at_ - since_event_);
    const size_t got = text_.copy(to, static_cast<size_t>(bytes), at_);
    at_ += got;
    return static_cast<std::streamsize>(got);
  }
  // The first few bytes are read one by one, and put back.
  int_type underflow() override { return At(at_); }
  int_type uflow() override { return At(at_ < text_.size() ? at_++ : at_); }
  int_type pbackfail(int_type) override { return at_ == 0 ? traits_type::eof() : At(--at_); }

 private:
  int_type At(size_t at) const {
    return at < text_.size() ? traits_type::to_int_type(text_[at]) : traits_type::eof();
  }

  const std::string& text_;
  const TreeBuilder* const builder_;
  size_t at_ = 0;
  size_t since_event_ = 0;
  size_t events_ = 0;
};

// What the library does not say: a line, or the one before it, that is indented by a tab.
std::string TabNear(std::string_view text, int line) {
  for (int at = 0; !text.empty() && at <= line; ++at) {
    const std::string_view here = text.substr(0, text.find('\n'));
    const std::string_view indent = here.substr(0, here.find_first_not_of(" \t"));
    if (at + 1 >= line && indent.find('\t') != std::string_view::npos) {
      return fmt::format(" (line {} is indented by a tab; YAML takes spaces only)", at + 1);
    }
    text.remove_prefix(std::min(here.size() + 1, text.size()));
  }
  return "";
}

}  // namespace

absl::StatusOr<ConfigNode> BuildYamlTree(const std::string& text, const std::string& name) {
  TreeBuilder builder(name);
  BoundedText bounded(text, &builder);
  std::istream in(&bounded);
  try {
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(builder))
      return ConfigNode{.place = fmt::format("config {}", name)};
    parser.HandleNextDocument(builder);  // refuses it if there is one
    return builder.TakeRoot();
  } catch (const Refused& refused) {
    return refused.why;
  } catch (const YAML::Exception& error) {
    return InvalidArgument("config {}:{}: {}{}", name, error.mark.line + 1, error.msg,
                           TabNear(text, error.mark.line));
  }
}

}  // namespace kvroute
