#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_FLOOR_PICKER_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_FLOOR_PICKER_H_

#include <memory>
#include <string>
#include <vector>

namespace kvroute {

// The least that an endpoint picker can do: it speaks the protocol in full duplex and no more.
// Requests go to the endpoints in turn, at their headers; bodies go back as they come, unread. On
// gRPC's asynchronous interface with one thread, and with kvroute's own reading and writing of the
// bytes: the same messages by protobuf's generated classes would cost it more.
//
// Thread safety: one thread. Errors: whatever fails ends the process.
class FloorPicker {
 public:
  explicit FloorPicker(const std::vector<std::string>& endpoints);
  ~FloorPicker();  // not orderly: its process ends

  int port() const;

 private:
  struct Shared;
  class Stream;
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_FLOOR_PICKER_H_
