#ifndef KVROUTE_TOOLS_CLIENT_SCRAPE_H_
#define KVROUTE_TOOLS_CLIENT_SCRAPE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvroute {

// GET http://host:port<path>. UNAVAILABLE when there is no answer, or one that is not 200.
absl::StatusOr<std::string> FetchPage(const std::string& host, int port, const std::string& path);

// One reading of a Prometheus text exposition: every sample under its name with labels, as written.
class Scrape {
 public:
  // INVALID_ARGUMENT names the line that is no sample.
  static absl::StatusOr<Scrape> Parse(absl::string_view text);
  // GET http://host:port/metrics. UNAVAILABLE when there is no answer, or one that is not 200.
  static absl::StatusOr<Scrape> Fetch(const std::string& host, int port);

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
