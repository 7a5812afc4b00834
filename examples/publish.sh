#!/bin/sh
# Publishes a message, and prints how many subscribers the channel has: publish.sh [CHANNEL [MESSAGE]]
channel=${1:-http://localhost:8081/room/1}
exec curl --fail --silent --show-error --output /dev/null --write-out '%header{x-subscribers}\n' \
	--header 'Content-Type: text/plain' --data-raw "${2:-hello}" "$channel"
