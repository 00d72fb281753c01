#ifndef KVROUTE_ROUTER_CONFIG_SETTLED_TEXT_H_
#define KVROUTE_ROUTER_CONFIG_SETTLED_TEXT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace kvroute {

// Tells from looks at a file, one after the other, when it has come to say something else. What two
// looks running have found is taken, so that a file that is being written is waited for. A file
// that has become empty, or that ends in the middle of a line of the text before, has been cut off:
// that counts as a file that cannot be read.
//
// Thread safety: one thread.
class SettledText {
 public:
  // `known` is the text in force, `path` stands in errors.
  SettledText(std::string path, std::string known)
      : path_(std::move(path)), known_(std::move(known)) {}

  // One more look, and what it found. Returns what is to be told now: a new text or, once per
  // change, why there is none.
  std::optional<absl::StatusOr<std::string>> Look(absl::StatusOr<std::string> found);

  // The next two looks that find the same are told even if it is what is known.
  void TellAgain();

 private:
  absl::StatusOr<std::string> Whole(absl::StatusOr<std::string> found) const;

  const std::string path_;
  std::string known_;                                // told last
  std::string known_error_;                          // told since; empty: none
  std::optional<absl::StatusOr<std::string>> seen_;  // in the last look
  bool tell_again_ = false;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_SETTLED_TEXT_H_
