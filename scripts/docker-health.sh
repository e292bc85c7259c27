#!/bin/bash
# docker-health.sh PORT PATH: whether this container's own server answers 200. bash's sockets stand in for
# the HTTP client that the image does without.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
IFS=' ' read -r -t 3 _ status _ <&3
[ "$status" = 200 ]
