// What deploy/ ships must work with this build: rules and scrape configuration pass promtool, every
// metric they name exists, every alert has its runbook, the ConfigMap holds a configuration kvroute
// takes, and so does the file that the package installs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "indexer/telemetry/metric_names.h"
#include "router/config/parse_config.h"

namespace kvroute {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  std::ifstream in(path);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_FALSE(text.empty()) << path << " (run from the source directory)";
  return text;
}

std::vector<fs::path> FilesOf(const fs::path& dir, const std::string& extension) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  EXPECT_FALSE(files.empty()) << dir;
  return files;
}

int Promtool(const std::string& arguments) {
  return std::system(("cd deploy/prometheus && promtool " + arguments + " >&2").c_str());
}

void ExpectKnownMetrics(const fs::path& file) {
  std::set<std::string> known;
  for (const MetricDef& def : kMetrics) {
    const std::string name(def.name);
    known.insert(name);
    if (def.kind != MetricKind::kHistogram) continue;
    for (const char* suffix : {"_bucket", "_sum", "_count"}) known.insert(name + suffix);
  }
  const std::string text = Read(file);
  const std::regex metric(R"(\b(?:kvroute|process)_[a-z_]+\b(?!:))");
  for (std::sregex_iterator it(text.begin(), text.end(), metric), end; it != end; ++it) {
    EXPECT_EQ(known.count(it->str()), 1u) << it->str() << " in " << file;
  }
}

TEST(DeployTest, PrometheusTakesTheRulesAndTheyFireWhenTheyShould) {
  EXPECT_EQ(Promtool("check rules rules.yml"), 0);
  EXPECT_EQ(Promtool("check config prometheus.yml"), 0);
  EXPECT_EQ(Promtool("test rules rules_test.yml"), 0);
  EXPECT_EQ(Promtool("test rules alerts_test.yml"), 0);
}

TEST(DeployTest, RulesDashboardsAndRunbooksNameOnlyMetricsThatExist) {
  ExpectKnownMetrics("deploy/prometheus/rules.yml");
  for (const fs::path& dashboard : FilesOf("deploy/grafana", ".json"))
    ExpectKnownMetrics(dashboard);
  for (const fs::path& runbook : FilesOf("docs/runbooks", ".md")) ExpectKnownMetrics(runbook);
}

