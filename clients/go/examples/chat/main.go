// Chat routes a chat completion: token ids by an engine's /tokenize, a target by Route, the request to the address that was
// chosen, then Complete.
//
//	go run ./examples/chat -kvroute 127.0.0.1:50051 -engine http://127.0.0.1:8000 -model m "Hello" "and again"
//
// Each argument is a turn of one conversation. It prints a line of JSON for each.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	kvroute "kvroute.io/clients/go"
	"kvroute.io/clients/go/kvroutev1"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type completion struct {
	Choices []struct {
		Message message `json:"message"`
	} `json:"choices"`
	Usage struct {
		PromptTokens     uint64 `json:"prompt_tokens"`
		CompletionTokens uint64 `json:"completion_tokens"`
		Details          *struct {
			CachedTokens uint64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

func post(url string, body, reply any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := http.Post(url, "application/json", bytes.NewReader(sent))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, response.Status, text)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, reply)
}

// turn asks one turn of a conversation and gives the answer's message.
func turn(ctx context.Context, client *kvroute.Client, engine, model string, messages []message) (message, error) {
	body := map[string]any{"model": model, "messages": messages}
	var tokenized struct {
		Tokens []uint32 `json:"tokens"`
	}
	if err := post(engine+"/tokenize", body, &tokenized); err != nil {
		return message{}, err
	}
	routed, err := client.Route(ctx, &kvroutev1.RouteRequest{
		Model: model, Prompt: &kvroutev1.Prompt{TokenIds: tokenized.Tokens}})
	if err != nil {
		return message{}, err
	}
	var usage kvroute.Usage
	defer func() { _ = routed.End(ctx, usage) }() // however it ends
	var answer completion
	if err := post(routed.GetChosen().GetAddress()+"/v1/chat/completions", body, &answer); err != nil {
		return message{}, err
	}
	usage.PromptTokens, usage.OutputTokens = &answer.Usage.PromptTokens, &answer.Usage.CompletionTokens
	if answer.Usage.Details != nil {
		usage.CachedTokens = &answer.Usage.Details.CachedTokens
	}
	if len(answer.Choices) == 0 {
		return message{}, fmt.Errorf("no choice in the answer")
	}
	said := answer.Choices[0].Message
	return said, json.NewEncoder(os.Stdout).Encode(map[string]any{
		"worker": routed.GetChosen().GetTarget().GetWorkerId(), "matched_tokens": routed.GetChosen().GetMatchedTokens(),
		"cached_tokens": usage.CachedTokens, "reason": routed.GetReason(), "answer": said.Content})
}

func main() {
	server := flag.String("kvroute", "127.0.0.1:50051", "kvroute's gRPC address")
	engine := flag.String("engine", "http://127.0.0.1:8000", "whose /tokenize is asked")
	model := flag.String("model", "m", "the model")
	flag.Parse()
	client, err := kvroute.Dial(*server)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	var messages []message
	for _, text := range flag.Args() {
		messages = append(messages, message{"user", text})
		answer, err := turn(context.Background(), client, *engine, *model, messages)
		if err != nil {
			reason, metadata := kvroute.ReasonOf(err)
			log.Fatal(err, " ", reason, " ", metadata)
		}
		messages = append(messages, answer)
	}
}
