#ifndef KVROUTE_TEST_API_API_SURFACE_H_
#define KVROUTE_TEST_API_API_SURFACE_H_

#include <google/protobuf/descriptor.h>

#include <set>
#include <string>
#include <vector>

namespace kvroute {

// All that a client may rely on, one line each: packages and what languages call them, messages,
// fields with number, name, type and oneof, enum values, methods. What is written today may be told
// from what was recorded before by comparing lines: one that is missing breaks somebody, be it
// bytes on the wire, JSON or the client's source. A new line breaks nobody.
using ApiSurface = std::set<std::string>;

ApiSurface SurfaceOf(const std::vector<const google::protobuf::FileDescriptor*>& files);

// One line each, sorted; lines that begin with # are passed over.
ApiSurface ReadSurface(const std::string& path);
// Writes `surface` as ReadSurface reads it. False: it cannot be written.
bool WriteSurface(const std::string& path, const ApiSurface& surface);

// The lines of `recorded` that are not in `now`.
std::vector<std::string> BrokenPromises(const ApiSurface& recorded, const ApiSurface& now);

}  // namespace kvroute

#endif  // KVROUTE_TEST_API_API_SURFACE_H_
