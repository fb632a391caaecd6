"""Does what the tasks on standard input say with the official clients; writes what was seen of each, one line of JSON."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed

import anthropic
import anthropic_messages
import openai
import openai_media
import openai_responses
import openai_text
from seen import error_of

OPENAI = {**openai_text.ASKS, **openai_responses.ASKS, **openai_media.ASKS}
PARALLEL = 8


def options_of(task):
    """What a client is made with."""
    options = {"api_key": task["key"]}
    if "timeoutMs" in task:
        options["timeout"] = task["timeoutMs"] / 1000
    if "retries" in task:
        options["max_retries"] = task["retries"]
    return options


def client_of(task, sent):
    """A client as people make it, that also notes what became of each request."""

    def answered(response):
        sent[-1] = response.status_code

    hooks = {"request": [lambda request: sent.append(None)], "response": [answered]}
    options = options_of(task)
    if task["client"] == "openai":
        return openai.OpenAI(base_url=task["url"] + "/v1", http_client=openai.DefaultHttpxClient(event_hooks=hooks), **options)
    return anthropic.Anthropic(base_url=task["url"], http_client=anthropic.DefaultHttpxClient(event_hooks=hooks), **options)


def perform(task):
    sent = []
    asks = OPENAI if task["client"] == "openai" else anthropic_messages.ASKS
    try:
        with client_of(task, sent) as client:
            shown = asks[task["ask"]](client, {**task, "sent": sent})
    except Exception as error:
        shown = {"error": error_of(error)}
    return {"id": task["id"], "seen": {**shown, "sent": sent}}


if __name__ == "__main__":
    with ThreadPoolExecutor(PARALLEL) as pool:
        for done in as_completed([pool.submit(perform, json.loads(line)) for line in sys.stdin]):
            print(json.dumps(done.result()), flush=True)
