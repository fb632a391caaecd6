"""What one use of a client showed, in the words of seen.ts."""

import json
import time
from concurrent.futures import ThreadPoolExecutor


def fields(value):
    """A model of the client as the client shows it: a dict."""
    return None if value is None else value.model_dump(mode="json", exclude_unset=True)


def error_of(error):
    """The exception as its fields show it."""
    response = getattr(error, "response", None)
    text = lambda name: value if isinstance(value := getattr(error, name, None), str) else None
    return {
        "class": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "code": text("code") or text("error_code"),
        "type": text("type"),
        "param": text("param"),
        "message": str(error),
        "requestId": text("request_id"),
        "retryAfter": response.headers.get("retry-after") if response is not None else None,
    }


def call(name, arguments):
    return {"name": name, "input": json.loads(arguments)}


def gather(stream, got, task):
    """Adds what a stream brings to `got`, to its end or as long as the task likes."""
    try:
        for event in stream:
            got.add(event)
            if len(got.said) == task.get("leaveAfter"):
                stream.close()
                return got.so_far()
    except Exception as error:
        return {**got.so_far(), "error": error_of(error)}
    return got.shown()


async def gather_async(stream, got, task):
    """The same with a stream of an asynchronous client."""
    try:
        async for event in stream:
            got.add(event)
            if len(got.said) == task.get("leaveAfter"):
                await stream.close()
                return got.so_far()
    except Exception as error:
        return {**got.so_far(), "error": error_of(error)}
    return got.shown()


class Pieces:
    """What came of a stream."""

    def __init__(self, request_id):
        self.request_id = request_id
        self.said = []

    def so_far(self):
        return {"text": "".join(self.said), "pieces": len(self.said), "requestId": self.request_id}


def long_message(task):
    """The task with a message of so many characters."""
    body = dict(task["body"])
    content = "x" * body.pop("characters")
    return {**task, "body": {**body, "max_tokens": 900, "messages": [{"role": "user", "content": content}]}}


def behind_hold(task, create, is_piece):
    """Asks again while the first answer, of which five pieces came, is still open; leaves that when the second is refused."""
    stream = create(**task["body"]["first"], stream=True)
    pieces = 0
    for event in stream:
        pieces += is_piece(event)
        if pieces == 5:
            break
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(create, **task["body"]["second"])
        while not second.done() and 429 not in task["sent"]:
            time.sleep(0.01)
        stream.close()
        return second.result()