TEST(DeployTest, TheExampleConfigurationIsTakenAsItIsAndWithEverythingInIt) {
  const std::string text = Read("deploy/systemd/kvroute.yaml");
  EXPECT_TRUE(ParseConfig(text, "kvroute.yaml", {}).ok());
  // What is commented out is shown, not said: a name and a colon, or an item.
  const std::string shown =
      std::regex_replace(text, std::regex("(^|\n)# (?= *(?:- |[a-z_]+:))"), "$1");
  const auto config = ParseConfig(shown, "kvroute.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status() << "\n" << shown;
  EXPECT_EQ(config->workers.size(), 1u);
}

TEST(DeployTest, NoRuleAndNoDashboardIsForOneNameOfAJob) {
  std::vector<fs::path> files = FilesOf("deploy/grafana", ".json");
  files.emplace_back("deploy/prometheus/rules.yml");
  for (const fs::path& file : files) {
    EXPECT_FALSE(std::regex_search(Read(file), std::regex(R"(job\s*=~?\s*\\?")"))) << file;
  }
}

TEST(DeployTest, EveryAlertHasItsRunbookAndEveryRunbookItsAlert) {
  std::set<std::string> alerts;
  const YAML::Node rules = YAML::LoadFile("deploy/prometheus/rules.yml");
  for (const YAML::Node& rule : rules["groups"][0]["rules"]) {
    if (!rule["alert"]) continue;
    const auto name = rule["alert"].as<std::string>();
    alerts.insert(name);
    EXPECT_EQ(rule["annotations"]["runbook_url"].as<std::string>(),
              "https://github.com/kvroute/kvroute/blob/main/docs/runbooks/" + name + ".md");
  }
  std::set<std::string> pages;
  for (const fs::path& page : FilesOf("docs/runbooks", ".md")) pages.insert(page.stem());
  EXPECT_EQ(alerts, pages);
}

TEST(DeployTest, DashboardsAreJsonWithPanelsThatDoNotOverlap) {
  for (const fs::path& file : FilesOf("deploy/grafana", ".json")) {
    const nlohmann::json dashboard = nlohmann::json::parse(Read(file), nullptr, false);
    ASSERT_FALSE(dashboard.is_discarded()) << file;
    std::set<std::pair<int, int>> taken;
    for (const auto& panel : dashboard["panels"]) {
      EXPECT_FALSE(panel["targets"].empty()) << panel["title"];
      const auto& place = panel["gridPos"];
      for (int x = place["x"]; x < place["x"].get<int>() + place["w"].get<int>(); ++x) {
        EXPECT_LT(x, 24);
        for (int y = place["y"]; y < place["y"].get<int>() + place["h"].get<int>(); ++y) {
          EXPECT_TRUE(taken.insert({x, y}).second) << panel["title"];
        }
      }
    }
  }
}

// Requests succeed while nobody hears the engines: it must be seen without being looked for.
TEST(DeployTest, WorkersThatAreNotHeardAreOnADashboard) {
  const std::string streams = Read("deploy/grafana/streams.json");
  EXPECT_THAT(streams, testing::HasSubstr("kvroute_streams_unheard{"));
  EXPECT_THAT(streams, testing::HasSubstr("kvroute_unheard_decisions_total{"));
}

// The kinds in a manifest, whose ConfigMap must be a configuration.
std::set<std::string> KindsIn(const std::string& manifest, ServeConfig* found) {
  std::set<std::string> kinds;
  for (const YAML::Node& document : YAML::LoadAllFromFile(manifest)) {
    kinds.insert(document["kind"].as<std::string>());
    if (document["kind"].as<std::string>() != "ConfigMap") continue;
    const auto text = document["data"]["kvroute.yaml"].as<std::string>();
    const auto config = ParseConfig(text, "kvroute.yaml", {});
    EXPECT_TRUE(config.ok()) << config.status();
    if (config.ok()) *found = *config;
  }
  return kinds;
}

TEST(DeployTest, KubernetesManifestIsYamlAndItsConfigMapIsAConfiguration) {
  ServeConfig config;
  EXPECT_EQ(KindsIn("deploy/kubernetes/kvroute.yaml", &config),
            std::set<std::string>({"ConfigMap", "Deployment", "Service"}));
}

TEST(DeployTest, ThePickersManifestMayReadWhatItsConfigurationLooksFor) {
  ServeConfig config;
  EXPECT_EQ(
      KindsIn("deploy/kubernetes/picker.yaml", &config),
      std::set<std::string>({"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Deployment",
                             "Service", "PodDisruptionBudget", "NetworkPolicy"}));
  EXPECT_EQ(config.discovery.kubernetes.pool, "vllm");
  EXPECT_EQ(config.picker.listen, "[::]:9002");
  for (const YAML::Node& document : YAML::LoadAllFromFile("deploy/kubernetes/picker.yaml")) {
    if (document["kind"].as<std::string>() != "Role") continue;
    std::set<std::string> resources;
    for (const YAML::Node& rule : document["rules"]) {
      EXPECT_EQ(rule["verbs"].as<std::vector<std::string>>(),
                std::vector<std::string>({"get", "list", "watch"}));
      for (const YAML::Node& resource : rule["resources"]) {
        resources.insert(resource.as<std::string>());
      }
    }
    EXPECT_EQ(resources, std::set<std::string>({"pods", "inferencepools", "inferenceobjectives",
                                                "inferencemodelrewrites"}));
  }
}

// The documentation's own example must be one that works.
TEST(DeployTest, TheExampleInTheConfigurationPageIsAConfiguration) {
  const std::string page = Read("docs/configuration.md");
  const size_t begin = page.find("```yaml\n") + 8;
  const auto config =
      ParseConfig(page.substr(begin, page.find("```", begin) - begin), "example", {});
  EXPECT_TRUE(config.ok()) << config.status();
}

}  // namespace
}  // namespace kvroute
