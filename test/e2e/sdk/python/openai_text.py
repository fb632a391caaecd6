"""Chat completions, and completions of old."""

from seen import Pieces, behind_hold, call, fields, gather, long_message


def completion_shown(completion):
    choice = completion.choices[0]
    message = choice.message
    shown = {
        "text": message.content or "",
        "tools": [call(one.function.name, one.function.arguments) for one in message.tool_calls or []],
        "finish": choice.finish_reason,
        "usage": fields(completion.usage),
    }
    thinking = getattr(message, "reasoning_content", None)
    return shown if thinking is None else {**shown, "thinking": thinking}


def chat(client, task):
    completion = client.chat.completions.create(**task["body"])
    return {**completion_shown(completion), "requestId": completion._request_id}


class ChatPieces(Pieces):
    def __init__(self, stream):
        super().__init__(stream.response.headers.get("x-request-id"))
        self.thinking, self.calls, self.finish, self.usage = "", {}, None, None

    def add(self, chunk):
        self.usage = fields(chunk.usage) or self.usage
        if not chunk.choices:
            return
        delta = chunk.choices[0].delta
        self.finish = chunk.choices[0].finish_reason or self.finish
        if delta.content:
            self.said.append(delta.content)
        self.thinking += getattr(delta, "reasoning_content", None) or ""
        for part in delta.tool_calls or []:
            one = self.calls.setdefault(part.index, ["", ""])
            one[0] += part.function.name or ""
            one[1] += part.function.arguments or ""

    def shown(self):
        tools = [call(*one) for one in self.calls.values()]
        shown = {**self.so_far(), "tools": tools, "finish": self.finish, "usage": self.usage}
        return {**shown, "thinking": self.thinking} if self.thinking else shown


def chat_stream(client, task):
    stream = client.chat.completions.create(**task["body"], stream=True)
    return gather(stream, ChatPieces(stream), task)


def chat_helper(client, task):
    told = ""
    with client.chat.completions.stream(**task["body"]) as stream:
        for event in stream:
            if event.type == "content.delta":
                told += event.delta
        completion = stream.get_final_completion()
    return {**completion_shown(completion), "more": {"told": told}}


def chat_parsed(client, task):
    from pydantic import BaseModel, create_model

    body = dict(task["body"])
    schema = body.pop("response_format")["json_schema"]
    model = create_model(schema["name"], __base__=BaseModel, **{name: (str, ...) for name in schema["schema"]["properties"]})
    completion = client.chat.completions.parse(**body, response_format=model)
    return {"usage": fields(completion.usage), "more": {"parsed": completion.choices[0].message.parsed.model_dump()}}


def completion(client, task):
    answer = client.completions.create(**task["body"])
    choice = answer.choices[0]
    return {"text": choice.text, "finish": choice.finish_reason, "usage": fields(answer.usage), "requestId": answer._request_id}


def completion_stream(client, task):
    shown = {"text": "", "usage": None, "finish": None}
    for chunk in client.completions.create(**task["body"], stream=True):
        shown["usage"] = fields(chunk.usage) or shown["usage"]
        for choice in chunk.choices:
            shown["text"] += choice.text
            shown["finish"] = choice.finish_reason or shown["finish"]
    return shown


def too_large(client, task):
    return chat(client, long_message(task))


def chat_behind_hold(client, task):
    is_piece = lambda chunk: bool(chunk.choices and chunk.choices[0].delta.content)
    return completion_shown(behind_hold(task, client.chat.completions.create, is_piece))


ASKS = {
    "chat": chat,
    "chatStream": chat_stream,
    "chatHelper": chat_helper,
    "chatParsed": chat_parsed,
    "completion": completion,
    "completionStream": completion_stream,
    "tooLarge": too_large,
    "behindHold": chat_behind_hold,
}
