#!/usr/bin/env bash
# One loop in the compose stack: build it, start it, let agents work, train on what they did, see that
# Prometheus sees it all, and take everything away again. A project of its own, with volumes of its
# own: an installation on the same machine is not touched. Needs Compose 2.24 or newer.
#
# Exit code 2: there is no Docker here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

SESSIONS=300 # each is a plan and an execution, and mostly a correction

absent() {
  echo "compose-smoke needs Docker: $1" >&2
  exit 2
}

compose() {
  docker compose --project-name lorikeet-smoke --profile cpu \
    --file compose.yaml --file smoke/compose.yaml "$@"
}

check() {
  compose exec -T api python /smoke/check.py "$@"
}

# What failed is said before it is taken away.
tidy() {
  local code=$?
  trap - EXIT
  if ((code != 0)); then
    compose ps --all >&2 || true
    compose logs --no-color --tail 50 >&2 || true
  fi
  compose down --volumes --remove-orphans || code=1
  exit "$code"
}

command -v docker >/dev/null || absent "the command is not installed"
docker compose version >/dev/null 2>&1 || absent "its compose plugin is not installed"
docker info >/dev/null 2>&1 || absent "the engine does not answer"

export SETTINGS=./smoke/lorikeet.yaml MODELS=models
secrets/make.sh
trap tidy EXIT
compose build
compose up --detach --wait --wait-timeout 600

printf '{"sessions": %d, "desk": 2, "corrections": 1.0}\n' "$SESSIONS" |
  compose run --rm --no-deps -T agents
check records "$((2 * SESSIONS))"
check training
check targets ingest control api worker gateway
echo "compose-smoke: the loop runs"
