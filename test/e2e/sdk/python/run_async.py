"""Does what run.py does with the clients for asyncio, all tasks in one event loop."""

import asyncio
import json
import sys

import anthropic
import asynchronous
import openai
from run import options_of
from seen import error_of

PARALLEL = 8


def client_of(task, sent):
    async def asked(request):
        sent.append(None)

    async def answered(response):
        sent[-1] = response.status_code

    hooks = {"request": [asked], "response": [answered]}
    if task["client"] == "openai":
        http = openai.DefaultAsyncHttpxClient(event_hooks=hooks)
        return openai.AsyncOpenAI(base_url=task["url"] + "/v1", http_client=http, **options_of(task))
    http = anthropic.DefaultAsyncHttpxClient(event_hooks=hooks)
    return anthropic.AsyncAnthropic(base_url=task["url"], http_client=http, **options_of(task))


async def perform(task, turn):
    sent = []
    async with turn:
        try:
            async with client_of(task, sent) as client:
                shown = await asynchronous.ASKS[task["ask"]](client, task)
        except Exception as error:
            shown = {"error": error_of(error)}
    print(json.dumps({"id": task["id"], "seen": {**shown, "sent": sent}}), flush=True)


async def main():
    turn = asyncio.Semaphore(PARALLEL)
    await asyncio.gather(*[perform(json.loads(line), turn) for line in sys.stdin])


asyncio.run(main())
