#ifndef KVROUTE_TOOLS_SERVE_SERVICE_MANAGER_H_
#define KVROUTE_TOOLS_SERVE_SERVICE_MANAGER_H_

#include <string_view>

namespace kvroute {

// Tells the service manager that started this process how it is: "READY=1" once it serves,
// "STOPPING=1" once it ends (sd_notify(3): one datagram to the socket $NOTIFY_SOCKET names).
// Without one it does nothing. Returns whether it was told. Waits for nothing: a manager that does
// not read is not told.
//
// Thread safety: any thread, as long as none changes the environment.
bool TellServiceManager(std::string_view state);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_SERVE_SERVICE_MANAGER_H_
