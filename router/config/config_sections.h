#ifndef KVROUTE_ROUTER_CONFIG_CONFIG_SECTIONS_H_
#define KVROUTE_ROUTER_CONFIG_CONFIG_SECTIONS_H_

#include "router/config/field_visitor.h"
#include "router/config/serve_config.h"

// The sections of a ServeConfig that have files of their own: each shows a visitor every field of
// its section, with its limits. VisitFields puts all of them together.
namespace kvroute {

void VisitGrpc(FieldVisitor* v, GrpcConfig* grpc);
void VisitPicker(FieldVisitor* v, PickerConfig* picker);
void VisitHttp(FieldVisitor* v, HttpConfig* http);
void VisitHttpJson(FieldVisitor* v, HttpJsonConfig* http);
void VisitRights(FieldVisitor* v, RightsOptions* rights);
void VisitRegistration(FieldVisitor* v, RegistrationConfig* registration);
void VisitPrompts(FieldVisitor* v, PromptsConfig* prompts);
void VisitDiscovery(FieldVisitor* v, DiscoveryConfig* discovery);
void VisitScrape(FieldVisitor* v, ScrapeConfig* scrape);
void VisitListener(FieldVisitor* v, ListenerFields* fields);
void VisitWorker(FieldVisitor* v, WorkerConfig* worker);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_CONFIG_SECTIONS_H_
