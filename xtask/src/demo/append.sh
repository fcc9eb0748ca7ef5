#!/bin/sh
# A script handler. Baton hands it the event as JSON on standard input and says more in variables named BATON_*.
# Appends a line to the file that is its argument: the time in nanoseconds, the event's id, the JSON.
set -eu
time=$(date +%s%N)
json=$(cat)
printf '%s %s %s\n' "$time" "$BATON_EVENT_ID" "$json" >>"$1"
