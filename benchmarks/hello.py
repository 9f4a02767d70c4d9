"""The floor of every request: a FastAPI application that says hello."""

from fastapi import FastAPI
from starlette.responses import PlainTextResponse

app = FastAPI()


@app.get("/")
async def hello() -> PlainTextResponse:
    """Say hello."""
    return PlainTextResponse("hello")
