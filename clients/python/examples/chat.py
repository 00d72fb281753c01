"""Routes a chat completion: token ids by an engine's /tokenize, a target by Route, the request to the address that was chosen, then
Complete.

    python3 examples/chat.py --kvroute 127.0.0.1:50051 --engine http://127.0.0.1:8000 --model m "Hello" "and again"

Each argument is a turn of one conversation. It prints a line of JSON for each.
"""

import argparse
import json
import sys
import urllib.request

import grpc

import kvroute


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def turn(client, engine, model, messages):
    """Asks one turn of a conversation and gives the answer's message."""
    body = {"model": model, "messages": messages}
    tokens = post(engine + "/tokenize", body)["tokens"]
    with client.route(model, tokens) as routed:
        answer = post(routed.address + "/v1/chat/completions", body)
        routed.served(answer["usage"])
    said = answer["choices"][0]["message"]
    cached = (answer["usage"].get("prompt_tokens_details") or {}).get("cached_tokens")
    chosen = routed.response.chosen
    print(json.dumps({"worker": chosen.target.worker_id, "matched_tokens": chosen.matched_tokens, "cached_tokens": cached,
                      "reason": routed.response.reason, "answer": said["content"]}), flush=True)
    return {"role": said["role"], "content": said["content"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvroute", default="127.0.0.1:50051")
    parser.add_argument("--engine", default="http://127.0.0.1:8000", help="whose /tokenize is asked")
    parser.add_argument("--model", default="m")
    parser.add_argument("turns", nargs="+")
    words = parser.parse_args()
    messages = []
    with kvroute.Client(words.kvroute) as client:
        for text in words.turns:
            messages.append({"role": "user", "content": text})
            try:
                messages.append(turn(client, words.engine, words.model, messages))
            except grpc.RpcError as error:
                sys.exit("%s: %s %s %s" % (error.code().name, error.details(), *kvroute.reason_of(error)))


if __name__ == "__main__":
    main()
