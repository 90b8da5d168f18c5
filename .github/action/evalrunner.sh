# Runs evalrunner from the action's own checkout, in place of this shell, so that signals reach it.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONPATH=$here
exec "$RUNNER_TEMP/evalrunner-venv/bin/python" -m evalrunner "$@"
