"""What people do with Anthropic's client."""

from seen import Pieces, behind_hold, call, fields, gather, long_message


def message_shown(message):
    thoughts = [block.thinking for block in message.content if block.type == "thinking"]
    shown = {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "tools": [{"name": block.name, "input": block.input} for block in message.content if block.type == "tool_use"],
        "finish": message.stop_reason,
        "usage": fields(message.usage),
    }
    return {**shown, "thinking": "".join(thoughts)} if thoughts else shown


def message(client, task):
    answer = client.messages.create(**task["body"])
    return {**message_shown(answer), "requestId": answer._request_id}


class MessagePieces(Pieces):
    def __init__(self, stream):
        super().__init__(stream.response.headers.get("request-id"))
        self.thinking, self.tools, self.finish, self.usage, self.events = "", [], None, {}, []

    def add(self, event):
        if event.type not in self.events:
            self.events.append(event.type)
        if event.type == "message_start":
            self.usage = fields(event.message.usage)
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            self.tools.append([event.content_block.name, ""])
        if event.type == "content_block_delta":
            delta = event.delta
            if delta.type == "text_delta":
                self.said.append(delta.text)
            if delta.type == "thinking_delta":
                self.thinking += delta.thinking
            if delta.type == "input_json_delta":
                self.tools[-1][1] += delta.partial_json
        if event.type == "message_delta":
            self.finish = event.delta.stop_reason
            self.usage = {**self.usage, **fields(event.usage)}

    def shown(self):
        tools = [call(*one) for one in self.tools]
        shown = {**self.so_far(), "tools": tools, "finish": self.finish, "usage": self.usage, "events": self.events}
        return {**shown, "thinking": self.thinking} if self.thinking else shown


def message_stream(client, task):
    stream = client.messages.create(**task["body"], stream=True)
    return gather(stream, MessagePieces(stream), task)


def message_helper(client, task):
    told = ""
    with client.messages.stream(**task["body"]) as stream:
        for text in stream.text_stream:
            told += text
        answer = stream.get_final_message()
    return {**message_shown(answer), "more": {"told": told}}


def count(client, task):
    return {"more": fields(client.messages.count_tokens(**task["body"]))}


def models(client, task):
    return {"more": {"names": [model.id for model in client.models.list(limit=3)]}}


def model(client, task):
    return {"more": fields(client.models.retrieve(task["body"]["model"]))}


def too_large(client, task):
    return message(client, long_message(task))


def message_behind_hold(client, task):
    return message_shown(behind_hold(task, client.messages.create, lambda event: event.type == "content_block_delta"))


ASKS = {
    "message": message,
    "messageStream": message_stream,
    "messageHelper": message_helper,
    "count": count,
    "models": models,
    "model": model,
    "tooLarge": too_large,
    "behindHold": message_behind_hold,
}
