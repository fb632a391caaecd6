"""The Responses API."""

import json

from openai import APIStatusError
from seen import Pieces, call, fields, gather


def response_shown(response):
    thoughts = [part.text for item in response.output if item.type == "reasoning" for part in item.summary]
    shown = {
        "text": response.output_text,
        "tools": [call(item.name, item.arguments) for item in response.output if item.type == "function_call"],
        "finish": response.status,
        "usage": fields(response.usage),
    }
    return {**shown, "thinking": "".join(thoughts)} if thoughts else shown


def response(client, task):
    answer = client.responses.create(**task["body"])
    return {**response_shown(answer), "requestId": answer._request_id}


class ResponsePieces(Pieces):
    def __init__(self, stream):
        super().__init__(stream.response.headers.get("x-request-id"))
        self.events, self.inputs, self.ended = [], {}, None

    def add(self, event):
        if event.type not in self.events:
            self.events.append(event.type)
        if event.type == "response.output_text.delta":
            self.said.append(event.delta)
        if event.type == "response.function_call_arguments.delta":
            self.inputs[event.output_index] = self.inputs.get(event.output_index, "") + event.delta
        if event.type in ("response.completed", "response.incomplete"):
            self.ended = event.response

    def shown(self):
        shown = {**self.so_far(), "events": self.events}
        if self.ended is None:
            return shown
        inputs = [json.loads(text) for text in self.inputs.values()]
        return {**response_shown(self.ended), **shown, "more": {"inputs": inputs}}


def response_stream(client, task):
    stream = client.responses.create(**task["body"], stream=True)
    return gather(stream, ResponsePieces(stream), task)


def response_helper(client, task):
    told = ""
    with client.responses.stream(**task["body"]) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                told += event.delta
        answer = stream.get_final_response()
    return {**response_shown(answer), "more": {"told": told}}


def response_kept(client, task):
    made = client.responses.create(**task["body"])
    again = client.responses.retrieve(made.id)
    following = client.responses.create(**task["body"], previous_response_id=made.id)
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
        gone = None
    except APIStatusError as error:
        gone = error.status_code
    more = {"same": again.id == made.id, "previous": following.previous_response_id == made.id, "gone": gone}
    return {"text": again.output_text, "more": more}


ASKS = {
    "response": response,
    "responseStream": response_stream,
    "responseHelper": response_helper,
    "responseKept": response_kept,
}
