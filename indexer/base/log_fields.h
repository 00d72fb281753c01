#ifndef KVROUTE_INDEXER_BASE_LOG_FIELDS_H_
#define KVROUTE_INDEXER_BASE_LOG_FIELDS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "indexer/base/log.h"

namespace kvroute {

// A fact of a line that a machine may look for: in JSON a member of the line's object, beside ts,
// level, thread and msg, which are no names of fields. As text a line says it in its message.
struct LogField {
  LogField(std::string_view its_name, std::string_view value) : name(its_name), text(value) {}
  LogField(std::string_view its_name, const std::string& value) : name(its_name), text(value) {}
  LogField(std::string_view its_name, const char* value) : name(its_name), text(value) {}
  LogField(std::string_view its_name, uint64_t value)
      : name(its_name), number(value), is_number(true) {}

  std::string_view name;
  std::string_view text = {};
  uint64_t number = 0;
  bool is_number = false;
};
using LogFields = std::initializer_list<LogField>;

// As WriteLog.
void WriteLogWith(LogLevel level, LogFields fields, fmt::string_view format, fmt::format_args args);

// LogWith(LogLevel::kInfo, {{"worker", id}, {"rank", 1u}}, "stream {}/{} is exact", id, 1)
template <typename... Args>
void LogWith(LogLevel level, LogFields fields, fmt::format_string<Args...> format, Args&&... args) {
  WriteLogWith(level, fields, format, fmt::make_format_args(args...));
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_LOG_FIELDS_H_
