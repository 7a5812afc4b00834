# Publishes a message, and prints how many subscribers the channel has: python3 publish.py [CHANNEL [MESSAGE]]
import sys
from urllib.request import Request, urlopen

channel = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8081/room/1"
message = sys.argv[2] if len(sys.argv) > 2 else "hello"
request = Request(channel, data=message.encode(), headers={"Content-Type": "text/plain"})
with urlopen(request) as answer:
    print(answer.headers["X-Subscribers"])
