# mypy: ignore-errors
"""Agents as applications build them."""

from base64 import b64decode

from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.media import Image
from agno.models.openai.like import OpenAILike


def add_item(run_context, item: str) -> str:
    """Add an item to the list."""
    run_context.session_state.setdefault("items", []).append(item)
    return f"added {item}"


def weather(city: str) -> str:
    """Tell the weather of a city."""
    raise ValueError(f"no weather in {city}")


TOOLS = {"add_item": add_item, "weather": weather}


def model(base_url):
    return OpenAILike(id="test-model", base_url=base_url, max_retries=0)


def make(db_file, base_url, tools=(), **options):
    options = {"id": "assistant", "name": "assistant", **options}
    return Agent(
        model=model(base_url),
        db=SqliteDb(db_file=db_file),
        tools=[TOOLS[name] for name in tools],
        telemetry=False,
        **options,
    )


def run(
    db_file, base_url, session_id, prompts, user_id=None, run_options=None, pictures=(), **options
):
    """One run a prompt, on one agent; what each returned. Pictures, in base64, go with each prompt."""
    agent = make(db_file, base_url, **options)
    more = dict(run_options or {})
    if pictures:
        more["images"] = [Image(content=b64decode(one), mime_type="image/png") for one in pictures]
    done = []
    for prompt in prompts:
        output = agent.run(prompt, session_id=session_id, user_id=user_id, **more)
        done.append(output.to_dict())
    return done


def stream(db_file, base_url, session_id, prompt, user_id=None, **options):
    """A streamed run; the text that came."""
    events = make(db_file, base_url, **options).run(
        prompt, session_id=session_id, user_id=user_id, stream=True
    )
    return "".join(event.content or "" for event in events if event.event == "RunContent")


def session_name(db_file, session_id):
    return make(db_file, "http://127.0.0.1:1").get_session_name(session_id=session_id)
