# Subscribes to a channel by an event stream, with the standard library: python3 subscribe.py [CHANNEL]
import http.client, random, sys, time
from urllib.request import Request, urlopen

channel = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8081/room/1"
request = Request(channel, headers={"Accept": "text/event-stream"})
failures = 0
while True:
    try:
        # The server sends a comment to a quiet stream: a longer silence means that the connection is dead.
        with urlopen(request, timeout=60) as stream:
            failures, lines = 0, []
            for field in stream:
                if field.startswith(b"data: "):
                    lines.append(field[6:].decode().rstrip("\n"))
                elif field == b"\n" and lines:  # the end of an event
                    print("\n".join(lines), flush=True)
                    lines = []
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
    # Growing and random, so that the clients of a restarted server do not return together.
    time.sleep(random.random() * min(30, 2**failures))
    failures += 1
