// Package kvroute asks a kvroute server where a request should go, and tells it what became of it.
//
// What is generated from proto/ is in kvroutev1; this package adds what every gateway needs besides: a
// connection whose calls are tried again where that mends something, a request with its end, and the
// reason of a refusal.
package kvroute

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"kvroute.io/clients/go/internal/rpc"
	"kvroute.io/clients/go/kvroutev1"
)

// Version is that of the kvroute this client was made with.
const Version = "0.1.0"

// Every call may be asked again: Route is answered with the same target by its request id, and the others change
// nothing or the same. UNAVAILABLE alone is what a retry can mend.
const serviceConfig = `{"methodConfig": [{"name": [{"service": "kvroute.v1.Router"}, {"service": "kvroute.v1.Fleet"}],
  "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
                  "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// Client is a connection to a kvroute server. It may be used by many goroutines at once.
type Client struct {
	Router kvroutev1.RouterClient
	Fleet  kvroutev1.FleetClient
	conn   *grpc.ClientConn
}

// Dial makes a client of the server at address, "host:port". Without options it speaks in plain text, which a server
// accepts on loopback; give grpc.WithTransportCredentials for any other.
func Dial(address string, options ...grpc.DialOption) (*Client, error) {
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	options = append([]grpc.DialOption{grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithUserAgent("kvroute-go/" + Version)}, options...)
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, err
	}
	return &Client{kvroutev1.NewRouterClient(conn), kvroutev1.NewFleetClient(conn), conn}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Routed is a request that has a target, and counts as load there until End.
type Routed struct {
	*kvroutev1.RouteResponse
	client *Client
}

// Route asks where a request should go. A request without an id is given one, so that asking again is harmless.
func (c *Client) Route(ctx context.Context, request *kvroutev1.RouteRequest) (*Routed, error) {
	if request.GetRequestId() == "" {
		request = proto.Clone(request).(*kvroutev1.RouteRequest)
		request.RequestId = newRequestID()
	}
	response, err := c.Router.Route(ctx, request)
	if err != nil {
		return nil, err
	}
	return &Routed{response, c}, nil
}

// Prefilled tells that the first token is out.
func (r *Routed) Prefilled(ctx context.Context) error {
	return r.complete(ctx, &kvroutev1.CompleteRequest{Progress: kvroutev1.CompleteRequest_PROGRESS_PREFILLED})
}

// Running tells that the request is still under way: its lease gets its whole time limit anew.
func (r *Routed) Running(ctx context.Context) error {
	return r.complete(ctx, &kvroutev1.CompleteRequest{Progress: kvroutev1.CompleteRequest_PROGRESS_RUNNING})
}

// Usage is what the engine says of a request that it served; nil where it does not say it.
type Usage struct {
	PromptTokens, CachedTokens, OutputTokens *uint64
}

// End tells that the request has finished, failed or was cancelled. Ending twice is harmless.
func (r *Routed) End(ctx context.Context, usage Usage) error {
	request := &kvroutev1.CompleteRequest{Progress: kvroutev1.CompleteRequest_PROGRESS_ENDED}
	if usage.PromptTokens != nil {
		request.PromptTokensOrUnset = &kvroutev1.CompleteRequest_PromptTokens{PromptTokens: *usage.PromptTokens}
	}
	if usage.CachedTokens != nil {
		request.CachedTokensOrUnset = &kvroutev1.CompleteRequest_CachedTokens{CachedTokens: *usage.CachedTokens}
	}
	if usage.OutputTokens != nil {
		request.OutputTokensOrUnset = &kvroutev1.CompleteRequest_OutputTokens{OutputTokens: *usage.OutputTokens}
	}
	return r.complete(ctx, request)
}

func (r *Routed) complete(ctx context.Context, request *kvroutev1.CompleteRequest) error {
	request.RequestId = r.GetRequestId()
	_, err := r.client.Router.Complete(ctx, request)
	return err
}

// ReasonOf gives the reason of a refusal, e.g. "UNKNOWN_MODEL", and what belongs to it; "" where there is none.
// docs/api.md lists the reasons.
func ReasonOf(err error) (reason string, metadata map[string]string) {
	said, ok := status.FromError(err)
	if !ok {
		return "", nil
	}
	for _, detail := range said.Proto().GetDetails() {
		info := &rpc.ErrorInfo{}
		if !strings.HasSuffix(detail.GetTypeUrl(), "/google.rpc.ErrorInfo") || proto.Unmarshal(detail.GetValue(), info) != nil {
			continue
		}
		return info.GetReason(), info.GetMetadata()
	}
	return "", nil
}

func newRequestID() string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err) // the system has no random numbers
	}
	return "go-" + hex.EncodeToString(bytes[:])
}
