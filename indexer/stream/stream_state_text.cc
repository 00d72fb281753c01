// The names of states, inputs and reactions, what they mean, and how the docs print them.
#include "absl/types/span.h"
#include "indexer/stream/stream_state.h"

namespace kvroute {

namespace {

struct NameAndMeaning {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<NameAndMeaning, kStreamStateCount> kStateTexts = {{
    {"disconnected", "no connection: what still comes is held"},
    {"verifying",
     "connected anew; the engine is asked for the last batch applied, to see whether it is the one "
     "of before"},
    {"catching up", "batches are missing, or may be, and the engine is asked for them"},
    {"splicing", "the replay has ended; what was held behind it is being applied"},
    {"following", "batches are applied as they come"},
    {"probing", "the same, and the engine is asked whether the last batch was lost"},
    {"starting afresh", "the same, and the engine is asked for everything again"},
    {"live only, disconnected", "no connection: what still comes is applied"},
    {"live only", "batches are applied as they come; what is missing is lost"},
    {"conflict, disconnected", "no connection after a conflict"},
    {"conflict", "two publishers use the stream's identity: nothing is applied"},
}};

constexpr std::array<NameAndMeaning, kStreamInputCount> kInputTexts = {{
    {"connection made", "the stream may hear its engine from here on"},
    {"connection lost", "what was under way may still come"},
    {"live: next", "a live batch with the number expected"},
    {"live: damaged",
     "the same, but it does not decode: worth one more copy while the state is exact"},
    {"live: ahead", "numbers before it are missing"},
    {"live: repeated", "applied or held before"},
    {"live: restart", "of a new life of the engine"},
    {"first reply",
     "the replay begins where it was asked to, or nothing is missed by its beginning"},
    {"first reply: late", "it begins behind that"},
    {"reply: next", "a replayed batch with the number expected"},
    {"reply: ahead", "numbers before it are missing"},
    {"reply: confirms", "the last batch applied, again"},
    {"reply: repeated", "one applied before that, again"},
    {"reply: restart", "another batch than the one applied by that number"},
    {"replay's end", "the engine has said everything it has"},
    {"replay's end: last unknown", "the same, and nothing came, not even the last batch applied"},
    {"stray reply or end", "of a request that is over"},
    {"held: next", "the first batch held has the number expected"},
    {"held: suspect", "the same, but it did not decode"},
    {"caught up", "nothing is missing up to the live stream"},
    {"hole left", "something is missing, and the replay has ended or there is none"},
    {"quiet", "no restart within this connection, or jump of numbers in a conflict, for 2 s"},
    {"no reply in time", "`replay_timeout`"},
    {"replay too long", "`replay_limit`"},
    {"fresh start due", "after a loss that may have been passing"},
    {"probe due", "after a second of silence, then after twice as long each time"},
}};

constexpr std::array<NameAndMeaning, kStreamReactionCount> kReactionTexts = {{
    {"–", "cannot happen: a CHECK"},
    {"ignore", "nothing is to be done"},
    {"verify",
     "ask from the last batch applied, by which the engine is known; where there is none, from the "
     "number expected, and drop what is held"},
    {"connect",
     "the state stays `stale` until the numbers go on; a stream never heard is degraded"},
    {"stand by", "wait until one of the publishers stops"},
    {"disconnect", "the state is `stale`; a running request is over"},
    {"apply live", "decode and apply"},
    {"hold", "keep for later, within the bounds"},
    {"hold behind gap", "count the gap; keep for later"},
    {"ask for gap", "count the gap; keep for later; ask for what is missing"},
    {"skip gap", "count the gap; keep the state, in doubt; apply"},
    {"hold suspect", "keep for later, unless the replay brings a better copy"},
    {"ask for copy", "the same, and ask for it"},
    {"count", "count a duplicate"},
    {"forget", "the engine restarted: forget all of it; then the batch is judged anew"},
    {"observe", "see whether the numbers rise one by one"},
    {"use", "the reply is used"},
    {"skip or ask again",
     "ask once more for the beginning; where it begins no earlier, keep the state, in doubt, and "
     "go "
     "on from the reply, or from what is held right before it"},
    {"replace", "the engine has everything: forget the state and take it from 0"},
    {"keep or ask again", "ask once more for the beginning; where it begins no earlier, as *keep*"},
    {"apply reply", "decode and apply"},
    {"hold reply", "keep for later, within the bounds"},
    {"confirm", "the engine is the one of before"},
    {"forget and ask", "the engine restarted: forget all of it and ask from 0"},
    {"splice", "apply what is held, without waiting for better copies"},
    {"ask again or do without",
     "ask once more; in the end go on from what is held, the state kept in doubt: the engine's "
     "buffer keeps less than one batch"},
    {"keep", "the engine no longer has its first batch: keep the state, never start afresh again"},
    {"apply held", "decode and apply"},
    {"wait", "its turn comes later"},
    {"finish", "the stream is up to date, and exact unless something was lost"},
    {"ask for hole", "ask for what is missing"},
    {"ask again or give up",
     "ask for what is still missing; after `replay_attempts`, as *give up*"},
    {"give up",
     "where something is missing, keep the state, in doubt, and go on behind it; where nothing is "
     "known to be missing but the engine did not say so, `stale` until the numbers go on; a fresh "
     "start is tried later"},
    {"lift syncing", "a restart within a connection is believed by now"},
    {"leave conflict", "begin anew: ask from 0, where the engine can be asked"},
    {"ask afresh", "ask from 0, and keep the state until the answer comes"},
    {"probe", "ask from the last batch applied"},
}};

static_assert(!kStateTexts.back().name.empty() && !kInputTexts.back().name.empty() &&
              !kReactionTexts.back().name.empty());

void AppendText(std::initializer_list<std::string_view> texts, std::string* out) {
  for (const std::string_view text : texts) out->append(text);
}

void AppendCell(const StateCell& cell, std::string* out) {
  AppendText({" ", StreamReactionName(cell.reaction)}, out);
  std::string_view before = " → *";
  for (size_t i = 0; i < kStreamStateCount; ++i) {
    if (!cell.leads_to.Contains(static_cast<StreamState>(i))) continue;
    AppendText({before, kStateTexts[i].name, "*"}, out);
    before = ", *";
  }
  AppendText({" |"}, out);
}

bool CanHappen(size_t input, size_t first, size_t end) {
  for (size_t state = first; state < end; ++state) {
    if (kStateTable[state][input].reaction != StreamReaction::kNever) return true;
  }
  return false;
}

// The columns of the states [first, end), and the rows of what can happen in any of them.
void AppendColumns(size_t first, size_t end, std::string* out) {
  AppendText({"| |"}, out);
  for (size_t state = first; state < end; ++state) {
    AppendText({" **", kStateTexts[state].name, "** |"}, out);
  }
  AppendText({"\n|---|"}, out);
  for (size_t state = first; state < end; ++state) AppendText({"---|"}, out);
  for (size_t input = 0; input < kStreamInputCount; ++input) {
    if (!CanHappen(input, first, end)) continue;
    AppendText({"\n| ", kInputTexts[input].name, " |"}, out);
    for (size_t state = first; state < end; ++state) AppendCell(kStateTable[state][input], out);
  }
  AppendText({"\n"}, out);
}

void AppendMeanings(std::string_view heading, absl::Span<const NameAndMeaning> texts,
                    std::string* out) {
  AppendText({"\n| ", heading, " | what it means |\n|---|---|\n"}, out);
  for (const NameAndMeaning& text : texts) {
    AppendText({"| ", text.name, " | ", text.meaning, " |\n"}, out);
  }
}

}  // namespace

std::string_view StreamStateName(StreamState state) {
  return kStateTexts[static_cast<size_t>(state)].name;
}
std::string_view StreamInputName(StreamInput input) {
  return kInputTexts[static_cast<size_t>(input)].name;
}
std::string_view StreamReactionName(StreamReaction reaction) {
  return kReactionTexts[static_cast<size_t>(reaction)].name;
}

std::string StateTableMarkdown() {
  constexpr auto kFirstLiveOnly = static_cast<size_t>(StreamState::kLiveOnlyDisconnected);
  std::string out = "A stream whose engine can be asked to replay:\n\n";
  AppendColumns(0, kFirstLiveOnly, &out);
  AppendText({"\nA stream without a replay endpoint, and either kind in a conflict:\n\n"}, &out);
  AppendColumns(kFirstLiveOnly, kStreamStateCount, &out);
  AppendMeanings("state", kStateTexts, &out);
  AppendMeanings("what happens", kInputTexts, &out);
  AppendMeanings("reaction", kReactionTexts, &out);
  return out;
}

}  // namespace kvroute
