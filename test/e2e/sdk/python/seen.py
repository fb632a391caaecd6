"""What one use of a client showed, in the words of seen.ts."""

import json


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
