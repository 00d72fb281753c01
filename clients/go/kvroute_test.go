package kvroute

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvroute.io/clients/go/kvroutev1"
)

// The server that clients/check has started, with engines of a model "m".
func dial(t *testing.T) (*Client, context.Context) {
	address := os.Getenv("KVROUTE_ADDRESS")
	if address == "" {
		t.Skip("KVROUTE_ADDRESS: no server")
	}
	client, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() { cancel(); client.Close() })
	return client, ctx
}

func prompt() *kvroutev1.Prompt { return &kvroutev1.Prompt{TokenIds: []uint32{1, 2, 3, 4}} }

func TestARequestIsRoutedOnceHoweverOftenItIsAsked(t *testing.T) {
	client, ctx := dial(t)
	routed, err := client.Route(ctx, &kvroutev1.RouteRequest{Model: "m", Prompt: prompt()})
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.Route(ctx, &kvroutev1.RouteRequest{Model: "m", Prompt: prompt(), RequestId: routed.GetRequestId()})
	if err != nil || !again.GetIsRepeat() || again.GetChosen().GetAddress() != routed.GetChosen().GetAddress() {
		t.Fatalf("%v, %v", again, err)
	}
	for _, tell := range []func(context.Context) error{routed.Prefilled, routed.Running} {
		if err := tell(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cached := uint64(0)
	if err := routed.End(ctx, Usage{CachedTokens: &cached}); err != nil {
		t.Fatal(err)
	}
	if err := routed.End(ctx, Usage{}); err != nil {
		t.Fatal("ending twice:", err)
	}
}

func TestARefusalHasItsReason(t *testing.T) {
	client, ctx := dial(t)
	_, err := client.Route(ctx, &kvroutev1.RouteRequest{Model: "M", Prompt: prompt()})
	if status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	reason, metadata := ReasonOf(err)
	if reason != "UNKNOWN_MODEL" || metadata["model"] != "M" {
		t.Fatal(reason, metadata)
	}
}

func TestAnErrorOfSomebodyElseHasNone(t *testing.T) {
	for _, err := range []error{errors.New("x"), status.Error(codes.Internal, "y"), nil} {
		if reason, metadata := ReasonOf(err); reason != "" || metadata != nil {
			t.Fatal(reason, metadata)
		}
	}
}

func TestIdsDiffer(t *testing.T) {
	if newRequestID() == newRequestID() {
		t.Fatal("the same twice")
	}
}
