# As people write it: nothing here knows of Telltale, of the test, or of where the models are.
from openai import OpenAI

client = OpenAI()
answer = client.chat.completions.create(
    model="gpt-4.1-mini",
    messages=[{"role": "user", "content": "What does the wind do?"}],
)
print(answer.choices[0].message.content)

stream = client.chat.completions.create(
    model="o4-mini",
    messages=[{"role": "user", "content": "And now, slowly"}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="")
print()
