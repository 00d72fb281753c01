// Asks a kvroute server where a request should go, and tells it what became of it.
//
// What is generated from proto/ is in generated/; this adds what every gateway needs besides: a connection whose calls are tried again where
// that mends something, a request with its end, and the reason of a refusal.

import { randomUUID } from "node:crypto";
import { type ChannelCredentials, type ClientOptions, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { FleetClient } from "./generated/kvroute/v1/fleet.js";
import {
  CompleteRequest,
  CompleteRequest_Progress as Progress,
  type CompleteResponse,
  type DeepPartial,
  RouteRequest,
  type RouteResponse,
  RouterClient,
} from "./generated/kvroute/v1/router.js";
import { ErrorInfo, Status } from "./generated/kvroute/rpc/error.js";

/** The messages and stubs, as they are generated. */
export * as fleetApi from "./generated/kvroute/v1/fleet.js";
export * as routerApi from "./generated/kvroute/v1/router.js";

export const version = "0.1.0";

// Every call may be asked again: Route is answered with the same target by its request id, and the others change nothing or the same. UNAVAILABLE
// alone is what a retry can mend.
const serviceConfig = JSON.stringify({
  methodConfig: [{
    name: [{ service: "kvroute.v1.Router" }, { service: "kvroute.v1.Fleet" }],
    retryPolicy: {
      maxAttempts: 4,
      initialBackoff: "0.05s",
      maxBackoff: "1s",
      backoffMultiplier: 2,
      retryableStatusCodes: ["UNAVAILABLE"],
    },
  }],
});

/** What an engine says of a request: `usage` of an OpenAI answer. */
export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
}

/** A connection to kvroute. Without credentials it speaks in plain text, which a server accepts on loopback. */
export class Client {
  readonly router: RouterClient;
  readonly fleet: FleetClient;

  constructor(address: string, channel?: ChannelCredentials, private readonly timeoutMs = 10_000) {
    const options: ClientOptions = { "grpc.service_config": serviceConfig, "grpc.enable_retries": 1 };
    this.router = new RouterClient(address, channel ?? credentials.createInsecure(), options);
    this.fleet = new FleetClient(address, channel ?? credentials.createInsecure(), options);
  }

  close(): void {
    this.router.close();
    this.fleet.close();
  }

  /** Where a request should go. One without an id is given one, so that asking again is harmless. Call `end` however it ends. */
  async route(request: DeepPartial<RouteRequest>): Promise<Routed> {
    const message = RouteRequest.fromPartial({ ...request, requestId: request.requestId || `ts-${randomUUID()}` });
    const response = await new Promise<RouteResponse>((resolve, reject) => {
      this.router.route(message, new Metadata(), this.deadline(), (error, answer) => error ? reject(error) : resolve(answer));
    });
    return new Routed(this, response);
  }

  /** False: there is no such lease any more. */
  async complete(request: DeepPartial<CompleteRequest>): Promise<boolean> {
    const message = CompleteRequest.fromPartial(request);
    const response = await new Promise<CompleteResponse>((resolve, reject) => {
      this.router.complete(message, new Metadata(), this.deadline(), (error, answer) => error ? reject(error) : resolve(answer));
    });
    return response.known;
  }

  private deadline() {
    return { deadline: Date.now() + this.timeoutMs };
  }
}

/** A request that has a target, and counts as load there until its end. */
export class Routed {
  constructor(private readonly client: Client, readonly response: RouteResponse) {}

  get address(): string {
    return this.response.chosen?.address ?? "";
  }

  /** The first token is out. */
  prefilled(): Promise<boolean> {
    return this.tell(Progress.PROGRESS_PREFILLED);
  }

  /** The request is still under way: its lease gets its whole time limit anew. */
  running(): Promise<boolean> {
    return this.tell(Progress.PROGRESS_RUNNING);
  }

  /** Finished, failed or cancelled. Twice is harmless. */
  end(usage: Usage = {}): Promise<boolean> {
    const count = (tokens?: number) => tokens === undefined ? undefined : BigInt(tokens);
    return this.tell(Progress.PROGRESS_ENDED, {
      promptTokens: count(usage.prompt_tokens),
      cachedTokens: count(usage.prompt_tokens_details?.cached_tokens),
      outputTokens: count(usage.completion_tokens),
    });
  }

  private tell(progress: Progress, usage: DeepPartial<CompleteRequest> = {}): Promise<boolean> {
    return this.client.complete({ ...usage, requestId: this.response.requestId, progress });
  }
}

/** The reason of a refusal, e.g. "UNKNOWN_MODEL", and what belongs to it; "" where there is none. docs/api.md lists the reasons. */
export function reasonOf(error: unknown): { reason: string; metadata: Record<string, string> } {
  const trailers = (error as Partial<ServiceError> | undefined)?.metadata;
  for (const bytes of trailers?.get("grpc-status-details-bin") ?? []) {
    for (const detail of Status.decode(bytes as Buffer).details) {
      if (!detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) continue;
      const info = ErrorInfo.decode(detail.value);
      return { reason: info.reason, metadata: info.metadata };
    }
  }
  return { reason: "", metadata: {} };
}
