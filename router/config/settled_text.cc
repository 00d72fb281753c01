#include "router/config/settled_text.h"

#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

bool IsBlank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

// Whether `text` is the beginning of `before` up to the middle of a line. A person who deletes the
// end of a file leaves whole lines.
bool IsCutOff(const std::string& text, const std::string& before) {
  return text.size() < before.size() && before.starts_with(text) && !text.ends_with('\n') &&
         before[text.size()] != '\n';
}

bool SameLook(const absl::StatusOr<std::string>& a, const absl::StatusOr<std::string>& b) {
  return a.ok() && b.ok() ? *a == *b : a.status() == b.status();
}

}  // namespace

absl::StatusOr<std::string> SettledText::Whole(absl::StatusOr<std::string> found) const {
  if (!found.ok()) return found;
  if (IsBlank(*found) && !IsBlank(known_)) return InvalidArgument("{}: is empty", path_);
  if (IsCutOff(*found, known_)) {
    return InvalidArgument("{}: is cut off in the middle of a line", path_);
  }
  return found;
}

std::optional<absl::StatusOr<std::string>> SettledText::Look(absl::StatusOr<std::string> found) {
  if (!seen_.has_value() || !SameLook(*seen_, found)) {
    seen_ = std::move(found);
    return std::nullopt;
  }
  found = Whole(std::move(found));
  const std::string error(MessageOf(found.status()));
  const bool known = found.ok() ? known_error_.empty() && *found == known_ : error == known_error_;
  if (known && !tell_again_) return std::nullopt;
  tell_again_ = false;
  known_error_ = error;
  if (found.ok()) known_ = *found;
  return found;
}

void SettledText::TellAgain() {
  if (!std::exchange(tell_again_, true)) seen_.reset();
}

}  // namespace kvroute
