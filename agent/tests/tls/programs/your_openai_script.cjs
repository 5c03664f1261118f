// As people write it: nothing here knows of Telltale, of the test, or of where the models are.
const OpenAI = require("openai");

async function main() {
  const client = new OpenAI();
  const answer = await client.chat.completions.create({
    model: "gpt-4.1-mini",
    messages: [{ role: "user", content: "What does the wind do?" }],
  });
  console.log(answer.choices[0].message.content);

  const stream = await client.chat.completions.create({
    model: "o4-mini",
    messages: [{ role: "user", content: "And now, slowly" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
  console.log();
}

main();
