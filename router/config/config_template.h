#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_TEMPLATE_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_TEMPLATE_H_

#include <string>

namespace kvroute {

// A configuration file with every field at its default, commented out below what it means, may hold
// and which variable it has: "#listen: ...". As it is it changes nothing; without the '#' that
// stands right before a name it still says the defaults.
std::string ConfigTemplate();

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_TEMPLATE_H_
