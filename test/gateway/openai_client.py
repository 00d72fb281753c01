"""Conversations by OpenAI's own Python client, which knows nothing of kvroute: OPENAI_BASE_URL says where to.

Prints one line of JSON for each request: turn, api, streamed, seconds to the first token and to the end, and the usage it was told.
"""

import argparse
import json
import random
import sys
import threading
import time

import openai

WORDS = "the model answers what its cache holds of a prompt and computes the rest one token at a time until it has said enough".split()


def words(draw, count):
    return " ".join(draw.choice(WORDS) for _ in range(count))


def ask_chat(client, messages, streamed):
    """The answer's text, its usage, and the seconds to its first token."""
    begin = time.monotonic()
    if not streamed:
        answer = client.chat.completions.create(model="m", messages=messages, max_tokens=40)
        return answer.choices[0].message.content, answer.usage, None
    text, usage, first = "", None, None
    for chunk in client.chat.completions.create(model="m", messages=messages, max_tokens=40, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            if choice.delta.content:
                first = first or time.monotonic() - begin
                text += choice.delta.content
    return text, usage, first


def ask_completion(client, prompt):
    answer = client.completions.create(model="m", prompt=prompt, max_tokens=40)
    return answer.choices[0].text, answer.usage, None


def converse(number, turns, tell):
    """A conversation of one of twelve tenants, each with a long system prompt of its own; the seventh is a completion that grows."""
    draw, client = random.Random(number), openai.OpenAI(max_retries=0)
    system = words(random.Random("tenant %d" % (number % 12)), 5_000)
    messages, prompt, completes = [{"role": "system", "content": system}], system, number % 7 == 6
    for turn in range(turns):
        question, streamed, begin = words(draw, 80), draw.random() < 0.8, time.monotonic()
        messages.append({"role": "user", "content": question})
        prompt += "\n" + question
        try:
            text, usage, first = ask_completion(client, prompt) if completes else ask_chat(client, messages, streamed)
        except openai.OpenAIError as error:
            tell({"turn": turn, "error": str(error)})
            return
        messages.append({"role": "assistant", "content": text})
        prompt += text
        details = usage.prompt_tokens_details
        tell({"turn": turn, "api": "completions" if completes else "chat", "first_s": first, "whole_s": time.monotonic() - begin,
              "prompt_tokens": usage.prompt_tokens, "cached_tokens": (details.cached_tokens if details else None) or 0})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, required=True)
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=6)
    arguments = parser.parse_args()
    lock, left = threading.Lock(), list(range(arguments.conversations))

    def tell(value):
        with lock:
            print(json.dumps(value), flush=True)

    def run():
        while True:
            with lock:
                if not left:
                    return
                number = left.pop(0)
            converse(number, arguments.turns, tell)

    threads = [threading.Thread(target=run) for _ in range(arguments.at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
