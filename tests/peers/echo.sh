#!/usr/bin/env bash
# Echoes sente-lite events over standard input and output, one EDN form per line.
#
# A full peer for a parent that speaks first, in nothing but Bash: events come back as they are,
# calls are answered with their own data, pings with a pong. It looks at the outline of a frame
# only and trusts the engine's way of writing it: one space between elements, callback ids of at
# most 100 bytes without escapes.
set -u
LC_ALL=C # bytes, not characters

call_end='\] ("[^"\\]*"|[^]["\\ ]+)\]$' # what follows the event in [[:id data] "cb"]

while IFS= read -r line || [[ -n $line ]]; do
  line=${line%$'\r'}
  case $line in
    '') ;;
    '[:chsk/ws-ping]' | '[:chsk/ws-ping '*']') printf '[:chsk/ws-pong]\n' ;;
    '[:chsk/'*']') ;;
    # Two peers that echo each other's echoes would never stop.
    '[:sente-lite/echo]' | '[:sente-lite/echo '*']') ;;
    '[[:'*']')
      tail=$line
      ((${#tail} > 110)) && tail=${tail: -110}
      if [[ $tail =~ $call_end && ${BASH_REMATCH[1]} != nil ]]; then
        event=${line:2:${#line}-2-${#BASH_REMATCH[0]}}
        id=${event%%[ ,]*}
        data=${event:${#id}+1}
        printf '[:chsk/reply {:cb-uuid %s :data %s}]\n' "${BASH_REMATCH[1]}" "${data:-nil}"
      else
        printf 'echo.sh: neither an event nor a call: %s\n' "${line:0:200}" >&2
      fi
      ;;
    '[:'*']') printf '%s\n' "$line" ;;
    *) printf 'echo.sh: unreadable line: %s\n' "${line:0:200}" >&2 ;;
  esac
done
exit 0
