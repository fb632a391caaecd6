"""What people do with Anthropic's client."""

from seen import behind_hold, call, error_of, fields, long_message


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


def message_stream(client, task):
    stream = client.messages.create(**task["body"], stream=True)
    request_id = stream.response.headers.get("request-id")
    said, thinking, tools, finish, usage, events = [], "", [], None, {}, []
    try:
        for event in stream:
            if event.type not in events:
                events.append(event.type)
            if event.type == "message_start":
                usage = fields(event.message.usage)
            if event.type == "content_block_start" and event.content_block.type == "tool_use":
                tools.append([event.content_block.name, ""])
            if event.type == "content_block_delta":
                delta = event.delta
                if delta.type == "text_delta":
                    said.append(delta.text)
                if delta.type == "thinking_delta":
                    thinking += delta.thinking
                if delta.type == "input_json_delta":
                    tools[-1][1] += delta.partial_json
            if event.type == "message_delta":
                finish = event.delta.stop_reason
                usage = {**usage, **fields(event.usage)}
            if len(said) == task.get("leaveAfter"):
                stream.close()
                return {"text": "".join(said), "pieces": len(said), "requestId": request_id}
    except Exception as error:
        return {"text": "".join(said), "pieces": len(said), "requestId": request_id, "error": error_of(error)}
    shown = {
        "text": "".join(said),
        "pieces": len(said),
        "tools": [call(*one) for one in tools],
        "finish": finish,
        "usage": usage,
        "events": events,
        "requestId": request_id,
    }
    return {**shown, "thinking": thinking} if thinking else shown


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
