"""Everything of OpenAI's that is not an answer in words."""

import base64
import math

from seen import fields


def sound(body):
    return {**body, "file": ("toll.wav", base64.b64decode(body["file"]), "audio/wav")}


def head(picture):
    return base64.b64decode(picture)[1:4].decode("latin1")


def embeddings(client, task):
    answer = client.embeddings.create(**task["body"])
    vectors = [one.embedding for one in answer.data]
    more = {
        "count": len(vectors),
        "dimensions": len(vectors[0]),
        "first": [vector[:3] for vector in vectors],
        "length": math.hypot(*vectors[0]),
    }
    return {"usage": fields(answer.usage), "more": more}


def models(client, task):
    return {"more": {"names": [model.id for model in client.models.list()]}}


def model(client, task):
    return {"more": fields(client.models.retrieve(task["body"]["model"]))}


def moderation(client, task):
    results = client.moderations.create(**task["body"]).results
    return {"more": {"flagged": [one.flagged for one in results], "hate": [one.categories.hate for one in results]}}


def image(client, task):
    return {"more": {"heads": [head(one.b64_json) for one in client.images.generate(**task["body"]).data]}}


def image_stream(client, task):
    heads, events = [], []
    for event in client.images.generate(**task["body"], stream=True):
        heads.append(head(event.b64_json))
        if event.type not in events:
            events.append(event.type)
    return {"events": events, "more": {"heads": heads}}


def image_edit(client, task):
    body = {**task["body"], "image": ("toll.png", base64.b64decode(task["body"]["image"]), "image/png")}
    return {"more": {"heads": [head(one.b64_json) for one in client.images.edit(**body).data]}}


def rerank(client, task):
    """No client has it; theirs can be used for any path."""
    answer = client.post("/rerank", body=task["body"], cast_to=object)
    return {"usage": answer["usage"], "more": {"order": [one["index"] for one in answer["results"]]}}


def speech(client, task):
    with client.audio.speech.with_streaming_response.create(**task["body"]) as answer:
        content = b"".join(answer.iter_bytes())
        kind = answer.headers.get("content-type")
    return {"more": {"type": kind, "head": content[:4].decode("latin1"), "bytes": len(content)}}


def transcription(client, task):
    answer = client.audio.transcriptions.create(**sound(task["body"]))
    return {"text": answer.text, "usage": fields(answer.usage)}


def transcription_stream(client, task):
    told, text, usage = "", "", None
    for event in client.audio.transcriptions.create(**sound(task["body"]), stream=True):
        if event.type == "transcript.text.delta":
            told += event.delta
        if event.type == "transcript.text.done":
            text, usage = event.text, fields(event.usage)
    return {"text": text, "usage": usage, "more": {"told": told}}


def translation(client, task):
    return {"text": client.audio.translations.create(**sound(task["body"])).text}


ASKS = {
    "embeddings": embeddings,
    "models": models,
    "model": model,
    "moderation": moderation,
    "image": image,
    "imageStream": image_stream,
    "imageEdit": image_edit,
    "rerank": rerank,
    "speech": speech,
    "transcription": transcription,
    "transcriptionStream": transcription_stream,
    "translation": translation,
}
