// Routes a chat completion: token ids by an engine's /tokenize, a target by Route, the request to the address that was chosen, then Complete.
//
//     node dist/examples/chat.js --kvroute 127.0.0.1:50051 --engine http://127.0.0.1:8000 --model m "Hello" "and again"
//
// Each argument is a turn of one conversation. It prints a line of JSON for each.

import { parseArgs } from "node:util";
import { Client, reasonOf, type Usage } from "../index.js";

interface Message {
  role: string;
  content: string;
}
interface Completion {
  choices: { message: Message }[];
  usage: Usage;
}

async function post<Reply>(url: string, body: unknown): Promise<Reply> {
  const reply = await fetch(url, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  if (!reply.ok) throw new Error(`${url} answers ${reply.status}: ${await reply.text()}`);
  return await reply.json() as Reply;
}

// Asks one turn of a conversation and gives the answer's message.
async function turn(client: Client, engine: string, model: string, messages: Message[]): Promise<Message> {
  const body = { model, messages };
  const { tokens } = await post<{ tokens: number[] }>(`${engine}/tokenize`, body);
  const routed = await client.route({ model, prompt: { tokenIds: tokens } });
  let usage: Usage = {};
  try {
    const answer = await post<Completion>(`${routed.address}/v1/chat/completions`, body);
    usage = answer.usage;
    const { role, content } = answer.choices[0].message;
    console.log(JSON.stringify({
      worker: routed.response.chosen?.target?.workerId,
      matched_tokens: Number(routed.response.chosen?.matchedTokens),
      cached_tokens: usage.prompt_tokens_details?.cached_tokens,
      reason: routed.response.reason,
      answer: content,
    }));
    return { role, content };
  } finally {
    await routed.end(usage); // however it ends
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kvroute: { type: "string", default: "127.0.0.1:50051" },
    engine: { type: "string", default: "http://127.0.0.1:8000" },
    model: { type: "string", default: "m" },
  },
});
const client = new Client(values.kvroute);
const messages: Message[] = [];
try {
  for (const content of positionals) {
    messages.push({ role: "user", content });
    messages.push(await turn(client, values.engine, values.model, messages));
  }
} catch (error) {
  console.error(String(error), reasonOf(error));
  process.exitCode = 1;
} finally {
  client.close();
}
