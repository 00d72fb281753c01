#ifndef KVROUTE_INDEXER_BASE_NEAREST_NAME_H_
#define KVROUTE_INDEXER_BASE_NEAREST_NAME_H_

#include <string>
#include <string_view>
#include <vector>

namespace kvroute {

// The one of `names` that was probably meant by `word`, which is none of them: by the letters that
// must be added, taken away, changed or swapped, at most one of three; or by its beginning, if only
// one begins so. Empty: none is near, or two are equally so. Capital letters, '-' and '_' count as
// the letters and dashes that they could have been.
std::string NearestName(std::string_view word, const std::vector<std::string>& names);

// The end of an error message about `word`: "; did you mean \"serve\"?", or nothing.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& names);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_NEAREST_NAME_H_
