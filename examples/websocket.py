# Subscribes to a channel, prints what it receives, and publishes messages: python3 websocket.py [CHANNEL [MESSAGE...]]
# It needs the package: pip install websockets, or apt-get install python3-websockets
import asyncio, random, sys
import websockets

channel = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8081/room/1"
messages = sys.argv[2:]


async def main():
    # Connects again, after growing and random delays where the server does not answer.
    async for socket in websockets.connect("ws" + channel.removeprefix("http")):
        try:
            while messages:
                await socket.send(messages.pop(0))
            async for message in socket:
                print(message, flush=True)
        except websockets.ConnectionClosedError as error:
            print(error, file=sys.stderr)
        # Random, so that the clients of a restarted server do not return together.
        await asyncio.sleep(random.random())


asyncio.run(main())
