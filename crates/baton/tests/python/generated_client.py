"""Uses a client that was generated from Baton's OpenAPI document, as its author would: types where there are types.

Arguments: the folder that holds the package baton_client, Baton's address, the admin token, the URL of a receiver.
"""

import sys
import time

sys.path.insert(0, sys.argv[1])

from baton_client import AuthenticatedClient
from baton_client.api.cache import get_cache
from baton_client.api.events import get_event, publish_event
from baton_client.api.executions import list_executions
from baton_client.api.handlers import create_handler, list_handlers
from baton_client.api.services import list_services, restart_cache_manager
from baton_client.api.stats import get_stats
from baton_client.models import (
    Accepted,
    EventStatus,
    Execution,
    ExecutionStatus,
    Handler,
    HandlerInput,
    HttpResponse,
    HttpTask,
    HttpTaskType,
    Liveness,
    Problem,
    Publication,
    PublicationData,
    PublicationHead,
    Restart,
)

DEADLINE_S = 20

client = AuthenticatedClient(base_url=sys.argv[2], token=sys.argv[3], raise_on_unexpected_status=True)


def asked(operation, kind, **arguments):
    """The parsed answer, after a look at its type."""
    answer = operation.sync(client=client, **arguments)
    assert isinstance(answer, kind), answer
    return answer


def main(url):
    task = HttpTask(type_=HttpTaskType.HTTP, url=url)
    handler = asked(create_handler, Handler, body=HandlerInput(name="Generated", event="clients.create", task=task, priority=7))
    assert (handler.priority, handler.live, handler.task) == (7, Liveness.NEW, task), handler
    listed = list_handlers.sync(client=client, event="clients.create").items
    assert [h.id for h in listed] == [handler.id], listed
    pending = get_cache.sync(client=client).pending
    assert [h.id for h in pending.added] == [handler.id], pending

    restart = asked(restart_cache_manager, Restart, wait=30)
    assert restart.handlers == 1 and restart.changes.added[0].name == "Generated", restart
    assert get_cache.sync(client=client).generation == restart.generation

    data = PublicationData.from_dict({"id": 4107, "name": "Northwind"})
    publication = Publication(event=PublicationHead(events_id="clients.create", object_id=4107), data=data)
    accepted = asked(publish_event, Accepted, body=publication)
    assert not accepted.duplicate, accepted
    deadline = time.monotonic() + DEADLINE_S
    while (event := get_event.sync(accepted.id, client=client)).status in (EventStatus.PENDING, EventStatus.RETRYING):
        assert time.monotonic() < deadline, event
    assert (event.status, event.object_id, event.data["name"]) == (EventStatus.DELIVERED, 4107, "Northwind"), event

    [execution] = list_executions.sync(client=client, handler_id=handler.id, status=[ExecutionStatus.SUCCESS]).items
    assert isinstance(execution, Execution) and isinstance(execution.response, HttpResponse), execution
    assert (execution.event_id, execution.generation, execution.response.status) == (accepted.id, restart.generation, 200), execution
    assert [e.id for e in event.executions] == [execution.id], event

    stats = get_stats.sync(client=client)
    assert (stats.published, stats.delivered, stats.pending) == (1, 1, 0), stats
    assert {s.name for s in list_services.sync(client=client).items} >= {"cache-manager"}

    refused = asked(create_handler, Problem, body=HandlerInput(name="", event="clients.create", task=task, priority=0))
    assert {e.field for e in refused.errors} == {"name", "priority"}, refused
    print("done")


main(sys.argv[4])
