#ifndef KVROUTE_TOOLS_ASK_SHOW_H_
#define KVROUTE_TOOLS_ASK_SHOW_H_

#include <string>

#include "kvroute/v1/fleet.pb.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {

// Answers of the API as a person reads them: tables and lines, each ending in a newline. What comes
// from outside cannot steer the terminal.
std::string ShowWorkers(const v1::ListResponse& fleet, const std::string& model);
std::string ShowRoute(const v1::RouteResponse& answer);
std::string ShowScores(const v1::ScoreResponse& answer);
std::string ShowExplanation(const v1::ExplainResponse& answer);

// One object, in protobuf's JSON with the names of the .proto file; 64-bit numbers are strings.
std::string ShowJson(const google::protobuf::Message& message);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ASK_SHOW_H_
