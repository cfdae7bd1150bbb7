"""What a user writes who has read the seed; checked by mypy in strict mode with all else, never run."""

from agnocli import Agent as AgentToo
from agnocli.agent import Agent
from agnocli.db.mongo import MongoDb
from agnocli.db.mysql import MySQLDb
from agnocli.db.postgres import PostgresDb
from agnocli.db.redis import RedisDb
from agnocli.db.sqlite import SqliteDb
from agnocli.run import RunContent, RunContext, RunOutput
from agnocli.team import Team as TeamToo
from agnocli.team.team import Team

sqlite = SqliteDb(db_file="tmp/agents.db")
postgres = PostgresDb(
    db_url="postgresql+psycopg://user:pass@localhost:5432/mydb",
    table_name="agent_sessions",
)
redis = RedisDb(prefix="agno:", host="localhost", port=6379, db=0)
mongo = MongoDb(
    db_url="mongodb://localhost:27017",
    db_name="agno",
    collection_name="sessions",
)
mysql = MySQLDb(
    db_url="mysql+pymysql://user:pass@localhost:3306/mydb",
    table_name="agent_sessions",
)


def add_item(run_context: RunContext, item: str) -> str:
    """Add an item to the shopping list."""
    items = run_context.session_state.get("items", [])
    items.append(item)
    run_context.session_state["items"] = items
    return f"Added {item}"


agent = Agent(
    name="Persistent Agent",
    model="openai:gpt-4o",
    db=sqlite,
    tools=[add_item],
    session_state={"items": []},
    add_session_state_to_context=True,
    add_history_to_context=True,
    num_history_runs=5,
    enable_session_summaries=True,
    session_summary_num_runs=5,
)
team: Team = TeamToo(
    name="My Team",
    model="openai:gpt-4o",
    members=[agent, AgentToo(name="Agent 2", model="openai:gpt-4o", db=postgres)],
    db=sqlite,
    add_history_to_context=True,
)
everywhere = [Agent(db=db) for db in (redis, mongo, mysql)]


def main() -> str:
    agent.print_response("My name is Alice", session_id="session-1", stream=True)
    output: RunOutput = agent.run("What's my name?", session_id="session-1")
    for event in team.run("Hello!", session_id="thread-42", stream=True):
        if isinstance(event, RunContent):
            print(event.content, end="")
    summary = agent.get_session_summary("session-1")
    items: list[str] = agent.get_session_state("session-1")["items"]
    said = [message.content for message in agent.get_chat_history("session-1")]
    return " ".join([output.content, summary.summary if summary else "", *items, *said])
