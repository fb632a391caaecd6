"""The same with the clients for asyncio, as far as they differ: whole answers and streams."""

from anthropic_messages import MessagePieces, message_shown
from openai_responses import ResponsePieces, response_shown
from openai_text import ChatPieces, completion_shown
from seen import gather_async


async def chat(client, task):
    completion = await client.chat.completions.create(**task["body"])
    return {**completion_shown(completion), "requestId": completion._request_id}


async def chat_stream(client, task):
    stream = await client.chat.completions.create(**task["body"], stream=True)
    return await gather_async(stream, ChatPieces(stream), task)


async def response(client, task):
    answer = await client.responses.create(**task["body"])
    return {**response_shown(answer), "requestId": answer._request_id}


async def response_stream(client, task):
    stream = await client.responses.create(**task["body"], stream=True)
    return await gather_async(stream, ResponsePieces(stream), task)


async def message(client, task):
    answer = await client.messages.create(**task["body"])
    return {**message_shown(answer), "requestId": answer._request_id}


async def message_stream(client, task):
    stream = await client.messages.create(**task["body"], stream=True)
    return await gather_async(stream, MessagePieces(stream), task)


async def message_helper(client, task):
    told = ""
    async with client.messages.stream(**task["body"]) as stream:
        async for text in stream.text_stream:
            told += text
        answer = await stream.get_final_message()
    return {**message_shown(answer), "more": {"told": told}}


ASKS = {
    "chat": chat,
    "chatStream": chat_stream,
    "response": response,
    "responseStream": response_stream,
    "message": message,
    "messageStream": message_stream,
    "messageHelper": message_helper,
}
