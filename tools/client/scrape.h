#ifndef KVROUTE_TOOLS_CLIENT_SCRAPE_H_
#define KVROUTE_TOOLS_CLIENT_SCRAPE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/client/client_options.h"

namespace kvroute {

// GET of a page, over TLS where the address says so. UNAVAILABLE, with the URL, when nobody answers
// (a connection is waited for 2 s), or not with 200. INVALID_ARGUMENT names a file that cannot be
// used.
absl::StatusOr<std::string> FetchPage(const ClientOptions& from, const std::string& path);

// One reading of a Prometheus text exposition: every sample under its name with labels, as written.
class Scrape {
 public:
  // INVALID_ARGUMENT names the line that is no sample.
  static absl::StatusOr<Scrape> Parse(absl::string_view text);
  // Of /metrics; errors as FetchPage's.
  static absl::StatusOr<Scrape> Fetch(const ClientOptions& from);

  // NOT_FOUND when there is no such sample.
  absl::StatusOr<double> Value(absl::string_view name_with_labels) const;
  // Of all samples of this name, whatever their labels; 0 when there is none.
  double Sum(absl::string_view name) const;
  // The upper bound of the bucket that holds quantile q of what histogram `name` (without labels)
  // observed between `before` and this reading; 0 when that is nothing.
  // `labels` are those in front of le, as written: "method=\"Route\",".
  double Quantile(absl::string_view name, double q, const Scrape& before,
                  absl::string_view labels = "") const;

 private:
  std::map<std::string, double, std::less<>> samples_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CLIENT_SCRAPE_H_
