#include "indexer/source/zmq/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "indexer/base/limits.h"
#include "test/support/vectors.h"

namespace kvroute {
namespace {

using Views = std::vector<std::string_view>;

const std::string kEnd(8, '\xff');
const std::string kSeventeen = std::string(7, '\0') + '\x11';

TEST(FramesTest, LiveMessagesHaveThreeFramesAndAnEightByteNumber) {
  const auto live = ParseLiveMessage(Views{"topic", kSeventeen, "payload"});
  ASSERT_TRUE(live.has_value());
  EXPECT_EQ(live->topic, "topic");
  EXPECT_EQ(live->seq, 17u);
  EXPECT_EQ(live->payload, "payload");
  EXPECT_FALSE(ParseLiveMessage(Views{}));
  EXPECT_FALSE(ParseLiveMessage(Views{kSeventeen, "payload"}));
  EXPECT_FALSE(ParseLiveMessage(Views{"", kSeventeen, "payload", ""}));
  EXPECT_FALSE(ParseLiveMessage(Views{"", kSeventeen.substr(1), "payload"}));
  EXPECT_FALSE(ParseLiveMessage(Views{"", kEnd, "payload"}));
}

TEST(FramesTest, WhatIsWrongWithALiveMessageIsSaid) {
  EXPECT_EQ(DescribeMalformed(Views{}), "0 frames");
  EXPECT_EQ(DescribeMalformed(Views{"payload"}), "1 frame");
  EXPECT_EQ(DescribeMalformed(Views{"", kSeventeen, "payload", ""}), "4 frames");
  EXPECT_EQ(DescribeMalformed(Views{"", kSeventeen.substr(4), "payload"}), "a number of 4 bytes");
  EXPECT_EQ(DescribeMalformed(Views{"", kEnd, "payload"}), "the number that ends a replay");
  EXPECT_EQ(TopicOfMalformed(Views{"topic", "", "payload", ""}), "topic");
  EXPECT_EQ(TopicOfMalformed(Views{}), "");
}

TEST(FramesTest, ARepliesTopicIsTheSecondOfFourFrames) {
  EXPECT_EQ(ParseReplayReply(Views{"", "topic", kSeventeen, "p"})->topic, "topic");
  EXPECT_FALSE(ParseReplayReply(Views{"", kSeventeen, "p"})->topic.has_value());
  EXPECT_FALSE(ParseReplayReply(Views{"", "", kEnd, ""})->topic.has_value());  // of no batch
}

TEST(FramesTest, RepliesAreToldApartByTheirCountAlone) {
  for (const Views& frames : {Views{"", kSeventeen, "p"}, Views{"", "", kSeventeen, "p"},
                              Views{"", "topic", kSeventeen, "p"}}) {
    const auto reply = ParseReplayReply(frames);
    ASSERT_TRUE(reply.has_value());
    EXPECT_FALSE(reply->end);
    EXPECT_EQ(reply->seq, 17u);
    EXPECT_EQ(reply->payload, "p");
  }
  EXPECT_TRUE(ParseReplayReply(Views{"", kEnd, ""})->end);
  EXPECT_TRUE(ParseReplayReply(Views{"", "", kEnd, ""})->end);
  EXPECT_FALSE(ParseReplayReply(Views{kSeventeen, "p"}));
  EXPECT_FALSE(ParseReplayReply(Views{"x", kSeventeen, "p"}));
  EXPECT_FALSE(ParseReplayReply(Views{"", "17", "p"}));
}

TEST(FramesTest, RequestsAreBigEndian) {
  const auto bytes = EncodeSequence(17);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), kSeventeen);
}

TEST(FramesTest, TopicsNameAPodAndAModel) {
  EXPECT_EQ(ParseTopicIdentity("kv@10.0.0.7:8000@Qwen/Qwen3-8B")->pod, "10.0.0.7");
  EXPECT_EQ(ParseTopicIdentity("kv@10.0.0.7:8000@Qwen/Qwen3-8B")->host, "10.0.0.7:8000");
  EXPECT_EQ(ParseTopicIdentity("kv@10.0.0.7:8000@Qwen/Qwen3-8B")->model, "Qwen/Qwen3-8B");
  EXPECT_EQ(ParseTopicIdentity("kv@[fd00::7]:8000@m")->pod, "[fd00::7]");
  EXPECT_EQ(ParseTopicIdentity("kv@fd00::7@m")->pod, "fd00::7");
  EXPECT_EQ(ParseTopicIdentity("kv@pod-7@a@b")->model, "a@b");
  for (const char* topic : {"", "kv", "kv@", "kv@pod", "kv@pod@", "kv@@m", "other@pod@m"}) {
    EXPECT_FALSE(ParseTopicIdentity(topic)) << topic;
  }
}

TEST(FramesTest, NamesThatNoWorkerMayHaveAreNoIdentity) {
  for (const std::string& topic :
       std::vector<std::string>{"kv@a\xff@m", "kv@a@m\xc3", "kv@a\n@m", "kv@a@m\x1b[31m",
                                std::string("kv@a\0@m", 7), "kv@a@caf\xc3\xa9", "kv@a\x7f@m"}) {
    EXPECT_FALSE(ParseTopicIdentity(topic)) << topic;
  }
  const std::string host(limits::kMaxWorkerIdBytes, 'a'), model(limits::kMaxModelBytes, 'm');
  EXPECT_TRUE(ParseTopicIdentity("kv@" + host + "@" + model));
  EXPECT_FALSE(ParseTopicIdentity("kv@" + host + "a@" + model));
  EXPECT_FALSE(ParseTopicIdentity("kv@" + host + "@" + model + "m"));
}

TEST(FramesTest, EveryMessageOfTheVectorsIsTakenOrDroppedAsListed) {
  const nlohmann::json vectors = ReadVectorJson("frames.json");
  for (const auto& entry : vectors["pub"]) {
    const std::vector<std::string> frames = Unhex(entry["frames"]);
    const bool dropped = entry["expect"].get<std::string>().starts_with("drop");
    EXPECT_EQ(ParseLiveMessage(Views(frames.begin(), frames.end())).has_value(), !dropped)
        << entry["name"];
  }
  for (const auto& entry : vectors["replay_reply"]) {
    if (entry["name"] == "req_client") continue;  // another kind of socket, without the delimiter
    for (size_t i = 0; i < entry["messages"].size(); ++i) {
      const std::vector<std::string> frames = Unhex(entry["messages"][i]);
      const auto reply = ParseReplayReply(Views(frames.begin(), frames.end()));
      ASSERT_TRUE(reply.has_value()) << entry["name"];
      EXPECT_EQ(reply->end, i + 1 == entry["messages"].size()) << entry["name"];
    }
  }
}

}  // namespace
}  // namespace kvroute
