#!/bin/sh
# Subscribes to a channel, and prints its event stream as it is: subscribe.sh [CHANNEL]
channel=${1:-http://localhost:8081/room/1}
exec curl --fail --silent --show-error --no-buffer --header 'Accept: text/event-stream' "$channel"
