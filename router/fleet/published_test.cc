#include "router/fleet/published.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace kvroute {
namespace {

// Two halves that are equal as long as the value lives.
struct Halves {
  explicit Halves(uint64_t number) : first(number), second(number) {}
  ~Halves() { first = UINT64_MAX; }
  uint64_t first, second;
};

TEST(PublishedTest, HasTheNewestValue) {
  Published<Halves> published;
  EXPECT_EQ(published.Read(), nullptr);
  for (uint64_t number = 1; number < 100; ++number) {
    published.Publish(std::make_shared<const Halves>(number));
    EXPECT_EQ(published.Read()->first, number);
  }
}

TEST(PublishedTest, AValueLivesAsLongAsSomebodyHasIt) {
  Published<Halves> published;
  published.Publish(std::make_shared<const Halves>(1));
  const std::shared_ptr<const Halves> held = published.Read();
  const std::weak_ptr<const Halves> second = [&] {
    published.Publish(std::make_shared<const Halves>(2));
    return published.Read();
  }();
  published.Publish(std::make_shared<const Halves>(3));
  EXPECT_TRUE(second.expired()) << "nobody has it any more";
  EXPECT_EQ(held->first, 1u);
  EXPECT_EQ(held.use_count(), 1);
}

// Each reader sees whole values, none older than one it has seen.
TEST(PublishedTest, ReadersSeeWholeValuesInOrderWhileOthersArePublished) {
  constexpr uint64_t kValues = 20'000;
  Published<Halves> published;
  published.Publish(std::make_shared<const Halves>(0));
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      for (uint64_t seen = 0; seen < kValues;) {
        const std::shared_ptr<const Halves> value = published.Read();
        ASSERT_EQ(value->first, value->second);
        ASSERT_GE(value->first, seen);
        seen = value->first;
      }
    });
  }
  for (uint64_t number = 1; number <= kValues; ++number) {
    published.Publish(std::make_shared<const Halves>(number));
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace kvroute
