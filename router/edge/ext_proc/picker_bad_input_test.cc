// Everything a client may get wrong, at the picker: the request is routed all the same, its body
// leaves as it came, and a counter says why nothing is known of its prompt; or it is refused, where
// that is asked for and its client can mend it.
#include <string>
#include <vector>

#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

using testing::IsEmpty;

struct BadBodyCase {
  std::string what;
  std::string body;
  Unscored reason = Unscored::kNotJson;
  bool can_mend = true;  // so that it may be refused
  std::string content_encoding = "";
};

std::vector<BadBodyCase> BadBodies() {
  const std::string chat = R"("messages":[{"role":"user","content":"x"}])";
  return {
      {"not JSON", "prompt=x&model=m"},
      {"no object", "[1,2,3]"},
      {"empty", "", Unscored::kEmpty},
      {"truncated", "{" + chat + R"(,"model":"m)"},
      {"two documents", "{" + chat + "}{}"},
      {"deep", R"({"messages":[)" + std::string(200'000, '[')},
      {"gzip", std::string("\x1f\x8b\x08\x00\x00", 5), Unscored::kCompressed, false},
      {"said to be compressed", "{" + chat + "}", Unscored::kCompressed, false, "br"},
      {"a key twice", "{" + chat + "," + chat + "}", Unscored::kRepeatedField},
      {"a key twice, once escaped", R"({"model":"a","mod\u0065l":"b",)" + chat + "}",
       Unscored::kRepeatedField},
      {"wrong type", R"({"messages":7})", Unscored::kWrongType},
      {"wrong type beside the prompt", R"({"cache_salt":{},)" + chat + "}", Unscored::kWrongType},
      {"no prompt", R"({"model":"m"})", Unscored::kNoPrompt},
      {"invalid UTF-8", "{\"messages\":\"\xc3\x28\"}", Unscored::kNotUtf8},
      {"a surrogate as UTF-8", "{\"messages\":\"\xed\xa0\x80\"}", Unscored::kNotUtf8},
      {"half a surrogate pair", R"({"model":"\ud800",)" + chat + "}", Unscored::kWrongType},
      {"a NUL", std::string("{\"messages\":\"\0\"}", 16)},
  };
}

class PickerBadInputTest : public PickerTest {
 protected:
  PickerBadInputTest() { AddAt("a", "10.0.0.1:8000"); }

  std::vector<EnvoyResponse> Ask(const BadBodyCase& bad) {
    Open();
    std::vector<std::pair<std::string, std::string>> headers = {{":path", kChat}};
    if (!bad.content_encoding.empty()) {
      headers.emplace_back("content-encoding", bad.content_encoding);
    }
    EXPECT_THAT(Say(HeadersOf(headers)), IsEmpty());
    return Say(Body(bad.body, true));
  }
  uint64_t Bodies(Unscored reason) const {
    return picker_stats_.bodies[static_cast<size_t>(Api::kChat)][static_cast<size_t>(reason)];
  }
};

TEST_F(PickerBadInputTest, ABodyThatCannotBeReadIsRoutedAsItIsAndCounted) {
  for (const BadBodyCase& bad : BadBodies()) {
    SCOPED_TRACE(bad.what);
    const uint64_t before = Bodies(bad.reason), unscored = Count(NoPrompt::kBody);
    const auto replies = Ask(bad);
    EXPECT_EQ(PickIn(replies[0]), "10.0.0.1:8000");
    bool end = false;
    EXPECT_EQ(Echo(replies, &end), bad.body);
    EXPECT_TRUE(end);
    EXPECT_EQ(Bodies(bad.reason), before + 1);
    EXPECT_EQ(Count(NoPrompt::kBody), unscored + 1);
    Close();
    EXPECT_EQ(Leases(), 0u);
    EXPECT_EQ(bodies_.used(), 0u);
  }
}

TEST_F(PickerBadInputTest, WhereItIsToBeRefusedItsClientGetsJson) {
  Start({.bad_body = BadBody::kReject});
  for (const BadBodyCase& bad : BadBodies()) {
    SCOPED_TRACE(bad.what);
    const auto replies = Ask(bad);
    if (!bad.can_mend) {
      EXPECT_EQ(PickIn(replies[0]), "10.0.0.1:8000");
      continue;
    }
    ASSERT_TRUE(replies[0].has_immediate_response());
    EXPECT_EQ(replies[0].immediate_response().status().code(), 400);
    EXPECT_THAT(std::string(replies[0].immediate_response().body()),
                testing::StartsWith(R"({"error":{"message":")"));
  }
}

// What a proxy shows of a flood is read once and not kept.
TEST_F(PickerBadInputTest, AFloodOfHeadersChangesNothing) {
  std::vector<std::pair<std::string, std::string>> flood = {{":path", kGenerate}};
  for (int i = 0; i < 20'000; ++i) flood.emplace_back(absl::StrCat("x-flood-", i), "value");
  for (int i = 0; i < 1'000; ++i) flood.emplace_back("X-Prefiller-Host-Port", "6.6.6.6:1");
  flood.emplace_back("x-llm-d-inference-objective", std::string(1 << 20, 'o'));
  flood.emplace_back("x-llm-d-model-name-rewrite", std::string(1 << 20, 'r'));
  flood.emplace_back("x-long", std::string(1 << 20, 'v'));
  flood.emplace_back("", "no name");
  flood.emplace_back("x-odd", "\xff\xfe");
  EXPECT_THAT(Say(HeadersOf(flood)), IsEmpty());
  const auto replies = Say(Body(TokensBody(8), true));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.1:8000");
  bool end = false;
  EXPECT_EQ(Echo(replies, &end), TokensBody(8)) << "a name that long is no model's";
  const auto& removed = replies[0].request_headers().response().header_mutation().remove_headers();
  EXPECT_EQ(removed.size(), 3) << "each once, however often it came";
  EXPECT_EQ(picker_stats_.removed_headers, 3u);
}

// Of one that is given twice the first counts, as it does for engines.
TEST_F(PickerBadInputTest, PathsThatAreNoneGoByLoad) {
  for (const std::string path :
       {"", "\xff\xff", "////", "/v1/chat/completions/../../x", "?/v1/chat/completions"}) {
    SCOPED_TRACE(path);
    Open();
    Say(HeadersOf({{":path", path}, {":path", kChat}}));
    const auto replies = Say(Body(TokensBody(8), true));
    EXPECT_EQ(PickIn(replies[0]), "10.0.0.1:8000");
    Close();
  }
}

}  // namespace
}  // namespace kvroute
