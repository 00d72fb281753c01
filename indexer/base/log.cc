#include "indexer/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "indexer/base/line_writer.h"
#include "indexer/base/log_fields.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

// Of the line that this thread is logging; spdlog formats it before Logger().log() returns.
thread_local const LogFields* line_fields = nullptr;

// `text` is one line of UTF-8.
void AppendEscaped(std::string_view text, spdlog::memory_buf_t* out) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out->push_back('\\');
    out->push_back(c);
  }
}

// ,"worker":"w0","rank":1
class JsonFieldsFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
    if (line_fields == nullptr) return;
    for (const LogField& field : *line_fields) {
      fmt::format_to(std::back_inserter(out), R"(,"{}":)", field.name);
      if (field.is_number) {
        fmt::format_to(std::back_inserter(out), "{}", field.number);
        continue;
      }
      out.push_back('"');
      AppendEscaped(OneLine(field.text), &out);
      out.push_back('"');
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonFieldsFlag>();
  }
};

// The message as the body of a JSON string, so that a line stays one valid object whatever it
// quotes. It is one line of UTF-8 already.
class JsonMessageFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    AppendEscaped({message.payload.data(), message.payload.size()}, &out);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessageFlag>();
  }
};

// Of one thread: what it said last, and before that.
struct LastWords {
  std::array<char, 512> text;
  size_t size = 0;
};
thread_local std::array<LastWords, 2> last_words;

void Say(const LastWords& words) {
  if (words.size != 0) LogError("{}", std::string_view(words.text.data(), words.size));
}

// What is logged right before an abort is its reason (a CHECK of ours or of a library). Who aborts
// may hold the log's own lock: then the alarm ends the process.
void FlushBeforeAbort(int /*signal*/) {
  alarm(5);
  Say(last_words[1]);
  Say(last_words[0]);
  FlushLog(LineWriter::kPatience);
}

// Never destroyed: whatever logs while the process ends finds it.
LineWriter& Writer() {
  static LineWriter* const writer = [] {
    auto* const made = new LineWriter(STDERR_FILENO);
    std::atexit([] { FlushLog(LineWriter::kPatience); });
    std::signal(SIGABRT, FlushBeforeAbort);
    return made;
  }();
  return *writer;
}

// Formats a line on the thread that logs it and leaves the writing to the writer's.
class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    Writer().Write({line.data(), line.size()});
  }
  void flush_() override {}
};

// Made once and kept: other threads log through it while a reload changes its level or format.
spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("kvroute", std::make_shared<WriterSink>());
    spdlog::set_default_logger(made);
    return made;
  }();
  return *logger;
}

}  // namespace

absl::Status ConfigureLog(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off") {
    return absl::InvalidArgumentError(
        absl::StrCat("log.level: \"", options.level,
                     "\" is not one of trace, debug, info, warning, error, off"));
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  if (options.format == "text") {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-7l %v");
  } else if (options.format == "json") {
    formatter->add_flag<JsonMessageFlag>('*').add_flag<JsonFieldsFlag>('&').set_pattern(
        R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","thread":%t,"msg":"%*"%&})");
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("log.format: \"", options.format, "\" is not one of text, json"));
  }
  Logger().set_formatter(std::move(formatter));
  Logger().set_level(level);
  return absl::OkStatus();
}

void WriteLog(LogLevel level, fmt::string_view format, fmt::format_args args) {
  WriteLogWith(level, {}, format, args);
}

void WriteLogWith(LogLevel level, LogFields fields, fmt::string_view format,
                  fmt::format_args args) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  const spdlog::level::level_enum of = kLevels[static_cast<size_t>(level)];
  if (!Logger().should_log(of)) return;
  line_fields = &fields;
  Logger().log(of, OneLine(fmt::vformat(format, args)));
  line_fields = nullptr;
}

void LogIfAborted(std::string_view words) {
  Writer();  // whoever aborts is asked for them
  last_words[1] = last_words[0];
  last_words[0].size = words.copy(last_words[0].text.data(), last_words[0].text.size());
}

bool FlushLog(std::chrono::milliseconds patience) { return Writer().Flush(patience); }

uint64_t LogLinesDropped() { return Writer().dropped(); }

uint64_t LogLimiter::Admit(Nanos now) {
  held_.fetch_add(1, std::memory_order_relaxed);
  int64_t next = next_ns_.load(std::memory_order_relaxed);
  if (now.count() < next) return 0;
  if (!next_ns_.compare_exchange_strong(next, (now + interval_).count(),
                                        std::memory_order_relaxed)) {
    return 0;
  }
  return held_.exchange(0, std::memory_order_relaxed);
}

}  // namespace kvroute
