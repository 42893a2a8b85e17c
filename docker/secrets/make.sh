#!/usr/bin/env bash
# Make the secrets of compose.yaml where they are missing; those that are there stay.
#
# Containers see each file as it is and read it under their own user ids: so the files can be read by
# all, and this folder can be entered by its owner alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

chmod 700 .
umask 022
for name in api_token grafana_password; do
  test -s "$name" || head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$name"
done
